"""Inputs and outputs at addresses: what fsspec reaches is restored like what lies here."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Generator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multiaxis.batch import ledger
from multiaxis.cli.app import main
from multiaxis.errors import ImageError
from multiaxis.files import remote
from multiaxis.files.address import Remote, is_address

fsspec = pytest.importorskip("fsspec", reason="addresses need fsspec (extra: ray)")

FILES = ["a.png", "b.jpg", "inner/c.png"]


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    return int(caught.value.code or 0)


def make(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 255, (14, 18, 3), dtype=np.uint8)
    Image.fromarray(values).save(path)


@pytest.fixture
def store() -> Generator[object]:
    store = fsspec.filesystem("memory")
    store.store.clear()
    yield store
    store.store.clear()


@pytest.fixture
def tree(tmp_path: Path, store: object) -> Path:
    """The same files in a folder and at memory://in."""
    folder = tmp_path / "in"
    for k, name in enumerate(FILES):
        make(folder / name, k)
        store.pipe_file(f"/in/{name}", (folder / name).read_bytes())
    return folder


@pytest.fixture
def settings(weights: Path) -> list[object]:
    return ["--task", "derain", "--weights", weights]


def outputs(store: object) -> dict[str, bytes]:
    return {
        name.removeprefix("/out/"): store.cat_file(name)
        for name in store.find("/out")
        if ".multiaxis/" not in name
    }


@pytest.mark.thorough
def test_a_tree_in_a_store_gives_the_same_bytes(
    tree: Path, store: object, settings: list[object], tmp_path: Path
) -> None:
    assert run("restore", tree, *settings, "-r", "-q", "-o", tmp_path / "out") == 0
    assert run("restore", "memory://in", *settings, "-r", "-q", "-o", "memory://out") == 0
    found = outputs(store)
    assert sorted(found) == FILES
    assert all(data == (tmp_path / "out" / name).read_bytes() for name, data in found.items())


@pytest.mark.thorough
def test_from_a_store_into_a_folder_and_back(
    tree: Path, store: object, settings: list[object], tmp_path: Path
) -> None:
    assert run("restore", "memory://in/*.png", *settings, "-q", "-o", tmp_path / "out") == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]
    assert run("restore", tree / "a.png", *settings, "-q", "-o", "memory://out/x.png") == 0
    assert outputs(store) == {"x.png": (tmp_path / "out" / "a.png").read_bytes()}
    assert run("restore", "memory://in/a.png", *settings, "-q") == 0
    assert store.cat_file("/in/a_derain.png") == outputs(store)["x.png"]


