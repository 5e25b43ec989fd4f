"""What folders hold: pairs by name, folders inside, and what is no picture."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from multiaxis.errors import DataError
from multiaxis.tasks.classify.samples import ClassFolders
from multiaxis.tasks.restore.samples import CleanPhotographs, PairedFolders, PairedSource


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() in (".png", ".jpg", ".tif", ".webp"):
            Image.new("RGB", (20, 20)).save(path)
        else:
            path.write_bytes(b"")
    return folder


def pairs(root: Path, inputs: str = "in", targets: str = "gt") -> PairedSource:
    return PairedFolders(inputs=str(root / inputs), targets=str(root / targets), crop=16).open()


def names(source: PairedSource, root: Path) -> list[str]:
    return [Path(source.name(k)).relative_to(root).as_posix() for k in range(len(source))]


@pytest.mark.parametrize("side", ["in", "gt"])
@pytest.mark.parametrize(
    ("one", "two"), [("a.jpg", "a.png"), ("x/a.JPG", "x/a.png"), ("a.png", "a.PNG")]
)
def test_equal_names_are_refused_before_training(
    one: str, two: str, side: str, tmp_path: Path
) -> None:
    fill(tmp_path / "in", one, "b.png")
    fill(tmp_path / "gt", one, "b.png")
    fill(tmp_path / side, two)
    with pytest.raises(DataError, match=r"differ only in their suffix.*rename or remove") as told:
        pairs(tmp_path)
    assert str(tmp_path / side / one) in str(told.value)
    assert str(tmp_path / side / two) in str(told.value)


def test_equal_names_in_different_folders_are_different(tmp_path: Path) -> None:
    fill(tmp_path / "in", "x/0.jpg", "y/0.jpg", "0.png")
    fill(tmp_path / "gt", "x/0.png", "y/0.webp", "0.png")
    source = pairs(tmp_path)
    assert names(source, tmp_path) == ["in/0.png", "in/x/0.jpg", "in/y/0.jpg"]
    found = [p.relative_to(tmp_path / "gt").as_posix() for p in source._targets.paths]
    assert found == ["0.png", "x/0.png", "y/0.webp"]


@pytest.mark.parametrize("other", ["y/a.png", "A.png", "a.b.png"])
def test_names_must_agree_to_the_letter(other: str, tmp_path: Path) -> None:
    fill(tmp_path / "in", "a.png", "x/b.png")
    fill(tmp_path / "gt", other, "x/b.png")
    with pytest.raises(DataError, match=r"without a partner: 2.*in the same case"):
        pairs(tmp_path)


def test_targets_may_lie_inside_the_inputs(tmp_path: Path) -> None:
    fill(tmp_path, "a.png", "x/b.png", "gt/a.png", "gt/x/b.png")
    assert len(pairs(tmp_path, ".", "gt")) == 2
    assert len(pairs(tmp_path, "gt", ".")) == 2
    assert len(pairs(tmp_path, "gt", "gt")) == 2


def test_folders_inside_class_folders_count(tmp_path: Path) -> None:
    fill(tmp_path, "cat/a.png", "cat/old/b.png", "cat/old/er/c.jpg", "dog/x/d.PNG", "cat/.n/e.png")
    source = ClassFolders(folder=str(tmp_path), size=16).open()
    assert source.classes == ["cat", "dog"]
    found = {Path(source.name(k)).name: source._labels[k] for k in range(len(source))}
    assert found == {"a.png": 0, "b.png": 0, "c.jpg": 0, "d.PNG": 1}
    assert source.left_out == ()


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_linked_folders_are_walked_and_circles_end(tmp_path: Path) -> None:
    fill(tmp_path / "far", "b.png", "deep/c.png")
    fill(tmp_path / "classes", "cat/a.png", "dog/d.png")
    (tmp_path / "classes" / "cat" / "far").symlink_to(tmp_path / "far")
    (tmp_path / "classes" / "cat" / "up").symlink_to(tmp_path / "classes" / "cat")
    (tmp_path / "far" / "deep" / "back").symlink_to(tmp_path / "classes" / "cat")
    source = ClassFolders(folder=str(tmp_path / "classes"), size=16).open()
    assert [Path(source.name(k)).name for k in range(len(source))] == [
        "a.png", "b.png", "c.png", "d.png",
    ]  # fmt: skip


def test_what_is_no_item_is_told(tmp_path: Path) -> None:
    fill(tmp_path, "cat/a.png", "cat/b.bmp", "dog/c.png", "dog/x/d.svg", "e.png", "Thumbs.db")
    assert ClassFolders(folder=str(tmp_path), size=16).open().left_out == (
        f"2 files without a picture's suffix, such as {tmp_path / 'cat' / 'b.bmp'}",
        f"1 pictures beside the classes' folders, such as {tmp_path / 'e.png'}",
    )
    (told,) = CleanPhotographs(folder=str(tmp_path), degrade=(), crop=16).open().left_out
    assert told.startswith("2 files without a picture's suffix")
    fill(tmp_path / "only", "a.bmp")
    with pytest.raises(DataError, match=r"holds no pictures but 1 other files, such as a.bmp"):
        CleanPhotographs(folder=str(tmp_path / "only"), degrade=(), crop=16).open()


def test_a_folder_that_cannot_be_listed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, "cat/a.png", "cat/locked/b.png")
    real = Path.iterdir

    def locked(path: Path) -> object:
        if path.name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(Path, "iterdir", locked)
    for about in (
        ClassFolders(folder=str(tmp_path), size=16),
        CleanPhotographs(folder=str(tmp_path), degrade=(), crop=16),
    ):
        with pytest.raises(DataError, match=r"cannot list .*locked: Permission denied"):
            about.open()
