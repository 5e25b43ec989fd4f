"""Uploads that are too large, too slow, cut, hostile or many."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from multiaxis.serve import upload
from multiaxis.serve.job import shown_name, stored_suffix

from .conftest import NANO, Server, serving

Make = Callable[..., Path]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that takes little."""
    limits = {"max_upload": "200kB", "max_megapixels": 1.0, "spool_size": "50MB"}
    with serving(tmp_path_factory.mktemp("spool"), **limits) as server:
        yield server


def incoming(server: Server) -> list[Path]:
    return list(server.service.spool.incoming("x").parent.iterdir())


def send(server: Server, data: bytes, name: str = "a.png", **words: str) -> Any:
    return server.client.post("/v1/restore", data={**NANO, **words}, files={"file": (name, data)})


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, data: bytes, *more: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + body


def test_too_many_bytes_are_refused_before_they_are_read(small: Server) -> None:
    class Body:
        given = 0

        def __iter__(self) -> Iterator[bytes]:
            for _ in range(100):
                self.given += 10_000
                yield bytes(10_000)

    stated = small.client.post("/v1/restore", content=b"", headers={"content-length": "999999999"})
    assert stated.status_code == 413
    assert "raise --max-upload" in stated.json()["detail"]
    answer = small.client.post("/v1/restore", content=Body(), params=NANO)
    assert answer.status_code == 413
    form = send(small, bytes(300_000))
    assert form.status_code == 413
    assert not incoming(small)
    assert not small.files()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x\r\nContent-Disposition: form-data; name=file; filename=a.png\r\n\r\nabc",  # no end
        b"--x\r\nnonsense\r\n\r\nabc\r\n--x--\r\n",
        b"--y\r\n\r\n--y--\r\n",
        b"--x\r\n" + b"A: b\r\n" * 100 + b"\r\nabc\r\n--x--\r\n",
        b"--x\r\n" + b"A: " + b"b" * 100_000 + b"\r\n\r\nabc\r\n--x--\r\n",
    ],
)
def test_damaged_forms_are_refused_and_leave_nothing(small: Server, body: bytes) -> None:
    kind = {"content-type": "multipart/form-data; boundary=x"}
    answer = small.client.post("/v1/restore", content=body, headers=kind)
    assert answer.status_code == 400, answer.text
    assert not incoming(small)
    headers = {"content-type": "multipart/form-data"}
    assert small.client.post("/v1/restore", content=b"x", headers=headers).status_code == 400


def test_forms_of_many_or_long_fields_or_two_files(small: Server) -> None:
    many = {f"a{k}": "b" for k in range(50)}
    assert send(small, b"x", **many).status_code == 400
    assert send(small, b"x", task="a" * 70_000).status_code == 413
    two = [("file", ("a.png", b"1")), ("file", ("b.png", b"2"))]
    assert "one picture" in small.client.post("/v1/restore", files=two).json()["detail"]
    long = small.client.post("/v1/restore", data={"task": "a" * 70_000})
    assert long.status_code == 415
    assert not incoming(small)


def test_a_client_that_stops_sending_is_told_so(
    small: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "_SILENCE", 0.2)

    async def never(*_: object) -> Any:
        await asyncio.sleep(60)

    class Stream:
        def __aiter__(self) -> Stream:
            return self

        __anext__ = never

    kind = {"content-type": "image/png"}
    request: Any = SimpleNamespace(headers=kind, query_params={}, stream=Stream)
    with pytest.raises(upload.Problem, match="Too slow"):
        asyncio.run(upload.receive(request, small.service.spool.incoming("slow"), 1000))


def test_a_client_that_trickles_is_told_so(small: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "_GRACE", 0.05)

    def trickle() -> Iterator[bytes]:
        for _ in range(5):
            time.sleep(0.03)
            yield b"x"

    answer = small.client.post("/v1/restore", content=trickle(), params=NANO)
    assert answer.status_code == 408
    assert not incoming(small)


@pytest.mark.parametrize("size", [(30_000, 30_000), (2**31 - 1, 2**31 - 1), (1100, 1000)])
def test_a_small_file_of_many_pixels_is_refused_undecoded(
    small: Server, size: tuple[int, int]
) -> None:
    bomb = png(*size, zlib.compress(bytes(100_000), 9))
    answer = send(small, bomb)
    assert answer.status_code == 422
    assert small.service.readers["plan"].deaths == 0


