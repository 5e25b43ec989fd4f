"""Taking requests in: bounded before they are read, straight to the spool, never by their names."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message as Headers
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qsl

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from multiaxis.serve.answers import Problem

_SILENCE = 20.0  # seconds that a client may say nothing
_GRACE = 30.0  # seconds before its mean rate counts
_LEAST_RATE = 10_000  # bytes a second
_MOST_FORM = 65_536  # bytes of all fields together
_MOST_FIELDS = 40
_SNIFFED = 64  # first bytes that tell a format


@dataclass
class Received:
    """What a request brought.

    Attributes
    ----------
    words : dict of str to str
        Fields of the form, and those of the address.
    path : Path or None
        The picture, where there is one, in the incoming folder.
    name : str
        As the client calls it.
    start : bytes
        The first bytes of the picture.
    bytes : int
        Of the picture.
    """

    words: dict[str, str] = field(default_factory=dict[str, str])
    path: Path | None = None
    name: str = ""
    start: bytes = b""
    bytes: int = 0

    def discard(self) -> None:
        """Remove the picture, unless it was moved to its place."""
        if self.path is not None:
            with suppress(OSError):
                self.path.unlink()


async def receive(request: Request, path: Path, most: int) -> Received:
    """Read a request: a form with a picture or without, or a picture as the whole body.

    Parameters
    ----------
    request : Request
    path : Path
        Where a picture is put.
    most : int
        Bytes that are accepted.

    Raises
    ------
    Problem
        If it is too large, too slow, or no form that is known; nothing is left then.
    ClientDisconnect
        If the client goes; nothing is left either.
    """
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > most + _MOST_FORM:
        raise _too_large(most)
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    received = Received(dict(request.query_params))
    chunks = _patient(request, most + _MOST_FORM)
    try:
        if kind == b"multipart/form-data":
            await _read_form(chunks, options.get(b"boundary", b""), received, path)
        elif kind == b"application/x-www-form-urlencoded":
            await _read_fields(chunks, received)
        else:
            await _read_picture(chunks, request, received, path)
    except BaseException:
        received.discard()
        raise
    if received.bytes > most:
        received.discard()
        raise _too_large(most)
    return received


async def _patient(request: Request, most: int) -> AsyncGenerator[bytes]:
    """Give the body as it comes, as long as the client keeps on sending."""
    start, total = time.monotonic(), 0
    stream = aiter(request.stream())
    while True:
        try:
            chunk = await asyncio.wait_for(anext(stream), _SILENCE)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise _too_slow() from error
        total += len(chunk)
        if total > most:
            raise _too_large(most)
        seconds = time.monotonic() - start
        if seconds > _GRACE and total < _LEAST_RATE * seconds:
            raise _too_slow()
        yield chunk


async def _read_picture(
    chunks: AsyncGenerator[bytes], request: Request, received: Received, path: Path
) -> None:
    """Take the whole body as the picture; its name comes with the address or a header."""
    sink = _Sink(received, path)
    try:
        async for chunk in chunks:
            if chunk:
                sink.write(chunk)
    finally:
        sink.close()
    named = Headers()
    named["content-disposition"] = request.headers.get("content-disposition", "")
    received.name = received.words.pop("name", "") or named.get_filename("") or ""


async def _read_fields(chunks: AsyncGenerator[bytes], received: Received) -> None:
    body = b""
    async for chunk in chunks:
        body += chunk
        if len(body) > _MOST_FORM:
            raise Problem(
                415,
                "No form",
                "the body is too long for a form: send a picture as multipart (curl -F "
                "file=@photo.jpg), or raw with its own content type",
            )
    pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    received.words.update(pairs)


class _Sink:
    """Writes a picture to its place, and keeps its first bytes."""

    def __init__(self, received: Received, path: Path) -> None:
        self._received, self._path = received, path
        self._file: BinaryIO | None = None

    def write(self, data: bytes) -> None:
        received = self._received
        if self._file is None:
            self._file = self._path.open("xb")
            received.path = self._path
        self._file.write(data)
        received.bytes += len(data)
        if len(received.start) < _SNIFFED:
            received.start += data[: _SNIFFED - len(received.start)]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class _Form:
    """What the parts of a multipart body are: one picture, and fields.

    Attributes
    ----------
    sink : _Sink
    """

    def __init__(self, received: Received, path: Path) -> None:
        self.sink = _Sink(received, path)
        self._received = received
        self._header = self._value = b""
        self._disposition = b""
        self._name: str | None = None
        self._field = b""
        self._fields = self._pictures = self._size = 0

    def callbacks(self) -> dict[str, Callable[..., None]]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._take_header,
            "on_header_value": self._take_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._open,
            "on_part_data": self._take,
            "on_part_end": self._close,
        }

    def _begin(self) -> None:
        self._disposition, self._name, self._field = b"", None, b""

    def _take_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _open(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"filename" in options:
            self._pictures += 1
            if self._pictures > 1:
                raise Problem(400, "Two pictures", "send one picture in each request")
            self._received.name = options[b"filename"].decode("utf-8", "replace")
            return
        self._fields += 1
        if self._fields > _MOST_FIELDS:
            raise Problem(400, "Too many fields", f"accepted are at most {_MOST_FIELDS} fields")
        self._name = options.get(b"name", b"").decode("utf-8", "replace")

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._name is None:
            self.sink.write(data[start:end])
            return
        self._field += data[start:end]
        self._size += end - start
        if self._size > _MOST_FORM:
            raise Problem(413, "Too large", "the fields of the form are too long")

    def _close(self) -> None:
        if self._name is not None:
            self._received.words[self._name] = self._field.decode("utf-8", "replace")


async def _read_form(
    chunks: AsyncGenerator[bytes], boundary: bytes, received: Received, path: Path
) -> None:
    form = _Form(received, path)
    is_whole: list[bool] = []
    callbacks = {**form.callbacks(), "on_end": lambda: is_whole.append(True)}
    try:
        parser = MultipartParser(boundary, callbacks)  # pyright: ignore[reportArgumentType]
        async for chunk in chunks:
            parser.write(chunk)
        parser.finalize()
    except FormParserError as error:
        raise _broken() from error
    finally:
        form.sink.close()
    if not is_whole:
        raise _broken()


def _broken() -> Problem:
    return Problem(
        400, "Broken form", "the multipart body is damaged or cut short: send it again, whole"
    )


def _too_large(most: int) -> Problem:
    return Problem(
        413,
        "Too large",
        f"the upload is larger than the {most:,} bytes that are accepted: raise --max-upload, or "
        "send a smaller file",
        {"connection": "close"},
    )


def _too_slow() -> Problem:
    return Problem(
        408,
        "Too slow",
        f"the upload stopped for {_SILENCE:.0f} s, or comes in at less than {_LEAST_RATE // 1000} "
        "kB/s: send it again",
        {"connection": "close"},
    )


__all__ = ["ClientDisconnect", "Received", "receive"]
