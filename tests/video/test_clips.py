"""Clips in, clips out: times, sound, rotation, colour, depth; stopped and gone on with."""

from __future__ import annotations

import errno
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from multiaxis.errors import ConfigError, ImageError
from multiaxis.video import Steady, restore_clip
from multiaxis.video.clip import open_clip, probe
from multiaxis.video.folder import open_segments
from multiaxis.video.frames import decode
from multiaxis.video.pixels import to_rgb
from multiaxis.video.steady import flicker

av = pytest.importorskip("av")


def make(
    path: Path,
    *,
    frames: int = 60,
    size: tuple[int, int] = (64, 48),
    pixel_format: str = "yuv420p",
    rotation: int = 0,
    sound: bool = True,
    codec: str = "libx264",
    **tags: int,
) -> Path:
    """A clip whose frames come at uneven times, with a tone and a title."""
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "A clip"
        stream = container.add_stream(codec, options={"crf": "8"})
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = Fraction(1, 600)
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        if rotation:
            stream.set_display_rotation(rotation)
        tone = container.add_stream("aac", rate=48000) if sound else None
        at = 0
        for k in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(k, size), format="rgb24")
            frame.colorspace = tags.get("colorspace", frame.colorspace)
            frame = frame.reformat(format=pixel_format)
            frame.pts, frame.time_base = at, Fraction(1, 600)
            at += 40 if k % 5 == 3 else 20
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if tone is not None:
            samples = np.sin(np.arange(1024 * 100) / 20).astype(np.float32)[None]
            for k in range(100):
                part = av.AudioFrame.from_ndarray(samples[:, k * 1024 :][:, :1024], "fltp", "mono")
                part.sample_rate, part.pts = 48000, k * 1024
                container.mux(tone.encode(part))
            container.mux(tone.encode(None))
    return path


def picture(k: int, size: tuple[int, int]) -> np.ndarray:
    rows, columns = np.mgrid[0 : size[1], 0 : size[0]]
    values = np.stack([columns * 3 + k, rows * 4, 255 - columns * 2 - rows], -1)
    return np.clip(values, 0, 255).astype(np.uint8)


def same(values: np.ndarray) -> np.ndarray:
    return values


def times(path: Path) -> list[float]:
    with open_clip(path) as container:
        return [float(frame.pts * frame.time_base) for frame in decode(container, path)]


def packets(path: Path, kind: str) -> list[tuple[bytes, Fraction]]:
    with av.open(str(path)) as container:
        stream = next(iter(getattr(container.streams, kind)))
        return [
            (bytes(packet), packet.pts * packet.time_base)
            for packet in container.demux(stream)
            if packet.dts is not None
        ]


@pytest.mark.thorough
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_times_sound_and_title_are_kept(suffix: str, tmp_path: Path) -> None:
    source, target = make(tmp_path / f"a{suffix}"), tmp_path / f"b{suffix}"
    result = restore_clip(same, source, target)
    assert (result.frames, result.resumed, result.remarks) == (60, 0, ())
    assert times(target) == pytest.approx(times(source), abs=1e-9)
    assert packets(target, "audio") == packets(source, "audio")
    with av.open(str(target)) as made:
        assert made.metadata["title"] == "A clip"
    with open_clip(source) as one, open_clip(target) as other:
        for before, after in zip(decode(one, source), decode(other, target), strict=True):
            a, b = (to_rgb(frame, deep=False).astype(int) for frame in (before, after))
            assert np.abs(a - b).mean() < 2.5
    assert {path.name for path in tmp_path.iterdir()} == {source.name, target.name}


def test_rotation_is_kept_and_the_model_sees_upright_frames(tmp_path: Path) -> None:
    source, target = make(tmp_path / "a.mp4", rotation=90, frames=6), tmp_path / "b.mp4"
    seen = []
    restore_clip(lambda x: seen.append(x.shape) or x, source, target)
    assert set(seen) == {(64, 48, 3)}, "turned by a quarter"
    clip = probe(target)
    assert (clip.rotation, clip.width, clip.height) == (90, 64, 48)
    with open_clip(target) as container:
        frame = next(decode(container, target))
        found = to_rgb(frame, deep=False).astype(int)
    assert np.abs(found - picture(0, (64, 48))).mean() < 4


