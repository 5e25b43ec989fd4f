"""Pulling: sources in order, checks, faults, two processes at once. Nothing leaves this machine."""

from __future__ import annotations

import base64
import hashlib
import http.server
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from filelock import FileLock
from safetensors import SafetensorError

import small_maxim
from multiaxis import create_model
from multiaxis.cli.info import _cache
from multiaxis.errors import WeightsError, WeightsUnavailableError
from multiaxis.files.folder import own_folder
from multiaxis.progress import Progress
from multiaxis.weights.cache import cached_path, home
from multiaxis.weights.index import (
    Checkpoint,
    HubSource,
    NpmSource,
    PackagedSource,
    UrlSource,
    find_checkpoint,
)
from multiaxis.weights.pull import matches_index, pull
from multiaxis.weights.sources import _size
from multiaxis.weights.store import digest, is_intact, read_safetensors, write_safetensors

NOWHERE = UrlSource("http://127.0.0.1:9/checkpoint.npz", None)


@pytest.fixture(autouse=True)
def _small_and_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTIAXIS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MULTIAXIS_OFFLINE", raising=False)
    small_maxim.use_small_variant(monkeypatch)


class _Silent(http.server.SimpleHTTPRequestHandler):
    requests: ClassVar[list[str]] = []

    def log_message(self, *args: object) -> None: ...

    def do_GET(self) -> None:
        self.requests.append(self.path)
        super().do_GET()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and its address on the loopback."""
    folder = tmp_path / "served"
    folder.mkdir()
    _Silent.requests.clear()
    handler = partial(_Silent, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def checkpoint(*sources: UrlSource | HubSource | NpmSource) -> Checkpoint:
    return replace(find_checkpoint("derain"), sources=sources, digest=None)


def test_the_small_denoiser_comes_with_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MULTIAXIS_HOME", str(tmp_path / "nothing"))
    monkeypatch.setenv("MULTIAXIS_OFFLINE", "1")
    row = find_checkpoint("denoise-nano")
    path = pull(row)
    assert path.parent.name == "packaged"
    assert path.stat().st_size < 5e6
    assert digest(read_safetensors(path)[0]) == row.digest
    assert not (tmp_path / "nothing").exists()
    model = create_model("maxim", weights="denoise-nano")
    assert next(model.parameters()).dtype == torch.float32
    assert sum(p.numel() for p in model.parameters()) < 1.5e6


def test_a_damaged_package_is_told(tmp_path: Path) -> None:
    row = find_checkpoint("denoise-nano")
    broken = replace(row, sources=(PackagedSource("nothing.safetensors"),))
    with pytest.raises(WeightsError, match="reinstall the package"):
        pull(broken)


class Hub(http.server.SimpleHTTPRequestHandler):
    """Redirects to the file, and states a checksum with the redirection, as hubs do."""

    stated: ClassVar[str] = ""

    def do_GET(self) -> None:
        if "/resolve/" in self.path:
            self.send_response(302)
            self.send_header("Location", "/c.npz")
            self.send_header("X-Linked-ETag", f'"{self.stated}"')
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *args: object) -> None:
        pass


@pytest.mark.thorough
@pytest.mark.parametrize("is_right", [True, False])
def test_a_hubs_checksum_is_compared(
    is_right: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_maxim.use_small_variant(monkeypatch)
    monkeypatch.setenv("MULTIAXIS_HOME", str(tmp_path / "home"))
    content = small_maxim.write_npz(tmp_path / "c.npz", small_maxim.model()).read_bytes()
    Hub.stated = hashlib.sha256(content if is_right else b"other").hexdigest()
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Hub, directory=tmp_path)
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}/")
        row = checkpoint(HubSource("timm/some.model", "model.safetensors"))
        if is_right:
            assert is_intact(pull(row))
        else:
            with pytest.raises(WeightsUnavailableError, match=f"not {Hub.stated}"):
                pull(row)
        server.shutdown()


@pytest.mark.thorough
def test_the_first_source_that_answers_is_taken(served: tuple[Path, str]) -> None:
    folder, address = served
    file = small_maxim.write_npz(folder / "c.npz", small_maxim.model(3))
    sha = hashlib.sha256(file.read_bytes()).hexdigest()
    row = checkpoint(NOWHERE, UrlSource(f"{address}/c.npz", sha))
    seen: list[Progress] = []
    path = pull(row, on_progress=seen.append)
    assert path == cached_path("derain")
    assert is_intact(path)
    assert seen[-1].done == seen[-1].total == file.stat().st_size
    tensors, metadata = read_safetensors(path)
    assert metadata["source"].endswith("/c.npz")
    assert matches_index(path, replace(row, digest=digest(_without_coarse_heads(tensors))))
    assert not matches_index(path, replace(row, digest="0" * 64))
    file.unlink()
    assert pull(row) == path, "the cache answers from now on"
    assert [p.suffix for p in sorted(path.parent.iterdir())] == [".lock", ".safetensors"]


def _without_coarse_heads(tensors: dict) -> dict:
    return {n: t for n, t in tensors.items() if not n.startswith(("stages.1.heads.1", "stages.1.heads.2"))}  # fmt: skip # noqa: E501


@pytest.mark.thorough
def test_other_parameters_of_the_right_shape_are_refused(served: tuple[Path, str]) -> None:
    folder, address = served
    small_maxim.write_npz(folder / "c.npz", small_maxim.model(3))
    row = replace(checkpoint(UrlSource(f"{address}/c.npz", None)), digest="0" * 64)
    with pytest.raises(WeightsUnavailableError, match="other parameters than the published"):
        pull(row)
    assert not cached_path("derain").exists()


@pytest.mark.thorough
def test_a_damaged_cache_is_fetched_again(served: tuple[Path, str]) -> None:
    folder, address = served
    small_maxim.write_npz(folder / "c.npz", small_maxim.model(3))
    row = checkpoint(UrlSource(f"{address}/c.npz", None))
    path = pull(row)
    data = bytearray(path.read_bytes())
    data[-3] ^= 0xFF
    path.write_bytes(data)
    assert not is_intact(path)
    pull(row)
    assert is_intact(path)


def test_if_nobody_answers_everything_is_said(served: tuple[Path, str]) -> None:
    folder, address = served
    (folder / "text.npz").write_text("not an archive")
    row = checkpoint(
        NOWHERE,
        UrlSource(f"{address}/none.npz", None),
        UrlSource(f"{address}/text.npz", "0" * 64),
        UrlSource(f"{address}/text.npz", None),
    )
    with pytest.raises(WeightsUnavailableError) as caught:
        pull(row)
    message = str(caught.value)
    assert "(0.0 s): not reachable" in message
    assert "the server answered 404" in message
    assert "sha256 is" in message
    assert "of an unknown kind" in message
    assert f"multiaxis weights convert FILE {cached_path('derain')}" in message
    assert not cached_path("derain").exists()


def test_a_download_that_is_cut_short(served: tuple[Path, str], tmp_path: Path) -> None:
    class Short(_Silent):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"PK" * 50)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Short) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/c.npz"
        with pytest.raises(WeightsUnavailableError, match="cut short at 100 of 1000"):
            pull(checkpoint(UrlSource(url, None)))
        server.shutdown()


@pytest.mark.parametrize(
    ("name", "instead"), [("denoise", "denoise-nano, denoise-fast"), ("maxvit_tiny_224_in1k", "")]
)
def test_offline_names_what_comes_with_the_package(name: str, instead: str) -> None:
    with pytest.raises(WeightsUnavailableError) as caught:
        pull(find_checkpoint(name), offline=True)
    assert (f"to be named as weights: {instead}" in str(caught.value)) == bool(instead)


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_offline_asks_nobody(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "environment":
        monkeypatch.setenv("MULTIAXIS_OFFLINE", "1")
    with pytest.raises(WeightsUnavailableError, match="offline, and the file is not in the cache"):
        pull(checkpoint(NOWHERE), offline=how == "argument")


@pytest.mark.thorough
def test_a_damaged_cache_is_not_called_missing(served: tuple[Path, str]) -> None:
    folder, address = served
    small_maxim.write_npz(folder / "c.npz", small_maxim.model(3))
    row = checkpoint(UrlSource(f"{address}/c.npz", None))
    path = pull(row)
    other = replace(row, digest="0" * 64)
    with pytest.raises(WeightsUnavailableError, match="holds other parameters than the published"):
        pull(other, offline=True)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WeightsUnavailableError, match=f"in the cache is damaged: {path}"):
        pull(row, offline=True)


@pytest.mark.thorough
def test_what_is_cached_is_compared_when_it_is_used(served: tuple[Path, str]) -> None:
    folder, address = served
    small_maxim.write_npz(folder / "c.npz", small_maxim.model(3))
    row = checkpoint(UrlSource(f"{address}/c.npz", None))
    published = digest(_without_coarse_heads(read_safetensors(pull(row))[0]))
    small_maxim.write_npz(folder / "c.npz", small_maxim.model(4))
    cached_path("derain").unlink()
    pull(row)  # whole, but of other numbers
    small_maxim.write_npz(folder / "c.npz", small_maxim.model(3))
    pull(replace(row, digest=published))
    assert matches_index(cached_path("derain"), replace(row, digest=published))


@pytest.mark.thorough
def test_killed_while_it_compares_it_has_named_nothing(
    served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = served
    small_maxim.write_npz(folder / "c.npz", small_maxim.model(3))

    def killed(*_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr("multiaxis.weights.pull.matches_index", killed)
    with pytest.raises(KeyboardInterrupt):
        pull(replace(checkpoint(UrlSource(f"{address}/c.npz", None)), digest="0" * 64))
    assert not cached_path("derain").exists()


@pytest.mark.thorough
def test_what_killed_pulls_left_is_removed_and_what_is_in_use_stays(
    served: tuple[Path, str],
) -> None:
    folder, address = served
    small_maxim.write_npz(folder / "c.npz", small_maxim.model(3))
    cache = cached_path("derain").parent
    cache.mkdir(parents=True)
    code = f"""
        import os
        from pathlib import Path
        from multiaxis.files.folder import own_folder
        with own_folder(Path({str(cache)!r}), "pull-") as folder:
            (folder / "half").write_bytes(bytes(1000))
            os.kill(os.getpid(), 9)
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=environment, check=False)
    (cache / "pull-of-older-versions").mkdir()
    part = cache / ".derain.safetensors.abcdefgh.part"
    part.write_bytes(bytes(10))
    assert len(list(cache.glob("pull-*"))) == 2
    with own_folder(cache, "pull-") as alive:
        pull(checkpoint(UrlSource(f"{address}/c.npz", None)))
        assert list(cache.glob("pull-*")) == [alive]
    names = [path.name for path in sorted(cache.iterdir())]
    assert names == ["derain.lock", "derain.safetensors"]


