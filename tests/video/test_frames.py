"""Frames: their times, what they are alike in, and where a clip breaks off."""

from __future__ import annotations

import itertools
import re
import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_clip import patches, write_clip

from multiaxis.errors import ImageError
from multiaxis.video import frames as frames_module
from multiaxis.video import restore_clip
from multiaxis.video.clip import open_clip, probe, spell_tag
from multiaxis.video.encoding import Encoding
from multiaxis.video.frames import _Item, _raised, decode
from multiaxis.video.outline import Window
from multiaxis.video.pixels import to_rgb, turn, turn_back
from multiaxis.video.rehearse import rehearse

av = pytest.importorskip("av")
QUARTERS = [(1, 0, 0, 1), (-1, 0, 0, 1), (0, 1, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (-1, 0, 0, -1)]


def same(values: np.ndarray) -> np.ndarray:
    return values


def fault(shared_dir: Path, name: str) -> Path:
    return shared_dir / "data" / "faults" / name


def read(path: Path, start: float = 0.0, end: float | None = None) -> list[Any]:
    with open_clip(path) as container:
        return list(decode(container, path, start, end))


def times(path: Path, start: float = 0.0, end: float | None = None) -> list[float]:
    return [float(frame.pts * frame.time_base) for frame in read(path, start, end)]


def display_matrix(a: int, b: int, c: int, d: int) -> tuple[int, ...]:
    one = 1 << 16
    return (a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_the_last_frame_lasts_as_long_as_its_packet_says(suffix: str, tmp_path: Path) -> None:
    source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuvj420p"
        packets = []
        for k in range(4):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 40 * k, np.uint8))
            frame.pts, frame.time_base = k, Fraction(1, 25)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        packets[-1].duration = 50  # two seconds, where the rate says a 25th of one
        for packet in packets:
            container.mux(packet)
    restore_clip(same, source, target)
    last = read(target)[-1]
    assert float(last.duration * last.time_base) == pytest.approx(2.0, abs=0.05)


def test_negative_and_missing_times_are_counted_back(shared_dir: Path, tmp_path: Path) -> None:
    source = fault(shared_dir, "32_negative.mkv")
    found = times(source)
    assert len(found) == 30
    assert found == pytest.approx([-1.23 + 0.1 * k for k in range(30)])
    assert restore_clip(same, source, tmp_path / "b.mkv").frames == 30
    made = times(tmp_path / "b.mkv")
    assert np.diff(made) == pytest.approx(np.full(29, 0.1), abs=1.1e-3)


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(1, 9))
def test_whichever_times_are_missing_they_rise(known: list[bool], step: int) -> None:
    class Frame:
        def __init__(self, pts: int | None) -> None:
            self.pts, self.dts, self.duration = pts, None, step

    wanted = [k * step for k in range(len(known))]
    items = [
        frames_module._Item(Frame(at if told else None), "", True)
        for at, told in zip(wanted, known, strict=True)
    ]
    found = [item.frame.pts for item in frames_module._placed(items, step)]
    assert all(a < b for a, b in itertools.pairwise(found))
    if any(known):
        assert found == wanted


def test_the_last_frame_is_shown_as_long_as_before(shared_dir: Path, tmp_path: Path) -> None:
    source = fault(shared_dir, "31_slides_5s.mp4")
    for suffix in (".mp4", ".mkv", ".mov"):
        target = tmp_path / f"b{suffix}"
        assert restore_clip(same, source, target).remarks == ()
        with av.open(str(target)) as container:
            assert container.duration / 1e6 == pytest.approx(15, abs=0.01)


@pytest.mark.parametrize("options", [{"bf": "3"}, {"bf": "0"}])
def test_uneven_last_durations(options: dict[str, str], tmp_path: Path) -> None:
    """Packets state the next packet's distance, not the next frame's."""
    shown = [0, 100, 150, 400, 420, 900]
    source = write_clip(
        tmp_path / "a.mp4", [patches(moved=k) for k in range(6)], times=shown, options=options
    )
    found = read(source)
    units = [round(frame.duration * frame.time_base * 1000) for frame in found]
    assert units[:-1] == [100, 50, 250, 20, 480]
    assert found[-1].duration > 0


def unwanted(values: np.ndarray) -> np.ndarray:
    raise AssertionError(f"a frame of {values.shape} was restored")


def test_times_that_go_back(shared_dir: Path, tmp_path: Path) -> None:
    source = fault(shared_dir, "35_backwards.ts")
    with pytest.raises(ImageError, match="behind frame 10 the times go back from 0.9 to 0 s") as at:
        restore_clip(unwanted, source, tmp_path / "b.ts")
    assert not (tmp_path / "b.ts").exists()
    end = float(re.search(r"--end ([\d.]+)", str(at.value))[1])
    assert restore_clip(same, source, tmp_path / "c.ts", end=end).frames == 10, "as advised"


