"""Files that were cut short are told from whole ones, whatever their container."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_clip import patches, write_clip

from multiaxis.video import plan_clip
from multiaxis.video.whole import is_cut

KINDS = {
    ".mp4": "libx264",
    ".mov": "prores_ks",
    ".mkv": "libx264",
    ".webm": "libvpx-vp9",
    ".avi": "mjpeg",
    ".ts": "libx264",
    ".m2ts": "libx264",
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    for suffix, codec in KINDS.items():
        kind = {"prores_ks": "yuv422p10le", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
        pictures = [patches((64, 48), k) for k in range(4)]
        write_clip(folder / f"a{suffix}", pictures, codec=codec, pixel_format=kind, options={})
    return folder


@pytest.mark.parametrize("suffix", KINDS)
def test_every_cut_is_found(suffix: str, clips: Path, tmp_path: Path) -> None:
    whole = clips / f"a{suffix}"
    assert not is_cut(whole)
    data = whole.read_bytes()
    packet = {".ts": 188, ".m2ts": 192}.get(suffix, len(data) + 1)
    cut = tmp_path / f"cut{suffix}"
    for size in np.linspace(len(data) // 3, len(data) - 20, 60).astype(int):
        cut.write_bytes(data[:size])
        assert is_cut(cut) == (size % packet > 0)  # between packets, nothing shows it


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_data_behind_the_end_are_no_cut(suffix: str, clips: Path, tmp_path: Path) -> None:
    longer = tmp_path / f"a{suffix}"
    for more in (b"\0", b"\0" * 40, b"\xff" * 40):
        longer.write_bytes((clips / f"a{suffix}").read_bytes() + more)
        assert not is_cut(longer)


@pytest.mark.parametrize("head", [b"", b"RIFF", b"\x1a\x45\xdf\xa3", b"\x1a\x45\xdf\xa3\0", b"G"])
def test_what_is_no_clip_is_not_called_cut(head: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(head)
    assert not is_cut(tmp_path / "a")
    assert not is_cut(tmp_path)
    assert not is_cut(tmp_path / "none")


def test_sizes_that_were_never_filled_in_say_nothing(clips: Path, tmp_path: Path) -> None:
    """As recorders leave them that write to a pipe, or were switched off."""
    avi, matroska = (bytearray((clips / f"a{suffix}").read_bytes()) for suffix in (".avi", ".mkv"))
    avi[4:8] = bytes(4)
    at = matroska.index(b"\x18\x53\x80\x67") + 4
    matroska[at : at + 8] = b"\x01" + b"\xff" * 7
    for data in (avi, matroska):
        (tmp_path / "a").write_bytes(data[: len(data) // 2])
        assert not is_cut(tmp_path / "a")


@pytest.mark.parametrize("suffix", [".avi", ".ts", ".mkv"])
def test_a_cut_is_told_before_the_work(suffix: str, clips: Path, tmp_path: Path) -> None:
    cut = tmp_path / f"a{suffix}"
    cut.write_bytes((clips / f"a{suffix}").read_bytes()[:-30])
    target = tmp_path / f"b{suffix}"
    assert any("it was cut short" in said for said in plan_clip(cut, target).remarks)
    assert plan_clip(clips / f"a{suffix}", target).remarks == plan_clip(cut, target, end=9).remarks
