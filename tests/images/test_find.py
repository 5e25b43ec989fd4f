"""Only pictures are found."""

from __future__ import annotations

import os
import sys

import pytest

from multiaxis.errors import ImageError
from multiaxis.images import list_pictures

NAMES = ["b.PNG", "a.jpg", "c.tiff", "é.webp"]
JUNK = ["desktop.ini", "Thumbs.db", "._a.jpg", ".hidden.png", "notes.txt", "clip.mp4", "png"]


@pytest.fixture
def folder(tmp_path):
    for name in NAMES + JUNK:
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    for inner in ("deep", ".cache"):
        (tmp_path / inner).mkdir()
        (tmp_path / inner / "d.avif").write_bytes(b"")
    return tmp_path


def test_flat(folder):
    assert [path.name for path in list_pictures(folder)] == ["a.jpg", "b.PNG", "c.tiff", "é.webp"]


def test_recursive(folder):
    found = [path.relative_to(folder).as_posix() for path in list_pictures(folder, recursive=True)]
    assert found == ["a.jpg", "b.PNG", "c.tiff", "deep/d.avif", "é.webp"]


def test_a_hidden_folder_may_be_named(folder):
    assert len(list_pictures(str(folder / ".cache"))) == 1


@pytest.mark.parametrize("recursive", [False, True])
@pytest.mark.parametrize("name", ["none", "a.jpg"])
def test_not_a_folder(name, recursive, folder):
    with pytest.raises(ImageError, match=f"cannot list .*{name}: .*; give a folder"):
        list_pictures(folder / name, recursive=recursive)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights")
def test_links_that_lead_nowhere_are_not_dropped_in_silence(folder):
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    assert {"gone.png", "loop.png"} < {path.name for path in list_pictures(folder)}


def test_a_folder_inside_that_cannot_be_listed_is_told(folder, monkeypatch):
    scan = os.scandir

    def refuse(path):
        if os.fspath(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert list_pictures(folder)
    with pytest.raises(ImageError, match="cannot list .*deep: Permission denied"):
        list_pictures(folder, recursive=True)