@pytest.mark.thorough
def test_converting_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    code = f"""
        import os
        from pathlib import Path
        import torch, safetensors.torch
        from multiaxis.weights.store import write_safetensors
        safetensors.torch.save_file = lambda *_: os.kill(os.getpid(), 9)
        write_safetensors(Path({str(tmp_path)!r}) / "a.safetensors", {{"a": torch.ones(1)}}, {{}})
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=environment, check=False)
    assert len(list(tmp_path.iterdir())) == 1, "it was killed while it wrote"
    write_safetensors(tmp_path / "b.safetensors", {"a": torch.ones(1)}, {})
    assert [path.name for path in tmp_path.iterdir()] == ["b.safetensors"]


def test_without_a_home_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    def unknown(_: int) -> None:
        raise KeyError("uid not found")

    for name in ("HOME", "XDG_CACHE_HOME", "MULTIAXIS_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(WeightsError, match="set the environment variable MULTIAXIS_HOME"):
        home()
    with pytest.raises(WeightsError, match="set the environment variable MULTIAXIS_HOME"):
        pull(checkpoint(NOWHERE))
    assert pull(find_checkpoint("denoise-nano")).exists(), "what is packaged needs no cache"
    assert _cache().startswith("none: "), "a report of a fault is made all the same"
    monkeypatch.setenv("MULTIAXIS_HOME", "~/cache")
    with pytest.raises(WeightsError, match="set the environment variable MULTIAXIS_HOME"):
        home()


def fake_npm(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a client on the PATH that records its words and does what the test wants."""
    client = folder / "bin" / "npm"
    client.parent.mkdir()
    client.write_text(f'#!/bin/sh\necho "$@" > {folder}/words\n{textwrap.dedent(script)}')
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{client.parent}{os.pathsep}{os.environ['PATH']}")