def test_another_size(shared_dir: Path, tmp_path: Path) -> None:
    source = fault(shared_dir, "35_reschange.ts")
    with pytest.raises(ImageError, match="from 96x64 yuv420p to 128x96 yuv420p") as told:
        restore_clip(unwanted, source, tmp_path / "b.ts")
    said = str(told.value)
    end, start = (float(re.search(rf"--{name} ([\d.]+)", said)[1]) for name in ("end", "start"))
    assert restore_clip(same, source, tmp_path / "c.ts", end=end).frames == 10, "as advised"
    assert restore_clip(same, source, tmp_path / "d.ts", start=start).frames == 10, "as advised"
    assert (probe(tmp_path / "c.ts").width, probe(tmp_path / "d.ts").width) == (96, 128)


@pytest.mark.parametrize("second", ["yuv422p", "yuv420p10le"])
def test_another_pixel_format(second: str, tmp_path: Path) -> None:
    """MPEG-TS may be joined by appending."""
    parts = [
        write_clip(
            tmp_path / f"{kind}.ts",
            [patches()] * 5,
            pixel_format=kind,
            times=[9000 * k for k in range(first, first + 5)],
            time_base=Fraction(1, 90000),
        )
        for kind, first in (("yuv420p", 0), (second, 5))
    ]
    source = tmp_path / "joined.ts"
    source.write_bytes(b"".join(part.read_bytes() for part in parts))
    with pytest.raises(ImageError, match=f"from 80x32 yuv420p to 80x32 {second}"):
        restore_clip(unwanted, source, tmp_path / "b.ts")


def test_another_matrix_is_converted(tmp_path: Path) -> None:
    """Of one matrix in one clip: the first frame's."""
    parts = [
        write_clip(
            tmp_path / f"{matrix}.ts",
            [patches()] * 5,
            pixel_format="yuv444p",
            times=[9000 * k for k in range(first, first + 5)],
            time_base=Fraction(1, 90000),
            colorspace=matrix,
            color_range=1,
        )
        for matrix, first in ((1, 0), (6, 5))
    ]
    source = tmp_path / "joined.ts"
    source.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert {int(frame.colorspace) for frame in read(source)} == {1, 6}
    assert restore_clip(same, source, tmp_path / "b.ts", crf=1).frames == 10
    found = read(tmp_path / "b.ts")
    assert {int(frame.colorspace) for frame in found} == {1}
    for frame in found:
        assert (
            np.abs(to_rgb(frame, deep=False)[:, 8::16].astype(int) - patches()[:, 8::16]).max() <= 3
        )


