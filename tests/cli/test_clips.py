"""``multiaxis restore`` with clips: a bad one costs only itself; what is lost is said first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from multiaxis.cli.app import main
from multiaxis.tasks.restore.verb import Restore, RestoreRunner

pytest.importorskip("av")


@pytest.fixture
def films(shared_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("22_plain.mp4", "36_mebx.mp4", "37_55frames.mp4"):
        (tmp_path / name).write_bytes((shared_dir / "data" / "faults" / name).read_bytes())
    (tmp_path / "bad.mp4").write_bytes(b"no clip")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def restore(
    monkeypatch: pytest.MonkeyPatch,
    *words: str,
    values: Callable[[Any], Any] | None = lambda x: x,
) -> int:
    def load(verb: Restore, *_: object) -> RestoreRunner:
        if values is None:
            pytest.fail("a model was loaded")
        device, dtype = SimpleNamespace(type="cpu"), "float32"
        identity = SimpleNamespace(restore_values=values, device=device, dtype=dtype, tile=None)
        return RestoreRunner(verb, identity)

    monkeypatch.setattr(Restore, "load", load)
    with pytest.raises(SystemExit) as left:
        main(["restore", *words, "--task", "denoise", "--model", "nano"])
    return int(left.value.code or 0)


@pytest.mark.thorough
def test_one_bad_clip_costs_only_itself(
    films: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("22_plain.mp4", "bad.mp4", "none.mp4", "36_mebx.mp4", "-o", "out/")
    assert restore(monkeypatch, *words) == 1
    said = capsys.readouterr().err
    assert sorted(path.name for path in Path("out").glob("[!.]*")) == [
        "22_plain.mp4",
        "36_mebx.mp4",
    ]
    assert "cannot read bad.mp4" in said
    assert "none.mp4: there is no such file" in said
    assert "restored 2 of 4 clips" in said
    lost = said.index("36_mebx.mp4: .mp4 cannot hold stream 2 (data)")
    assert lost < said.index("22_plain.mp4 -> out/22_plain.mp4 (16 frames"), "said beforehand"


@pytest.mark.thorough
def test_clips_and_pictures_together_are_files(
    films: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, said in [
        (("22_plain.mp4",), "1 clip,"),
        (("22_plain.mp4", "36_mebx.mp4"), "2 clips,"),
        (("22_plain.mp4", "36_mebx.mp4", "a.png"), "3 files,"),
    ]:
        Image.new("RGB", (8, 8)).save("a.png")
        assert restore(monkeypatch, *words, "-o", "out/", "--dry-run", values=None) == 0
        assert f"would restore {said}" in capsys.readouterr().err
    assert restore(monkeypatch, "out", "--dry-run", values=None) == 2
    Path("empty").mkdir()
    assert restore(monkeypatch, "empty", "--dry-run", values=None) == 2
    assert "holds no pictures or clips to restore (PNG, " in capsys.readouterr().err


def test_a_dry_run_over_a_bad_clip(
    films: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, code in [(("bad.mp4", "22_plain.mp4"), 1), (("bad.mp4",), 2)]:
        assert restore(monkeypatch, *words, "-o", "out/", "--dry-run", values=None) == code
        assert "cannot read bad.mp4" in capsys.readouterr().err
    assert not (films / "out").exists()


def test_only_bad_clips_load_no_model(films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert restore(monkeypatch, "bad.mp4", "none.mp4", "-o", "out/", values=None) == 2


def test_two_clips_of_one_name(
    films: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (films / "other").mkdir()
    (films / "other" / "22_plain.mp4").write_bytes(b"whatever")
    words = ("22_plain.mp4", "other/22_plain.mp4", "-o", "out/", "--dry-run")
    assert restore(monkeypatch, *words, values=None) == 1
    assert "is already the output of 22_plain.mp4: rename one" in capsys.readouterr().err


@pytest.mark.parametrize("is_blind", [False, True])
def test_names_that_differ_in_case(
    is_blind: bool, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (films / "22_PLAIN.mp4").write_bytes((films / "22_plain.mp4").read_bytes())
    whole = Path.samefile
    monkeypatch.setattr(
        Path,
        "samefile",
        lambda one, other: is_blind or (one.exists() and whole(one, other)),
    )
    words = ("22_plain.mp4", "22_PLAIN.mp4", "-o", "out/", "--dry-run")
    assert restore(monkeypatch, *words, values=None) == int(is_blind)


@pytest.mark.thorough
def test_an_interrupt_says_what_is_kept(
    films: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(after: int) -> Callable[[Any], Any]:
        calls = 0

        def values(x: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > after:
                raise KeyboardInterrupt
            return x

        return values

    words = ("37_55frames.mp4", "-o", "out/")
    assert restore(monkeypatch, *words, values=stop(3)) == 130
    assert "no frames of 37_55frames.mp4 are kept" in capsys.readouterr().err
    assert restore(monkeypatch, *words, values=stop(50)) == 130
    assert "48 frames of 37_55frames.mp4 are kept" in capsys.readouterr().err
    assert restore(monkeypatch, *words) == 0
    assert "48 frames were restored earlier" in capsys.readouterr().err
    assert [path.name for path in Path("out").iterdir()] == ["37_55frames.mp4"]
    monkeypatch.setattr("multiaxis.video.plan.probe", lambda *_: stop(0)(None))
    assert restore(monkeypatch, "22_plain.mp4", "-o", "out/", values=None) == 130
    assert "is half-written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("22_plain.mp4", "--end", "inf"), 0, "16 frames"),
        (("22_plain.mp4", "--start", "inf"), 2, "accepted is a start before the end"),
        (("22_plain.mp4", "--start", "nan"), 2, "from nan s to the end"),
        (("22_plain.mp4", "--start", "99"), 2, "between 99 s and the end; it has 1.60 s"),
        (("22_plain.mp4", "--crf", "-5"), 2, "crf is -5: accepted is 0 or more"),
        (("22_plain.mp4", "--codec", "ffv1", "--crf", "9", "-o", "a.mkv"), 0, "--crf 9 may"),
        (("22_plain.mp4", "--strip"), 2, "--strip works on pictures only"),
        (("22_plain.mp4", "--depth", "16"), 0, "not clips: --depth"),
        (("folder.mp4",), 2, ""),
    ],
)
def test_options_that_make_no_sense(
    words: tuple[str, ...],
    code: int,
    said: str,
    films: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (films / "folder.mp4").mkdir()
    assert restore(monkeypatch, *words) == code
    assert said in capsys.readouterr().err