def npm_source(data: bytes) -> NpmSource:
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    return NpmSource("@x/maxim", "0.1.0", integrity, len(data), "MIT")


@pytest.mark.thorough
def test_npm_is_asked_for_the_pinned_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The container is found out from its content, so an npz can stand in for the real tarball.
    packed = small_maxim.write_npz(tmp_path / "packed.npz", small_maxim.model(4))
    fake_npm(
        tmp_path,
        f"""
        for word in "$@"; do case "$word" in --pack-destination=*) to="${{word#*=}}";; esac; done
        cp {packed} "$to/maxim.tgz"
        """,
        monkeypatch,
    )
    path = pull(checkpoint(NOWHERE, npm_source(packed.read_bytes())))
    assert is_intact(path)
    words = (tmp_path / "words").read_text().split()
    assert words[0] == "pack"
    assert words[-1] == "@x/maxim@0.1.0"
    assert "--ignore-scripts" in words
    cached_path("derain").unlink()
    with pytest.raises(WeightsUnavailableError, match="integrity is sha512-"):
        pull(checkpoint(npm_source(b"something else")))


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'npm error 404 not found' >&2; exit 1", "failed with code 1: npm error 404"),
        ("exit 0", "left 0 tarballs"),
        ("exec sleep 60", r"npm gave nothing in \d+ s"),
    ],
)
def test_npm_that_fails(
    script: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multiaxis.weights.sources.NPM_TIMEOUT", 1.0)
    fake_npm(tmp_path, script, monkeypatch)
    with pytest.raises(WeightsUnavailableError, match=message):
        pull(checkpoint(npm_source(b"")))


def test_no_npm_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WeightsUnavailableError, match="npm client is not installed"):
        pull(checkpoint(npm_source(b"")))


