"""Every frame of a source is in the output, at its time, whatever the container: by decoding."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multiaxis.errors import ImageError
from multiaxis.video import restore_clip
from multiaxis.video.clip import open_clip
from multiaxis.video.frames import decode
from multiaxis.video.streams import film, origin

av = pytest.importorskip("av")

RATE = 25
SOUNDS = {".webm": "libopus", ".avi": "mp2"}
SUFFIXES = [".mp4", ".mov", ".mkv", ".webm", ".ts", ".avi"]


def make(
    path: Path,
    *,
    frames: int,
    reordered: bool = True,
    gaps: tuple[int, ...] = (1,),
    at: int = 0,
    sound: float | None = None,
) -> Path:
    """A clip with frames in units of 1/25 s, and sound that starts at `sound` seconds."""
    codec = "libvpx-vp9" if path.suffix == ".webm" else "libx264"
    quick = {"deadline": "realtime", "cpu-used": "8"} if path.suffix == ".webm" else {}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, options={"crf": "40", **quick})
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        stream.codec_context.max_b_frames = 2 if reordered and codec == "libx264" else 0
        tone = None
        if sound is not None:
            tone = container.add_stream(SOUNDS.get(path.suffix, "aac"), rate=48000)
        for k in range(frames):
            shade = np.full((32, 32, 3), 40 + 3 * (k % 60), np.uint8)
            frame = av.VideoFrame.from_ndarray(shade, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = at, Fraction(1, RATE)
            at += gaps[k % len(gaps)]
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if tone is not None:
            _sing(container, tone, sound or 0, 20)
    return path


def _sing(container: object, tone: object, start: float, parts: int) -> None:
    for k in range(parts):
        part = av.AudioFrame.from_ndarray(np.zeros((2, 960), np.float32), "fltp", "stereo")
        part.sample_rate, part.pts = 48000, round(start * 48000) + k * 960
        part.time_base = Fraction(1, 48000)
        container.mux(tone.encode(part))
    container.mux(tone.encode(None))


def times(path: Path) -> list[float]:
    """When frames are shown, from the container's start."""
    with open_clip(path) as container:
        zero, stream = origin(container), film(container)
        return sorted(float(f.pts * f.time_base - zero) for f in container.decode(stream))


def levels(path: Path) -> list[float]:
    with open_clip(path) as container:
        return [float(f.to_ndarray(format="gray").mean()) for f in decode(container, path)]


def sounds(path: Path) -> int:
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return 0
        return sum(packet.size > 0 for packet in container.demux(audio=0))


def check(source: Path, target: Path, start: float = 0.0, end: float | None = None) -> None:
    whole = times(source)
    kept = [
        k for k, at in enumerate(whole) if at >= start - 1e-6 and (end is None or at < end - 1e-6)
    ]
    if not kept:
        with pytest.raises(ImageError, match="widen the range"):
            restore_clip(lambda x: x, source, target, start=start, end=end)
        return
    result = restore_clip(lambda x: x, source, target, start=start, end=end)
    assert result.frames == len(kept)
    if target.suffix == ".ts" and len(kept) < 6:
        return  # too short for FFmpeg to recognise it
    found = times(target)
    assert len(found) == len(kept)
    wanted = [whole[k] for k in kept]
    step = 1 / RATE / 2 if target.suffix == ".avi" else 2e-3  # it counts frames
    gaps = np.subtract(found, found[0]) - np.subtract(wanted, wanted[0])
    assert np.abs(gaps).max() < step
    shades, before = levels(target), levels(source)
    assert np.abs(np.subtract(shades, [before[k] for k in kept])).max() < 6
    if not start and end is None:
        assert sounds(target) == sounds(source)
    assert not list(target.parent.glob(".*"))


@pytest.mark.thorough
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("part", [(0.0, None), (0.5, 2.1), (0.0, 1.0), (1.96, None)])
def test_same_container(suffix: str, part: tuple[float, float | None], tmp_path: Path) -> None:
    source = make(tmp_path / f"a{suffix}", frames=55, sound=0.0)
    check(source, tmp_path / f"b{suffix}", *part)


@pytest.mark.thorough
@pytest.mark.parametrize("to", SUFFIXES)
def test_into_another_container(to: str, tmp_path: Path) -> None:
    check(make(tmp_path / "a.mp4", frames=50), tmp_path / f"b{to}")
    check(make(tmp_path / "a.ts", frames=50, at=40), tmp_path / f"c{to}")