@pytest.mark.thorough
def test_resume_report_and_dry_run(
    tree: Path,
    store: object,
    settings: list[object],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["restore", "memory://in", *settings, "-r", "-o", "memory://out"]
    assert run(*words, "--dry-run") == 0
    assert not outputs(store)
    assert "memory://in/a.png -> memory://out/a.png (size not known" in capsys.readouterr().out
    assert run(*words, "--report", tmp_path / "first.json") == 0
    assert "3 pictures ..." in capsys.readouterr().err
    rows = json.loads((tmp_path / "first.json").read_text())["pictures"]
    assert {(row["state"], row["width"], row["height"]) for row in rows} == {("restored", 18, 14)}

    make(tree / "b.jpg", 99)  # another picture under the old name
    store.pipe_file("/in/b.jpg", (tree / "b.jpg").read_bytes())
    store.rm("/out/a.png")
    store.pipe_file("/out/inner/c.png", b"somebody's own")
    assert run(*words, "--resume", "--report", "memory://out/report.csv") == 1
    lines = store.cat_file("/out/report.csv").decode().splitlines()
    states = {line.split(",")[0]: line.split(",")[2] for line in lines[1:]}
    assert states == {
        "memory://in/a.png": "restored",
        "memory://in/b.jpg": "restored",
        "memory://in/inner/c.png": "refused",
    }
    store.rm("/out/inner/c.png")
    assert run(*words, "--resume") == 0
    assert "2 were finished earlier" in capsys.readouterr().err


@pytest.mark.thorough
def test_what_fails_names_the_address(
    tree: Path,
    store: object,
    settings: list[object],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    store.pipe_file("/in/bad.png", b"nonsense")
    words = [*settings, "-q", "-o", "memory://out"]
    assert run("restore", "memory://in", *words) == 1
    told = capsys.readouterr().err
    assert "memory://in/bad.png" in told
    assert "multiaxis-" not in told, "the copy's name says nothing to the user"
    store.pipe_file("/clips/clip.mp4", b"a clip")
    for word, reason in [
        ("memory://none/a.png", "does not exist"),
        ("s4://bucket/a.png", "unknown kind of address s4://"),
        ("simplecache::memory://in/a.png", "chain of addresses"),
        ("memory://in/*.gif", "holds no pictures"),
        ("memory://clips/clip.mp4", "clips are restored between local files"),
    ]:
        assert run("restore", word, *words) == 2, word
        assert reason in capsys.readouterr().err
    assert run("restore", "memory://in", *words, "--workers", "2") == 2
    assert "is in the memory of one process" in capsys.readouterr().err
    assert run("restore", tree, *settings, "-o", "https://localhost/out/") == 2
    assert "web addresses are read-only" in capsys.readouterr().err
    assert run("restore", "memory://in/a.png", *words) == 2
    assert "exists: pass --overwrite" in capsys.readouterr().err


def test_originals_are_never_replaced(
    tree: Path, settings: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    before = (tree / "a.png").read_bytes()
    for source, target in [(tree, f"file://{tree}"), (f"file://{tree}", tree)]:
        assert run("restore", source, *settings, "--overwrite", "-o", target) == 2
        assert "originals are never replaced" in capsys.readouterr().err
    assert (tree / "a.png").read_bytes() == before


def test_keys_that_climb_out_are_left_out(
    store: object,
    tree: Path,
    settings: list[object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pathlib import PurePosixPath

    names = {PurePosixPath("../up.png"): "file", PurePosixPath("a.png"): "file"}
    monkeypatch.setattr(remote, "list_folder", lambda *a, **k: names)
    assert run("restore", "memory://in", *settings, "-r", "-q", "-o", tmp_path / "o" / "p") == 0
    assert not (tmp_path / "o" / "up.png").exists()


def test_a_file_store_is_written_in_one_step(
    tree: Path, settings: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fsspec.implementations.local import LocalFileSystem

    moved = []
    real = LocalFileSystem.mv
    monkeypatch.setattr(
        LocalFileSystem, "mv", lambda self, a, b, **k: (moved.append(b), real(self, a, b, **k))
    )
    out = tmp_path / "new" / "out"
    words = ["restore", f"file://{tree}", *settings, "-r", "-q", "-o", f"file://{out}"]
    assert run(*words) == 0
    assert len([name for name in moved if not name.endswith(".json")]) == 3
    assert not list(out.rglob("*.part"))
    assert run(*words, "--resume") == 0
    assert len(list(ledger.read_entries(Remote(f"file://{out}")))) == 2


@pytest.mark.thorough
def test_the_web_is_read(
    tree: Path, settings: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("aiohttp", reason="https:// needs aiohttp")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(tree))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        root = f"http://127.0.0.1:{server.server_port}"
        out = tmp_path / "out"
        assert run("restore", f"{root}/a.png?token=1", *settings, "-q", "-o", out) == 0
        assert run("restore", f"{root}/", *settings, "-r", "-q", "-o", out, "--overwrite") == 0
        assert run("restore", f"{root}/a.png", *settings) == 2
        assert "web addresses are read-only" in capsys.readouterr().err
        assert run("restore", f"{root}/none.png", *settings, "-o", out) == 2
        assert "does not exist" in capsys.readouterr().err
        server.shutdown()
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.???"))
    assert files == FILES


@pytest.mark.parametrize(
    ("url", "name", "parent"),
    [
        ("s3://bucket/in/a.b.png", "a.b.png", "s3://bucket/in"),
        ("https://host/x/a%20b.png?key=1/2", "a b.png", "https://host/x"),
        ("memory://a.png", "a.png", "memory://"),
        ("file:///a.png", "a.png", "file:///"),
        ("file:///in/a.png", "a.png", "file:///in"),
    ],
)
def test_names_of_addresses(url: str, name: str, parent: str) -> None:
    assert is_address(url)
    assert Remote(url).name == name
    assert str(Remote(url).parent) == parent
    assert not is_address("C:/a.png")
    assert str(Remote("memory://") / "a.png") == "memory:///a.png"
    assert str(Remote("file:///") / "a.png") == "file:///a.png"
    assert str(Remote("s3://bucket/") / "a.png") == "s3://bucket/a.png"


def test_what_a_silent_store_holds_is_not_foreign(
    tree: Path,
    store: object,
    settings: list[object],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["restore", "memory://in", *settings, "-r", "-q", "-o", "memory://out", "--resume"]
    assert run(*words) == 0
    real = type(store).open

    def lame(self: object, path: str, *rest: object, **more: object) -> object:
        if path == "/out/a.png":
            raise TimeoutError("no answer")
        return real(self, path, *rest, **more)

    monkeypatch.setattr(type(store), "open", lame)
    assert run(*words) == 1, "the other two are finished"
    told = capsys.readouterr().err
    assert "cannot read memory://out/a.png: no answer" in told
    assert "overwrite" not in told

    def silent(*_: object, **__: object) -> object:
        raise TimeoutError("no answer")

    monkeypatch.setattr(type(store), "cat", silent)
    assert run(*words) == 2, "nothing is known of any"
    assert "cannot read memory://out/.multiaxis: no answer" in capsys.readouterr().err


def test_a_store_that_never_replaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fsspec.implementations.local import LocalFileSystem

    real = LocalFileSystem.mv

    def strict(self: object, source: str, target: str, **how: object) -> None:
        if Path(target).exists():
            raise OSError("the name is taken")
        real(self, source, target, **how)

    monkeypatch.setattr(LocalFileSystem, "mv", strict)
    target = tmp_path / "a.png"
    address = Remote(f"file://{target}")
    remote.publish(b"one", address, overwrite=False)
    remote.publish(b"two", address, overwrite=True)
    assert target.read_bytes() == b"two"

    def flaky(self: object, source: str, target: str, **how: object) -> None:
        if target == str(tmp_path / "a.png") and Path(source).read_bytes() == b"three":
            raise OSError("no answer")
        real(self, source, target, **how)

    monkeypatch.setattr(LocalFileSystem, "mv", flaky)
    with pytest.raises(ImageError, match="no answer"):
        remote.publish(b"three", address, overwrite=True)
    assert target.read_bytes() == b"two", "the old one came back"
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("word", ["file://", "s3://", "s3:///"])
def test_an_address_of_nothing(
    word: str, tree: Path, settings: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    for words in [(tree, "-o", word), (word, "-o", tree / "out")]:
        assert run("restore", *words, *settings, "-q") == 2
        assert "names nothing after ://" in capsys.readouterr().err


def test_a_dry_run_makes_no_folder_for_the_report(
    tree: Path, settings: list[object], tmp_path: Path
) -> None:
    report = tmp_path / "new" / "report.csv"
    for word in [report, f"file://{report}"]:
        assert run("restore", tree, *settings, "-q", "--dry-run", "--report", word) == 0
        assert not report.parent.exists()