def test_a_cache_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("MULTIAXIS_HOME", str(blocked))
    with pytest.raises(WeightsError, match="cannot use the cache folder.*MULTIAXIS_HOME"):
        pull(checkpoint(NOWHERE))


@pytest.mark.thorough
def test_a_full_disk_is_no_fault_of_the_source(
    served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = served
    small_maxim.write_npz(folder / "c.npz", small_maxim.model(3))

    def full(*_: object) -> None:
        raise SafetensorError("I/O error: No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(WeightsError, match="cannot write .*No space left") as caught:
        pull(checkpoint(UrlSource(f"{address}/c.npz", None), NOWHERE))
    assert not isinstance(caught.value, WeightsUnavailableError)
    assert [path.suffix for path in cached_path("derain").parent.iterdir()] == [".lock"]


def test_a_file_that_vanishes_while_it_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "whole").write_bytes(b"abc")
    gone = tmp_path / "gone"
    monkeypatch.setattr(Path, "iterdir", lambda _: iter([gone, tmp_path / "whole"]))
    assert _size(tmp_path) == 3


@pytest.mark.thorough
def test_waiting_for_another_process_is_said(served: tuple[Path, str]) -> None:
    folder, address = served
    small_maxim.write_npz(folder / "c.npz", small_maxim.model(3))
    row = checkpoint(UrlSource(f"{address}/c.npz", None))
    seen: list[str] = []
    said = threading.Event()

    def show(report: Progress) -> None:
        seen.append(report.label)
        said.set()

    cached_path("derain").parent.mkdir(parents=True)
    with FileLock(cached_path("derain").with_suffix(".lock")):
        waiting = threading.Thread(target=pull, args=(row,), kwargs={"on_progress": show})
        waiting.start()
        assert said.wait(60)
    waiting.join(60)
    assert seen[0] == "waiting for another process that fetches derain"
    assert is_intact(cached_path("derain"))


@pytest.mark.thorough
def test_two_processes_at_once(served: tuple[Path, str], tmp_path: Path) -> None:
    folder, address = served
    small_maxim.write_npz(folder / "c.npz", small_maxim.model(3))
    code = f"""
        import pytest, small_maxim
        from dataclasses import replace
        from multiaxis.weights.index import UrlSource, find_checkpoint
        from multiaxis.weights.pull import pull
        small_maxim.use_small_variant(pytest.MonkeyPatch())
        source = UrlSource("{address}/c.npz", None)
        print(pull(replace(find_checkpoint("derain"), sources=(source,), digest=None)))
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    both = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert {process.communicate(timeout=120)[0].strip() for process in both} == {
        str(cached_path("derain"))
    }
    assert [process.returncode for process in both] == [0, 0]
    assert _Silent.requests == ["/c.npz"], "one works, the other waits"
    assert is_intact(cached_path("derain"))