@pytest.mark.parametrize("matrix", [1, 6])
@pytest.mark.parametrize("full", [False, True])
def test_colour_tags_and_values_are_kept(matrix: int, full: bool, tmp_path: Path) -> None:
    source = make(
        tmp_path / "a.mp4",
        frames=3,
        pixel_format="yuv444p",
        colorspace=matrix,
        color_range=2 if full else 1,
    )
    restore_clip(same, source, tmp_path / "b.mp4", crf=0)
    with open_clip(source) as one, open_clip(tmp_path / "b.mp4") as other:
        before, after = next(decode(one, source)), next(decode(other, source))
        assert (after.colorspace, after.color_range) == (before.colorspace, before.color_range)
        planes = [frame.to_ndarray().astype(int) for frame in (before, after)]
    assert np.abs(planes[0] - planes[1]).mean() < 0.6, "converted by another matrix or range"


def test_ten_bits_stay_ten(tmp_path: Path) -> None:
    source = make(tmp_path / "a.mkv", frames=4, pixel_format="yuv420p10le")
    depths = []
    restore_clip(lambda x: depths.append(len(np.unique(x))) or x, source, tmp_path / "b.mkv", crf=0)
    assert depths[0] > 256
    assert probe(tmp_path / "b.mkv").pixel_format == "yuv420p10le"


def test_odd_sides_and_hdr_are_said(tmp_path: Path) -> None:
    source = make(tmp_path / "a.mkv", size=(63, 47), pixel_format="yuv444p", color_trc=16)
    result = restore_clip(same, source, tmp_path / "b.mkv")
    assert any("HDR (PQ)" in remark for remark in result.remarks)
    clip = probe(tmp_path / "b.mkv")
    assert (clip.width, clip.height) == (63, 47)


def test_a_part_of_a_clip(tmp_path: Path) -> None:
    source = make(tmp_path / "a.mp4")
    whole = times(source)
    restore_clip(same, source, tmp_path / "b.mp4", start=0.5, end=1.5)
    wanted = [at - 0.5 for at in whole if 0.5 <= at < 1.5]
    assert times(tmp_path / "b.mp4") == pytest.approx(wanted, abs=2e-3)
    with pytest.raises(ImageError, match="widen the range"):
        restore_clip(same, source, tmp_path / "c.mp4", start=99.0)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.thorough