@pytest.mark.thorough
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    one=st.sampled_from([".mp4", ".mov", ".mkv", ".ts"]),
    other=st.sampled_from([".mp4", ".mov", ".mkv", ".ts"]),
    frames=st.sampled_from([8, 47, 48, 49, 97]),
    reordered=st.booleans(),
    gaps=st.sampled_from([(1,), (1, 3), (2, 1, 7)]),
    at=st.sampled_from([0, 1, 30]),
    sound=st.sampled_from([None, 0.0, 0.7]),
    start=st.sampled_from([0.0, 0.04, 0.5]),
    end=st.sampled_from([None, 1.0, 1.33]),
)
def test_any_clip(
    tmp_path_factory: pytest.TempPathFactory,
    one: str,
    other: str,
    frames: int,
    reordered: bool,
    gaps: tuple[int, ...],
    at: int,
    sound: float | None,
    start: float,
    end: float | None,
) -> None:
    folder = tmp_path_factory.mktemp("clip")
    source = make(
        folder / f"a{one}", frames=frames, reordered=reordered, gaps=gaps, at=at, sound=sound
    )
    check(source, folder / f"b{other}", start, end)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_avi_with_frames_in_another_order(codec: str, tmp_path: Path) -> None:
    """AVI tells no times: FFmpeg guesses some that go back."""
    source = tmp_path / "a.avi"
    with av.open(str(source), "w") as container:
        options = {"x264-params": "b-adapt=0"} if codec == "libx264" else {}
        stream = container.add_stream(codec, rate=RATE, options=options)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        stream.codec_context.max_b_frames = 2
        for k in range(30):
            shade = np.full((32, 32, 3), 40 + 5 * k, np.uint8)
            shade[:, k] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shade, format="rgb24")))
        container.mux(stream.encode(None))
    for name, part, held in (
        ("b.avi", (0.0, None), range(30)),
        ("c.mkv", (0.0, None), range(30)),
        ("d.mkv", (0.52, 1.0), range(12, 24)),
    ):
        target = tmp_path / name
        restore_clip(lambda x: x, source, target, start=part[0], end=part[1])
        assert len(times(target)) == len(held)
        with open_clip(target) as container:
            bars = [f.to_ndarray(format="gray")[16] for f in decode(container, target)]
        assert [int(bar.argmax()) for bar in bars] == list(held)
    with open_clip(source) as container:
        shown = [frame.pts for frame in decode(container, source)]
    assert np.diff(shown).tolist() == [1] * 29


def test_avi_with_two_frames_in_a_packet(tmp_path: Path) -> None:
    """As DivX packed them: a frame and the one shown before it, then a packet without any."""
    first, source = tmp_path / "a.avi", tmp_path / "b.avi"
    with av.open(str(first), "w") as container:
        stream = container.add_stream("mpeg4", rate=RATE)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        stream.codec_context.max_b_frames = 1
        for k in range(21):
            shade = np.full((32, 32, 3), 40 + 5 * k, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shade, format="rgb24")))
        container.mux(stream.encode(None))
    mark, nothing = b"\0\0\1\xb6", b"\0\0\1\xb6\x51\x80"
    with av.open(str(first)) as given, av.open(str(source), "w") as made:
        bodies = [bytes(one) for one in given.demux(video=0) if one.size]
        bodies[0] = bodies[0].replace(mark, b"\0\0\1\xb2DivX503b1393p" + mark)
        stream = made.add_stream_from_template(given.streams.video[0])
        packed = []
        for body in bodies:
            is_backward = body[body.index(mark) + 4] >> 6 == 2
            packed += [packed.pop() + body, nothing] if is_backward else [body]
        for place, body in enumerate(packed):
            packet = av.Packet(body)
            packet.pts = packet.dts = place
            packet.time_base, packet.stream = Fraction(1, RATE), stream
            made.mux(packet)
    assert nothing in packed
    assert restore_clip(lambda x: x, source, tmp_path / "c.mkv").frames == 21
    assert (np.diff(levels(tmp_path / "c.mkv")) > 2).all()


def test_avi_of_a_part_that_begins_between_two_frames(tmp_path: Path) -> None:
    source, target = make(tmp_path / "a.avi", frames=20, reordered=False), tmp_path / "b.avi"
    restore_clip(lambda x: x, source, target, start=0.3, end=0.7)  # frames at .32, .36 ...
    with av.open(str(target)) as made:
        places = [packet.dts for packet in made.demux(video=0) if packet.size]
    assert np.diff(places).tolist() == [1] * (len(places) - 1)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_the_shortest_transport_streams(frames: int, tmp_path: Path) -> None:
    """FFmpeg recognises none that are so short, such as what this package itself writes."""
    source = make(tmp_path / "a.ts", frames=frames)
    assert restore_clip(lambda x: x, source, tmp_path / "b.ts").frames == frames
    assert restore_clip(lambda x: x, tmp_path / "b.ts", tmp_path / "c.mkv").frames == frames


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".avi"])
def test_a_single_frame(suffix: str, tmp_path: Path) -> None:
    check(make(tmp_path / f"a{suffix}", frames=1), tmp_path / f"b{suffix}")


def test_uneven_frames_are_refused_where_a_container_counts_them(tmp_path: Path) -> None:
    source = make(tmp_path / "a.mp4", frames=20, gaps=(2, 3))
    with pytest.raises(ImageError, match=r"one rate.*-o b\.mkv"):
        restore_clip(lambda _: pytest.fail("restored"), source, tmp_path / "b.avi")


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts"])
def test_a_clip_that_begins_late_is_not_called_cut(suffix: str, tmp_path: Path) -> None:
    """Matroska counts its length from nothing."""
    source = make(tmp_path / f"a{suffix}", frames=20, at=40, sound=1.6)
    assert not restore_clip(lambda x: x, source, tmp_path / f"b{suffix}").remarks
