"""Whatever happens while writing: one sentence, no part of a file, nothing replaced unasked."""

from __future__ import annotations

import errno
import os
import stat
import threading
from typing import Any

import numpy as np
import pytest

from multiaxis.errors import ImageError
from multiaxis.files.publish import publish
from multiaxis.images import Picture, read_picture, write_picture
from multiaxis.images.codecs import encode


@pytest.fixture
def picture(smooth) -> Picture:
    return Picture(smooth)


def refusal(path, picture, **options) -> str:
    with pytest.raises(ImageError) as caught:
        write_picture(path, picture, **options)
    text = str(caught.value)
    assert text.startswith(f"cannot write {path}: ")
    assert "\n" not in text
    return text


def failing(number: int):
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    ("function", "number", "words"),
    [
        ("os.open", errno.EACCES, "permission denied"),
        ("os.open", errno.EROFS, "read-only"),
        ("os.fsync", errno.ENOSPC, "disk is full"),
        ("os.fsync", errno.EDQUOT, "disk is full"),
        ("os.fsync", errno.EIO, os.strerror(errno.EIO)),
    ],
)
def test_system_errors(function, number, words, overwrite, picture, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(function, failing(number))
        assert words in refusal(tmp_path / "a.png", picture, overwrite=overwrite)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_failure_while_publishing(number, picture, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("os.link", failing(number))
        patch.setattr("pathlib.Path.replace", failing(number))
        refusal(tmp_path / "a.png", picture)
        refusal(tmp_path / "a.png", picture, overwrite=True)
    assert not list(tmp_path.iterdir())


def test_an_interrupt_leaves_nothing(picture, tmp_path, monkeypatch):
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_picture(tmp_path / "a.png", picture)
    assert not list(tmp_path.iterdir())


def test_failed_overwriting_keeps_the_old_file(picture, tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", failing(errno.ENOSPC))
        refusal(tmp_path / "a.png", picture, overwrite=True)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.png", b"old")]


def test_existing_files_stay(picture, tmp_path):
    (tmp_path / "a.png").write_bytes(b"old")
    assert "it exists" in refusal(tmp_path / "a.png", picture)
    assert (tmp_path / "a.png").read_bytes() == b"old"
    write_picture(tmp_path / "a.png", picture, overwrite=True)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png").pixels, picture.pixels)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_dangling_link_is_a_taken_name(picture, tmp_path):
    (tmp_path / "a.png").symlink_to(tmp_path / "elsewhere.png")
    assert "it exists" in refusal(tmp_path / "a.png", picture)
    assert not (tmp_path / "elsewhere.png").exists()


def test_a_file_that_appears_while_encoding_stays(picture, tmp_path, monkeypatch):
    path = tmp_path / "a.png"

    def encode_slowly(*words: Any, **options: Any) -> bytes:
        path.write_bytes(b"faster")
        return encode(*words, **options)

    monkeypatch.setattr("multiaxis.images.write.encode", encode_slowly)
    assert "it exists" in refusal(path, picture)
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [
        ("a.png", b"faster")
    ]


@pytest.mark.parametrize("links", [True, False])
def test_of_many_writers_one_wins(links, tmp_path, monkeypatch):
    if not links:
        monkeypatch.setattr("os.link", failing(errno.EPERM))
    path, start = tmp_path / "a", threading.Barrier(8)
    won: list[int] = []

    def write(number: int) -> None:
        start.wait()
        try:
            publish(path, bytes([number]) * 100_000, overwrite=False)
            won.append(number)
        except FileExistsError:
            pass

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert path.read_bytes() == bytes(won) * 100_000
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_without_links_a_failed_move_leaves_nothing(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("os.link", failing(errno.ENOTSUP))
        patch.setattr("pathlib.Path.replace", failing(errno.EIO))
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            publish(tmp_path / "a", b"data", overwrite=False)
    assert not list(tmp_path.iterdir())


def test_places_that_cannot_be(picture, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    assert "folder does not exist" in refusal(tmp_path / "none" / "a.png", picture)
    assert "folder is a file" in refusal(tmp_path / "file" / "a.png", picture)
    assert "name is a folder" in refusal(tmp_path / "folder.png", picture, overwrite=True)
    assert "too long" in refusal(tmp_path / ("x" * 300 + ".png"), picture)
    assert "null" in refusal(tmp_path / "nul\0l.png", picture)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder.png"]


def test_the_longest_possible_name(picture, tmp_path):
    path = tmp_path / ("x" * 251 + ".png")
    write_picture(path, picture)
    write_picture(path, picture, overwrite=True)
    assert read_picture(path).width == picture.width


@pytest.mark.parametrize("name", ["a", "a.psd", "a.bmp", "a.png.part"])
def test_unknown_suffixes(name, picture, tmp_path):
    assert "accepted are .avif, .jfif, .jpe" in refusal(tmp_path / name, picture)


def test_what_libvips_refuses(picture, tmp_path, monkeypatch):
    monkeypatch.setattr("multiaxis.images.write._options", lambda *_: {"nonsense": 1})
    assert "PNG refused 48x32 pixels" in refusal(tmp_path / "a.png", picture)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="modes are of Unix")
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_the_umask_decides_on_rights(mask, picture, tmp_path):
    old = os.umask(mask)
    try:
        write_picture(tmp_path / "a.png", picture)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == 0o666 & ~mask