def test_bombs_in_metadata_cost_one_request(small: Server, make_picture: Make) -> None:
    bomb = zlib.compress(bytes(50_000_000), 9)
    rows = zlib.compress(b"".join(b"\0" + bytes(3 * 16) for _ in range(16)))
    icc = chunk(b"iCCP", b"p\0\0" + bomb)
    text = chunk(b"zTXt", b"Raw profile type exif\0\0" + bomb)
    for part in (icc, text):
        start = time.monotonic()
        send(small, png(16, 16, rows, part))
        assert time.monotonic() - start < 30
    assert send(small, make_picture().read_bytes()).status_code == 200


@pytest.mark.thorough
def test_a_file_that_ends_its_reader_costs_one_request(
    small: Server, make_picture: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = small.service.readers["plan"]
    send(small, make_picture().read_bytes())  # it runs
    ask = reader.ask

    async def crash(order: Any, on_report: Any = None, *, patience: float | None = None) -> Any:
        os.kill(reader.number or 0, signal.SIGSTOP)  # it does not answer before it ends
        asyncio.get_running_loop().call_soon(reader.kill)
        return await ask(order, on_report, patience=patience)

    with monkeypatch.context() as patch:
        patch.setattr(reader, "ask", crash)
        answer = send(small, make_picture().read_bytes())
    assert answer.status_code == 422
    assert "ended its process" in answer.json()["detail"]
    assert send(small, make_picture().read_bytes()).status_code == 200


@pytest.mark.parametrize(
    "name",
    ["../../../tmp/x.png", "..\\..\\x.png", "/etc/passwd", "a\0b.png", "\n\r.png", ".png",
     "é✓" * 300 + ".png", "", "con.png", 'a";b.png', "a%2f..%2fb.png"],
)  # fmt: skip
def test_names_never_become_paths_or_headers(small: Server, make_picture: Make, name: str) -> None:
    before = {path.name for path in small.files()}
    answer = small.client.post(
        "/v1/restore",
        params={**NANO, "name": name},
        content=make_picture().read_bytes(),
        headers={"content-type": "image/png"},
    )
    assert answer.status_code == 200, answer.text
    assert {path.name for path in small.files()} - before <= {"upload.png", "result.png"}
    shown = answer.headers["content-disposition"]
    assert shown.isascii()
    assert "/" not in shown.partition("''")[2]


def test_no_path_of_the_server_is_in_an_answer(small: Server, make_picture: Make) -> None:
    folder, data = str(small.service.spool.folder), make_picture().read_bytes()
    rgba = make_picture("t.png", side=20)
    Image.fromarray(np.zeros((20, 20, 4), np.uint8)).save(rgba)
    answers = [
        send(small, data[:200]),
        send(small, b"nothing", name="x.tif"),
        send(small, rgba.read_bytes(), format="jpg"),
        send(small, rgba.read_bytes(), format="jpg", crop="0,0,9,9"),
        small.client.post("/v1/pictures", files={"file": ("t.png", data[:20])}),
    ]
    for answer in answers:
        assert answer.status_code == 422, answer.text
        for part in (folder, "/tmp", "upload.", "result."):
            assert part not in answer.text


def test_the_spool_does_not_grow_beyond_its_size(small: Server) -> None:
    used, small.service.used = small.service.used, 50_000_000
    try:
        answer = send(small, b"x")
        assert answer.status_code == 507
        assert "raise --spool-size" in answer.json()["detail"]
    finally:
        small.service.used = used


def test_a_full_disk_is_said_and_leaves_nothing(
    small: Server, make_picture: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(small.files())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for part in ("take", "share", "save"):
        with monkeypatch.context() as patch:
            patch.setattr(small.service.spool, part, full)
            answer = send(small, make_picture().read_bytes())
        assert answer.status_code == 507, part
        assert "free some space" in answer.json()["detail"]
        assert not incoming(small)
    assert len(small.files()) == before
    assert not small.service.queue.waiting
    assert send(small, make_picture().read_bytes()).status_code == 200


@pytest.mark.thorough
def test_names_and_suffixes() -> None:
    assert shown_name("a/b\\c.png") == "c.png"
    assert shown_name("\u202egnp.exe") == "gnp.exe"
    assert len(shown_name("x" * 500 + ".jpeg")) == 150
    assert stored_suffix("a.JPG", b"") == ".JPG"
    assert stored_suffix("a.exe", b"\x89PNG\r\n\x1a\n") == ".png"
    assert stored_suffix("a.mp4", b"\0\0\0\x18ftypmp42") == ".bin"