def test_damage_is_placed_and_the_advice_is_true(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 255, (64, 64, 3), dtype=np.uint8) for _ in range(30)]
    source = write_clip(
        tmp_path / "a.mp4", noise, options={"g": "5", "bf": "0", "sc_threshold": "0"}
    )
    with av.open(str(source)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = source.read_bytes()
    for broken, option, count in ((12, "--end", 12), (0, "--start", 25)):
        at, size = packets[broken]
        spoiled = tmp_path / f"{broken}.mp4"
        spoiled.write_bytes(data[: at + 4] + b"\xff" * (size - 4) + data[at + size :])
        with pytest.raises(ImageError, match="damaged") as told:
            restore_clip(same, spoiled, tmp_path / "b.mp4")
        limit = float(re.search(rf"{option} ([\d.]+)", str(told.value))[1])
        part = {option.removeprefix("--"): limit}
        target = tmp_path / f"{broken}_b.mp4"
        assert restore_clip(same, spoiled, target, **part).frames == count, "as advised"


def test_parts_count_from_the_clips_start(shared_dir: Path, tmp_path: Path) -> None:
    source = fault(shared_dir, "23_ts.ts")
    first = times(source)[0]
    assert first == pytest.approx(1.6)
    assert len(read(source, 0, 1)) == 10
    assert len(read(source, 1)) == 6
    assert restore_clip(same, source, tmp_path / "b.ts", end=1.0).frames == 10


def test_mirroring_is_kept_and_the_model_sees_it_undone(shared_dir: Path, tmp_path: Path) -> None:
    source = fault(shared_dir, "33_hflip.mp4")
    seen = []
    for suffix in (".mp4", ".mov"):
        restore_clip(lambda x: seen.append(x) or x, source, tmp_path / f"b{suffix}")
        assert probe(tmp_path / f"b{suffix}").turn == probe(source).turn
    stored = to_rgb(read(source)[0], deep=False)
    assert np.array_equal(np.round(seen[0] * 255), stored[:, ::-1]), "mirrored, not upside down"


@pytest.mark.parametrize("abcd", QUARTERS)
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_every_quarter_turn_and_mirror(
    abcd: tuple[int, int, int, int], suffix: str, tmp_path: Path
) -> None:
    matrix = display_matrix(*abcd)
    picture = patches()
    picture[:16, :16] = 255
    source = write_clip(
        tmp_path / f"a{suffix}",
        [picture] * 3,
        pixel_format="yuv444p",
        change=lambda stream: stream.set_display_matrix(matrix),
    )
    seen = []
    restore_clip(lambda x: seen.append(x) or x, source, tmp_path / f"b{suffix}")
    clip = probe(tmp_path / f"b{suffix}")
    assert (clip.turn or display_matrix(1, 0, 0, 1)) == matrix
    a, b, c, d = abcd
    x, y = np.array([5, 60]), np.array([20, 5])  # two places in the stored picture
    shown_x, shown_y = a * x + c * y, b * x + d * y
    height, width = seen[0].shape[:2]
    place = shown_y % height - (b + d < 0), shown_x % width - (a + c < 0)
    assert np.abs(seen[0][place] * 255 - picture[y, x]).max() < 4


@given(st.sampled_from(QUARTERS), st.integers(1, 5), st.integers(1, 5))
def test_turning_back_undoes(abcd: tuple[int, int, int, int], height: int, width: int) -> None:
    pixels = np.arange(height * width * 3).reshape(height, width, 3)
    matrix = display_matrix(*abcd)
    assert np.array_equal(turn_back(turn(pixels, matrix), matrix), pixels)


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_fields_keep_their_order(order: int, suffix: str, tmp_path: Path) -> None:
    flags = av.codec.context.Flags
    source = tmp_path / f"a{suffix}"

    def interlaced(stream: Any) -> None:
        stream.codec_context.flags |= int(flags.interlaced_dct | flags.interlaced_me)
        stream.codec_context.field_order = order

    graph_input = [patches((80, 64), k) for k in range(4)]
    write_clip(source, graph_input, change=interlaced, options={"crf": "4"})
    clip = probe(source)
    assert clip.field_order > 1
    result = restore_clip(same, source, tmp_path / f"b{suffix}")
    assert any("interlaced" in remark for remark in result.remarks)
    assert probe(tmp_path / f"b{suffix}").field_order == clip.field_order
    assert all(frame.interlaced_frame for frame in read(tmp_path / f"b{suffix}"))


@pytest.mark.parametrize("first", ["tff", "bff"])
def test_fields_of_either_order_by_a_second_way(first: str, tmp_path: Path) -> None:
    flags = av.codec.context.Flags
    source, target = tmp_path / "a.mp4", tmp_path / "b.mp4"

    def interlaced(stream: Any) -> None:
        stream.codec_context.flags |= int(flags.interlaced_dct | flags.interlaced_me)

    options = {"crf": "4", "x264-params": f"{first}=1"}
    write_clip(source, [patches((80, 64), k) for k in range(4)], change=interlaced, options=options)
    assert probe(source).field_order == {"tff": 2, "bff": 3}[first]
    result = restore_clip(same, source, target)
    assert [remark for remark in result.remarks if "cannot hold" in remark] == []
    assert probe(target).field_order == probe(source).field_order


@pytest.mark.parametrize("suffix", [".mpg", ".ts"])
@pytest.mark.parametrize("order", [2, 3])
def test_fields_of_mpeg2_are_not_called_lost(order: int, suffix: str, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mkv", [patches((64, 64))] * 3)
    clip = replace(probe(source), field_order=order)
    target = tmp_path / f"b{suffix}"
    encoding = Encoding.choose(clip, "mpeg2video", None, target)
    with open_clip(source) as given:
        window = Window.of(given, clip, 0.0, None)
    _, lost = rehearse(source, target, clip, encoding, window)
    assert not any("fields" in said for said in lost)


def test_an_interlaced_file(shared_dir: Path, tmp_path: Path) -> None:
    source = fault(shared_dir, "21_interlaced.mp4")
    result = restore_clip(same, source, tmp_path / "b.mp4")
    assert any("interlaced" in remark for remark in result.remarks)
    assert probe(tmp_path / "b.mp4").field_order == probe(source).field_order == 2
    assert all(frame.interlaced_frame for frame in read(tmp_path / "b.mp4"))
    result = restore_clip(same, source, tmp_path / "c.mp4", codec="libx265")
    assert any("deinterlace" in remark for remark in result.remarks)


def test_a_clip_that_begins_late_keeps_its_frames(tmp_path: Path) -> None:
    base = Fraction(1, 90000)
    shown = [123456 + 3003 * k for k in range(6)]
    source = write_clip(tmp_path / "a.ts", [patches()] * 6, times=shown, time_base=base)
    assert len(read(source)) == 6
    assert replace(probe(source), start=Fraction(0)).rate == pytest.approx(30000 / 1001, rel=0.05)


def test_times_of_avi(tmp_path: Path) -> None:
    """AVI has no presentation times, and sorted frames none at all."""
    source = write_clip(
        tmp_path / "a.avi",
        [patches(moved=k) for k in range(12)],
        codec="mpeg4",
        time_base=Fraction(1, 10),
        options={"bf": "2"},
    )
    assert len(read(source)) == 12
    assert restore_clip(same, source, tmp_path / "b.mp4").frames == 12
    assert times(tmp_path / "b.mp4") == pytest.approx([k / 10 for k in range(12)], abs=0.11)


def test_no_scratch_is_left(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", [patches()] * 3)
    restore_clip(same, shutil.copy(source, tmp_path / "c.mp4"), tmp_path / "b.mp4")
    assert {path.name for path in tmp_path.iterdir()} == {"a.mp4", "b.mp4", "c.mp4"}


@pytest.mark.parametrize(
    ("gaps", "said"),
    [
        ([1] * 12 + [5] + [1] * 12, "4 frames of an even rate are missing between 1.200 and 1.700"),
        ([1] * 12 + [2] + [1] * 12 + [3], "between 1.200 and 1.400 s and at 1 other place:"),
        ([1, 2] * 12, ""),  # varying rates have none
        ([1] * 25, ""),
        ([5, 50, 7], ""),
    ],
)
def test_frames_that_readers_stepped_over(gaps: list[int], said: str, tmp_path: Path) -> None:
    times = np.cumsum([0, *gaps]) * 100
    pictures = [patches((32, 32), k) for k in range(len(times))]
    source = write_clip(tmp_path / "a.mkv", pictures, times=times.tolist())
    remarks = restore_clip(same, source, tmp_path / "b.mkv").remarks
    assert [remark for remark in remarks if "missing" in remark and said in remark] or not said
    assert said or not remarks


def test_a_hole_in_a_file_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    pictures = [patches((64, 64), k) for k in range(40)]
    whole = write_clip(tmp_path / "a.mkv", pictures, codec="ffv1", pixel_format="yuv444p")
    data = whole.read_bytes()
    with av.open(str(whole)) as container:
        packets = [bytes(one) for one in container.demux() if one.size]
    at = data.index(packets[20])
    size = len(packets[20])
    (tmp_path / "b.mkv").write_bytes(data[: at - 9] + bytes(size + 9) + data[at + size :])
    result = restore_clip(same, tmp_path / "b.mkv", tmp_path / "c.mkv")
    assert result.frames < 40
    assert any("missing between" in remark for remark in result.remarks)


def test_a_tag_that_is_no_letters() -> None:
    """Of MPEG-TS it is a number, such as 0xEA of VC-1: PyAV cannot spell it."""

    class Context:
        @property
        def codec_tag(self) -> str:
            return b"\xea\0\0\0".decode("ascii")

    assert spell_tag(Context()) == ""


def test_small_frames_of_a_program_stream_rise(tmp_path: Path) -> None:
    """MPEG-PS gives several small frames one time, and FFmpeg has the others go back."""
    rng = np.random.default_rng(0)
    source = write_clip(
        tmp_path / "a.mpg",
        [rng.integers(0, 64, (64, 96, 3), np.uint8) + np.uint8(5 * k) for k in range(38)],
        codec="mpeg2video",
        time_base=Fraction(1, 25),
        times=list(range(38)),
        options={"g": "12", "b": "400000"},
        change=lambda stream: setattr(stream.codec_context, "framerate", 25),
    )
    with av.open(str(source)) as container:
        guessed = [frame.pts for frame in container.decode(video=0)]
    assert sorted(set(guessed)) != guessed, "otherwise nothing is tested"
    result = restore_clip(same, source, tmp_path / "b.mpg")
    assert result.frames == 38
    with av.open(str(tmp_path / "b.mpg")) as container:
        assert len(list(container.decode(video=0))) == 38


@pytest.mark.parametrize(
    ("guessed", "wanted"),
    [
        ([0, 10, 20, 20, 30, 50], [0, 10, 20, 30, 40, 50]),
        ([0, 10, 20, 0, 10, 20], [0, 10, 20, 30, 40, 50]),
        ([50, 60, 0, 10], [50, 60, 0, 10]),  # where recordings were joined
        ([0, None, 20, 15], [0, None, 20, 30]),
    ],
)
def test_only_what_goes_back_a_little_is_moved_on(
    guessed: list[int | None], wanted: list[int | None]
) -> None:
    made = [SimpleNamespace(pts=at, duration=None) for at in guessed]
    items = [*(_Item(frame, "", sound=True) for frame in made), _Item(None, "", sound=False)]
    assert list(_raised(items, 10)) == items
    assert [frame.pts for frame in made] == wanted
