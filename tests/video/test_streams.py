"""Which stream is the film, when a clip begins, and names that look like addresses."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from multiaxis.video.clip import open_clip
from multiaxis.video.streams import film, origin

av = pytest.importorskip("av")


def make(
    path: Path, *streams: tuple[int, int, int], default: int | None = None, at: int = 0
) -> Path:
    """A clip with video streams of (frames, width, height)."""
    with av.open(f"file:{path}", "w") as container:
        made = []
        for number, (_, width, height) in enumerate(streams):
            stream = container.add_stream("mpeg4", rate=10)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.disposition = int(number == default)
            made.append(stream)
        for stream, (frames, width, height) in zip(made, streams, strict=True):
            for k in range(frames):
                frame = av.VideoFrame(width, height, "yuv420p")
                frame.pts, frame.time_base = k + at, Fraction(1, 10)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts"])
@pytest.mark.parametrize(
    ("streams", "wanted"),
    [
        ([(1, 64, 64), (3, 32, 32)], 1),  # a still picture first
        ([(3, 32, 32), (3, 64, 64)], 1),  # the larger one
        ([(3, 32, 32), (3, 32, 32)], 0),  # the first one
        ([(1, 32, 32)], 0),  # one frame is a film where there is no other
    ],
)
def test_the_film_is_found(
    suffix: str, streams: list[tuple[int, int, int]], wanted: int, tmp_path: Path
) -> None:
    with open_clip(make(tmp_path / f"a{suffix}", *streams)) as container:
        marked = [stream.index for stream in container.streams if stream.disposition & 1]
        if len(marked) == 1 and streams[marked[0]][0] > 1:
            wanted = marked[0]  # an mp4 always marks one
        assert film(container).index == wanted


def test_the_default_counts_before_the_size(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mkv", (3, 64, 64), (3, 32, 32), default=1)
    with open_clip(path) as container:
        assert film(container).index == 1


@pytest.mark.parametrize("name", ["a:b.mp4", "http:x.mp4", "%03d.mp4", "-i.mp4"])
def test_names_are_never_addresses(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / name, (2, 32, 32))
    with open_clip(Path(name)) as container:
        assert film(container).index == 0


def test_the_origin_is_exact(tmp_path: Path) -> None:
    with open_clip(make(tmp_path / "a.ts", (4, 32, 32), at=3)) as container:
        first = next(packet for packet in container.demux(video=0))
        assert origin(container) == first.pts * first.time_base > 0
    with open_clip(make(tmp_path / "a.mkv", (4, 32, 32))) as container:
        assert origin(container) == 0