@pytest.mark.parametrize("stop", [1, 50, 70, 100])
def test_stopped_and_gone_on_with_every_frame_comes_once(stop: int, tmp_path: Path) -> None:
    # x264 gives the same bytes each time only where rows are a multiple of 128 pixels.
    source = make(tmp_path / "a.mp4", frames=110, size=(128, 32))
    restore_clip(same, source, tmp_path / "whole.mp4")
    calls = 0

    def stopping(values: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        if calls > stop:
            raise KeyboardInterrupt
        return values

    target = tmp_path / "b.mp4"
    with pytest.raises(KeyboardInterrupt):
        restore_clip(stopping, source, target)
    assert not target.exists()
    result = restore_clip(same, source, target)
    assert result.resumed == stop // 48 * 48
    assert times(target) == times(tmp_path / "whole.mp4") == pytest.approx(times(source))
    assert packets(target, "video") == packets(tmp_path / "whole.mp4", "video")


@pytest.mark.thorough
def test_other_settings_start_anew(tmp_path: Path) -> None:
    source = make(tmp_path / "a.mp4", frames=100, sound=False)
    seen = 0

    def stopping(values: np.ndarray) -> np.ndarray:
        nonlocal seen
        seen += 1
        if seen == 60:
            raise KeyboardInterrupt
        return values

    with pytest.raises(KeyboardInterrupt):
        restore_clip(stopping, source, tmp_path / "b.mp4", settings="one")
    assert restore_clip(same, source, tmp_path / "b.mp4", settings="two").resumed == 0


def test_bad_clips(tmp_path: Path) -> None:
    source = make(tmp_path / "a.mp4", sound=False)
    data = source.read_bytes()
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("no clip")
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    for name in ("empty.mp4", "text.mp4", "cut.mp4", "none.mp4"):
        with pytest.raises(ImageError, match="cannot read"):
            restore_clip(same, tmp_path / name, tmp_path / "out.mp4")
    with pytest.raises(ImageError, match="originals are never replaced"):
        restore_clip(same, source, source, overwrite=True)
    (tmp_path / "there.mp4").write_bytes(b"old")
    with pytest.raises(ImageError, match="--overwrite"):
        restore_clip(same, source, tmp_path / "there.mp4")
    for wrong in ({"start": -1.0}, {"start": 2.0, "end": 1.0}, {"steady": 2.0}, {"codec": "magic"}):
        with pytest.raises(ConfigError):
            restore_clip(same, source, tmp_path / "out.mp4", **wrong)
    assert not (tmp_path / "out.mp4").exists()
    assert not list(tmp_path.glob(".*"))


def test_scrambled_packets_never_shorten_a_clip_silently(tmp_path: Path) -> None:
    data = bytearray(make(tmp_path / "a.mp4", sound=False).read_bytes())
    rng = np.random.default_rng(0)
    at = data.index(b"mdat") + 4
    for place in rng.integers(at + 2500, at + 4500, 60):
        data[place] ^= 0xFF
    (tmp_path / "a.mp4").write_bytes(data)
    try:
        result = restore_clip(same, tmp_path / "a.mp4", tmp_path / "b.mp4")
    except ImageError as error:
        assert "damaged" in str(error)  # noqa: PT017 (either is right)
        assert not (tmp_path / "b.mp4").exists()
    else:
        assert result.frames == 60


def test_a_clip_whose_container_hides_the_cut_is_remarked(tmp_path: Path) -> None:
    data = make(tmp_path / "a.mkv", sound=False).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: len(data) // 2])
    result = restore_clip(same, tmp_path / "cut.mkv", tmp_path / "b.mkv")
    assert result.frames < 60
    assert any("cut short" in remark for remark in result.remarks)


# Steadiness


def test_still_scenes_are_steadied_and_cuts_do_not_bleed() -> None:
    rng = np.random.default_rng(0)
    scene = rng.random((40, 50, 3), dtype=np.float32) * 0.5 + 0.25
    still = [scene] * 12
    shimmering = [scene + rng.normal(0, 0.02, scene.shape).astype(np.float32) for _ in still]
    steady = Steady(0.8)
    steadied = [steady(a, b) for a, b in zip(still, shimmering, strict=True)]
    before = np.std(np.diff(shimmering[4:], axis=0))
    after = np.std(np.diff(steadied[4:], axis=0))
    assert after < 0.4 * before
    other = 1 - scene
    np.testing.assert_array_equal(steady(other, other), other)


def test_noise_of_the_clip_does_not_count_as_movement() -> None:
    rng = np.random.default_rng(0)
    scene = np.full((64, 64, 3), 0.5, np.float32)
    steady = Steady(0.8)
    noisy, shimmer = (
        [scene + rng.normal(0, sigma, scene.shape).astype(np.float32) for _ in range(12)]
        for sigma in (25 / 255, 4 / 255)
    )
    steadied = [steady(a, b) for a, b in zip(noisy, shimmer, strict=True)]
    assert flicker(shimmer[4:], steadied[4:], [scene] * 8) < 0.5
    other = scene + 0.2 * (np.indices((64, 64)).sum(0)[..., None] // 8 % 2).astype(np.float32)
    moved = steady(other + (noisy[0] - scene), other)
    assert np.abs(moved - other).max() < 4 / 255, "noise hides no movement"


def test_a_slow_fade_does_not_lag() -> None:
    steady = Steady(0.8)
    rng = np.random.default_rng(0)
    scene = rng.random((40, 50, 3), dtype=np.float32) * 0.4
    for n in range(40):
        frame = scene + np.float32(n * 2 / 255)
        steadied = steady(frame, frame)
        assert np.abs(steadied - frame).max() < 2.5 / 255


def test_what_moves_is_left_alone() -> None:
    rng = np.random.default_rng(1)
    steady = Steady(1.0)
    one, other = (rng.random((40, 50, 3), dtype=np.float32) * 0.3 for _ in range(2))
    steady(one, one)
    np.testing.assert_allclose(steady(other, other), other, atol=1e-3)


def test_flicker_of_an_unchanged_clip_is_one() -> None:
    rng = np.random.default_rng(2)
    frames = [0.5 + rng.normal(0, 0.005, (8, 8, 3)).astype(np.float32) for _ in range(4)]
    assert flicker(frames, frames) == pytest.approx(1)
    assert flicker(frames, [f * 2 for f in frames]) == pytest.approx(2, rel=1e-3)


@pytest.mark.thorough
def test_a_real_clip(shared_dir: Path, tmp_path: Path) -> None:
    source = shared_dir / "data" / "video" / "rabbit320.mp4"
    result = restore_clip(same, source, tmp_path / "b.mp4", end=2.0)
    kept = [at for at in times(source) if at < 2.0]
    assert result.frames == len(kept)
    assert times(tmp_path / "b.mp4") == pytest.approx(kept, abs=1e-6)
    sound = packets(tmp_path / "b.mp4", "audio")
    assert sound == packets(source, "audio")[: len(sound)]
    assert sound


WORDS = [
    ("00:00:00,100 --> 00:00:00,900", "First words"),
    ("00:00:01,200 --> 00:00:01,700", "and others"),
]
CHAPTERS = [(0, 1000, "One"), (1000, 2000, "Two")]


def remade(source: Path, path: Path, seconds: float) -> Path:
    """A real clip, turned, with frames left out so that its rate varies, words and chapters."""
    words = path.with_suffix(".srt")
    words.write_text(
        "".join(f"{k}\n{times}\n{text}\n\n" for k, (times, text) in enumerate(WORDS, 1))
    )
    with (
        av.open(str(source)) as given,
        av.open(str(words)) as said,
        av.open(str(path), "w") as made,
    ):
        film, sound = given.streams.video[0], given.streams.audio[0]
        stream = made.add_stream("libx264", options={"crf": "20", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = film.width, film.height, "yuv420p"
        stream.codec_context.time_base = film.time_base
        stream.set_display_rotation(90)
        tone = made.add_stream_from_template(sound)
        spoken = made.add_stream_from_template(said.streams.subtitles[0])
        spoken.metadata["language"] = "eng"
        made.set_chapters(
            [
                {
                    "id": k,
                    "start": a,
                    "end": b,
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": t},
                }
                for k, (a, b, t) in enumerate(CHAPTERS)
            ]
        )
        for number, frame in enumerate(given.decode(film)):
            if float(frame.pts * frame.time_base) >= seconds:
                break
            if number % 7 not in (2, 3, 5):
                made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
        given.seek(0)
        for packet in given.demux(sound):
            if packet.dts is not None and float(packet.pts * packet.time_base) < seconds:
                packet.stream = tone
                made.mux(packet)
        for packet in said.demux(subtitles=0):
            if packet.dts is not None:
                packet.stream = spoken
                made.mux(packet)
    return path


@pytest.mark.thorough
def test_a_real_clip_of_varying_rate_turned_with_words_and_chapters(
    shared_dir: Path, tmp_path: Path
) -> None:
    film = shared_dir / "data" / "video" / "rabbit320.mp4"
    source, target = remade(film, tmp_path / "a.mkv", 2.0), tmp_path / "b.mkv"
    result = restore_clip(same, source, target)
    gaps = np.diff(times(source))
    assert gaps.max() > 1.9 * gaps.min(), "the rate varies"
    assert result.frames == len(times(source))
    assert times(target) == pytest.approx(times(source), abs=1e-9)
    assert probe(target).rotation == probe(source).rotation == 90
    for kind in ("audio", "subtitles"):
        assert packets(target, kind) == packets(source, kind), kind
    assert [text.decode() for text, _ in packets(target, "subtitles")] == [t for _, t in WORDS]
    with av.open(str(target)) as made:
        assert made.streams.subtitles[0].metadata["language"] == "eng"
        found = [
            (float(c["start"] * c["time_base"]), c["metadata"]["title"]) for c in made.chapters()
        ]
    assert found == [(0.0, "One"), (1.0, "Two")]

    part = tmp_path / "part.mkv"
    restore_clip(same, source, part, start=0.5, end=1.5)
    with av.open(str(part)) as made:
        spans = [
            (
                round(float(c["start"] * c["time_base"]), 3),
                round(float(c["end"] * c["time_base"]), 3),
            )
            for c in made.chapters()
        ]
    assert spans == [(0.0, 0.5), (0.5, 1.0)]


def test_a_disk_that_is_full_from_the_start_keeps_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *_: object, **__: object) -> int:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    opened = open_segments(tmp_path / "a.mp4", tmp_path / "b.mp4", [])
    (tmp_path / "a.mp4").write_bytes(b"clip")
    with pytest.raises(ImageError, match="No space left"), opened:
        pytest.fail("it was opened")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
