"""What containers hold: streams, marks and tags are kept, or refused or named before the work."""

from __future__ import annotations

import errno
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from multiaxis.errors import ConfigError, ImageError
from multiaxis.video import plan_clip, restore_clip, segments
from multiaxis.video.av import open_container
from multiaxis.video.folder import open_segments
from multiaxis.video.timecode import advance

av = pytest.importorskip("av")


@pytest.fixture
def faults(shared_dir: Path) -> Path:
    return shared_dir / "data" / "faults"


def same(values: np.ndarray) -> np.ndarray:
    return values


def never(_: np.ndarray) -> np.ndarray:
    pytest.fail("a frame was restored")


def streams(path: Path) -> list[tuple[Any, ...]]:
    """Kind, codec, marks and number of packets of each stream."""
    found = []
    with av.open(f"file:{path}") as container:
        count = len(container.streams)
    for index in range(count):
        with av.open(f"file:{path}") as container:
            one = container.streams[index]
            codec = one.codec_context.name if one.codec_context else None
            packets = sum(packet.size > 0 for packet in container.demux(one))
            found.append((one.type, codec, int(one.disposition), packets))
    return found


@pytest.mark.parametrize(
    ("name", "suffix"), [("22_cover.mp4", s) for s in (".mp4", ".mov", ".m4v", ".mkv")]
)
def test_covers_are_kept(name: str, suffix: str, faults: Path, tmp_path: Path) -> None:
    target = tmp_path / f"a{suffix}"
    result = restore_clip(same, faults / name, target)
    if suffix == ".mov":  # which has no place for one
        assert any("cover" in remark for remark in result.remarks) or streams(target)[2]
        return
    assert streams(target) == streams(faults / name)
    again = tmp_path / f"b{suffix}"
    restore_clip(same, target, again)
    assert streams(again) == streams(target)


def test_several_films_keep_their_order(faults: Path, tmp_path: Path) -> None:
    source = faults / "22_two_videos.mkv"
    result = restore_clip(same, source, tmp_path / "a.mkv")
    assert result.remarks == ()
    assert streams(tmp_path / "a.mkv") == streams(source)


def test_a_part_of_a_copied_film_begins_where_it_can_be_decoded(
    faults: Path, tmp_path: Path
) -> None:
    result = restore_clip(same, faults / "22_two_videos.mkv", tmp_path / "a.mkv", start=0.5)
    assert any("begins at its next key frame" in remark for remark in result.remarks)
    with av.open(str(tmp_path / "a.mkv")) as made:
        if len(made.streams.video) > 1:
            packets = [p for p in made.demux(made.streams.video[1]) if p.size]
            assert not packets or packets[0].is_keyframe


def test_marks_are_kept(faults: Path, tmp_path: Path) -> None:
    source = faults / "27_dispo.mkv"
    restore_clip(same, source, tmp_path / "a.mkv")
    assert [row[2] for row in streams(tmp_path / "a.mkv")] == [1, 0, 1]
    result = restore_clip(same, source, tmp_path / "a.ts")
    assert any("mark default of stream 2" in remark for remark in result.remarks)


@pytest.mark.parametrize(
    ("name", "target", "why"),
    [
        ("22_plain.mp4", "w.webm", r"\.webm cannot hold stream 1 \(sound, aac\).*-o w\.mp4"),
        ("25_ass.mkv", "a.mp4", r"\.mp4 cannot hold stream 2 \(subtitle, ssa\).*-o a\.mkv"),
        ("25_flac.mkv", "f.mov", r"\.mov cannot hold stream 1 \(sound, flac\).*-o f\.mkv"),
        ("28_tmcd.mov", "t.webm", r"\.webm cannot hold stream 1 \(sound, aac\).*-o t\.mkv"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_work(
    name: str, target: str, why: str, faults: Path, tmp_path: Path
) -> None:
    with pytest.raises(ImageError, match=why):
        restore_clip(never, faults / name, tmp_path / target)
    assert not list(tmp_path.iterdir())


def test_data_that_do_not_fit_are_left_out_by_name(faults: Path, tmp_path: Path) -> None:
    plan = plan_clip(faults / "36_mebx.mp4", tmp_path / "a.mp4")
    assert any("cannot hold stream 2 (data)" in remark for remark in plan.remarks)
    restore_clip(same, faults / "36_mebx.mp4", tmp_path / "a.mp4")
    assert [row[0] for row in streams(tmp_path / "a.mp4")] == ["video", "audio"]


@pytest.mark.parametrize(
    ("start", "suffix", "wanted"),
    [(0.0, ".mov", "01:02:03:04"), (0.5, ".mov", "01:02:03:09"), (0.0, ".mp4", "01:02:03:04")],
)
def test_time_codes_go_on(
    start: float, suffix: str, wanted: str, faults: Path, tmp_path: Path
) -> None:
    target = tmp_path / f"a{suffix}"
    result = restore_clip(same, faults / "28_tmcd.mov", target, start=start)
    assert result.frames == 16 - round(start * 10)
    with av.open(str(target)) as made:
        assert [one.type for one in made.streams] == ["video", "audio", "data"]
        fields = made.streams[2].metadata["timecode"].split(":")
        assert [int(field) for field in fields] == [int(field) for field in wanted.split(":")]


@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(60000, 1001), Fraction(25)])
def test_time_codes_count_every_frame(rate: Fraction) -> None:
    mark = ":" if rate == 25 else ";"
    code, seen = f"00:08:59{mark}00", []
    for _ in range(3 * 60 * round(rate)):
        seen.append(code)
        code = advance(code, 1, rate)
    assert len(set(seen)) == len(seen)
    assert advance(seen[0], 3000, rate) == seen[3000]
    assert advance("nonsense", 3, rate) == "nonsense"


def test_times_count_from_the_beginning(faults: Path, tmp_path: Path) -> None:
    assert restore_clip(same, faults / "23_ts.ts", tmp_path / "a.ts", end=1.0).frames == 10
    assert restore_clip(same, faults / "32_negative.mkv", tmp_path / "a.mkv").frames == 30


def test_sound_is_cut_where_the_film_is(faults: Path, tmp_path: Path) -> None:
    """Its clock begins at 1.6 s."""
    target = tmp_path / "a.mkv"
    restore_clip(same, faults / "23_ts.ts", target, start=0.5, end=1.0)
    with av.open(str(target)) as made:
        found = [(p.stream.index, float(p.pts * p.time_base)) for p in made.demux() if p.size]
    times = [[at for index, at in found if index == k] for k in (0, 1)]
    assert len(times[0]) == 5
    assert abs(times[1][0] - times[0][0]) < 0.1
    assert abs(times[1][-1] - times[0][-1] - 0.1) < 0.1


@pytest.mark.parametrize("options", [{}, {"start": 0.5, "end": 1.2}])
@pytest.mark.parametrize("name", ["22_plain.mp4", "37_55frames.mp4"])
def test_no_frame_is_lost(
    name: str, options: dict[str, float], faults: Path, tmp_path: Path
) -> None:
    result = restore_clip(same, faults / name, tmp_path / "a.mp4", **options)
    assert streams(tmp_path / "a.mp4")[0][3] == result.frames


def test_a_muxer_that_loses_frames_is_found_out(
    faults: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = segments.packets_of
    monkeypatch.setattr("multiaxis.video.join.packets_of", lambda path: list(whole(path))[:-1])
    with pytest.raises(ImageError, match="would hold 15 of 16 frames, and was not written"):
        restore_clip(same, faults / "22_plain.mp4", tmp_path / "a.mp4")
    assert not (tmp_path / "a.mp4").exists()
    monkeypatch.undo()
    assert restore_clip(same, faults / "22_plain.mp4", tmp_path / "a.mp4").resumed == 16


def test_an_encoder_that_loses_frames_is_found_out(
    faults: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "packets_of", lambda _: [])
    with pytest.raises(ImageError, match="0 of 16 frames"):
        restore_clip(same, faults / "22_plain.mp4", tmp_path / "a.mp4")
    assert not list(tmp_path.iterdir())


# Segments: another name, another process, full disks


def interrupted(source: Path, target: Path, after: int) -> None:
    calls = 0

    def stopping(values: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        if calls > after:
            raise KeyboardInterrupt
        return values

    with pytest.raises(KeyboardInterrupt):
        restore_clip(stopping, source, target)


def test_another_name_or_container_goes_on(faults: Path, tmp_path: Path) -> None:
    source = faults / "37_55frames.mp4"
    interrupted(source, tmp_path / "a.mp4", 50)
    assert restore_clip(same, source, tmp_path / "b.mkv").resumed == 48
    assert [path.name for path in tmp_path.iterdir()] == ["b.mkv"]


def test_a_damaged_segment_is_no_part_of_an_output(faults: Path, tmp_path: Path) -> None:
    source = faults / "37_55frames.mp4"
    interrupted(source, tmp_path / "a.mp4", 50)
    (segment,) = tmp_path.glob(".*.segments/000000.*")
    segment.write_bytes(segment.read_bytes()[: segment.stat().st_size // 2])
    with pytest.raises(ImageError, match="was removed: run it again"):
        restore_clip(same, source, tmp_path / "a.mp4")
    assert restore_clip(same, source, tmp_path / "a.mp4").frames == 55


def test_the_same_output_twice_at_once_is_refused(faults: Path, tmp_path: Path) -> None:
    source = faults / "22_plain.mp4"
    others = [("one", "a.mp4"), ("other", "a.mp4"), ("one", "b.mp4")]

    def meanwhile(values: np.ndarray) -> np.ndarray:
        while others:
            settings, name = others.pop()
            with pytest.raises(ImageError, match="by another process"):
                restore_clip(never, source, tmp_path / name, settings=settings)
        return values

    restore_clip(meanwhile, source, tmp_path / "a.mp4", settings="one")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.thorough
def test_what_killed_runs_left_is_cleared_and_what_is_alive_stays(
    faults: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.mp4"
    copy.write_bytes((faults / "37_55frames.mp4").read_bytes())
    interrupted(copy, tmp_path / "a.mp4", 50)
    (tmp_path / f".{'0' * 32}.lock").touch()
    other = faults / "37_55frames.mp4"
    interrupted(other, tmp_path / "b.mp4", 50)
    assert len(list(tmp_path.glob(".*.segments"))) == 2, "both can go on"
    copy.unlink()
    with open_segments(other, tmp_path / "d.mp4", ["alive"]) as alive:
        alive.path(0).touch()
        restore_clip(same, faults / "22_plain.mp4", tmp_path / "c.mp4")
        left = {path.name for path in tmp_path.glob(".*.segments")}
        assert alive.folder.name in left
        assert len(left) == 2
    assert not (tmp_path / f".{'0' * 32}.lock").exists()
    assert restore_clip(same, other, tmp_path / "b.mp4").resumed == 48


def test_without_hard_links(faults: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    restore_clip(same, faults / "22_plain.mp4", tmp_path / "a.mp4")
    assert streams(tmp_path / "a.mp4")[0][3] == 16


def test_an_output_that_appears_meanwhile_stays(faults: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"

    def meanwhile(values: np.ndarray) -> np.ndarray:
        target.write_bytes(b"another's")
        return values

    with pytest.raises(ImageError, match=r"exists.*continues from the restored frames"):
        restore_clip(meanwhile, faults / "22_plain.mp4", target)
    assert target.read_bytes() == b"another's"
    assert restore_clip(never, faults / "22_plain.mp4", tmp_path / "b.mp4").resumed == 16


@pytest.mark.parametrize("where", ["mkdir", "replace", "write_text"])
def test_a_full_disk_is_a_sentence(
    where: str, faults: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, where, full)
    with pytest.raises(ImageError, match="No space left on device; free space"):
        restore_clip(same, faults / "22_plain.mp4", tmp_path / "out" / "a.mp4")


@pytest.mark.parametrize("name", ["a:b.mp4", "😀" * 61 + ".mp4", "%03d [x].mp4", "-i.mp4"])
def test_any_name(name: str, faults: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes((faults / "22_plain.mp4").read_bytes())
    Path("out").mkdir()
    assert restore_clip(same, Path(name), Path("out") / name).frames == 16
    assert restore_clip(same, Path("out") / name, Path("c:d.mkv")).frames == 16


@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".mp4"])
def test_tags_that_are_not_utf8_keep_their_bytes(suffix: str, faults: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "a.avi", tmp_path / f"b{suffix}"
    with (
        av.open(str(faults / "22_plain.mp4")) as given,
        open_container(str(source), "w") as made,
    ):
        made.metadata["title"] = "caf\udce9"  # a byte that is not UTF-8
        stream = made.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number, frame in enumerate(given.decode(video=0)):
            frame.pts, frame.time_base = number, Fraction(1, 10)
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    assert restore_clip(same, source, target).frames == 16
    assert b"caf\xe9" in target.read_bytes()


def test_names_and_suffixes_that_cannot_be_are_refused(faults: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="File name too long"):
        restore_clip(never, faults / "22_plain.mp4", tmp_path / ("x" * 255 + ".mp4"))
    with pytest.raises(ConfigError, match="names no container"):
        restore_clip(never, faults / "22_plain.mp4", tmp_path / "a.gif")


def test_a_source_that_goes_or_changes_is_said(faults: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.mp4"
    data = (faults / "22_plain.mp4").read_bytes()
    copy.write_bytes(data)

    def changing(values: np.ndarray) -> np.ndarray:
        copy.write_bytes(data + b"more")
        return values

    with pytest.raises(ImageError, match="changed while it was restored"):
        restore_clip(changing, copy, tmp_path / "a.mp4")
    with pytest.raises(ImageError, match=r"cannot read .*No such file"):
        restore_clip(lambda x: copy.unlink(missing_ok=True) or x, copy, tmp_path / "a.mp4")


def test_damaged_clips_leak_no_open_files(faults: Path, tmp_path: Path) -> None:
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("open files are counted in /proc")
    (tmp_path / "cut.mp4").write_bytes((faults / "22_plain.mp4").read_bytes()[:9000])
    (tmp_path / "text.mp4").write_text("no clip")
    kept, counts = [], []
    for _ in range(3):
        for name in ("cut.mp4", "text.mp4"):
            with pytest.raises(ImageError) as caught:
                restore_clip(same, tmp_path / name, tmp_path / "a.mp4")
            kept.append(caught.value)
        counts.append(len(list(Path("/proc/self/fd").iterdir())))
    assert counts[0] == counts[-1]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_a_track_of_chapter_titles_is_not_called_lost(suffix: str, tmp_path: Path) -> None:
    """MP4 and MOV hold chapters as a track of text; it is written anew from them."""
    source, target = (
        tmp_path / f"a{'.mp4' if suffix == '.mkv' else suffix}",
        tmp_path / f"b{suffix}",
    )
    unit = Fraction(1, 10)
    with av.open(str(source), "w") as made:
        titles = [{"metadata": {"title": f"Part {k}"}, "id": k} for k in range(2)]
        spans = [{"start": 2 * k, "end": 2 * k + 2, "time_base": unit} for k in range(2)]
        made.set_chapters([{**title, **span} for title, span in zip(titles, spans, strict=True)])
        stream = made.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for _ in range(4):
            made.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        made.mux(stream.encode(None))
    with av.open(str(source)) as given:
        assert len(given.streams) == 2  # the titles have a track
    result = restore_clip(lambda x: x, source, target)
    assert result.remarks == ()
    with av.open(str(target)) as made:
        assert [one["metadata"]["title"] for one in made.chapters()] == ["Part 0", "Part 1"]


@pytest.mark.parametrize("codec", ["libvpx-vp9", "ffv1"])
def test_transport_streams_get_a_codec_that_is_found_in_them(codec: str, tmp_path: Path) -> None:
    source, target = tmp_path / "a.mkv", tmp_path / "b.ts"
    with av.open(str(source), "w") as made:
        stream = made.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        sound = made.add_stream("libopus", rate=48000)
        for k in range(4):
            made.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
            part = av.AudioFrame.from_ndarray(np.zeros((2, 960), np.float32), "fltp", "stereo")
            part.sample_rate, part.pts = 48000, 960 * k
            made.mux(sound.encode(part))
        made.mux([*stream.encode(None), *sound.encode(None)])
    result = restore_clip(lambda x: x, source, target)
    assert any("written by libx264" in remark for remark in result.remarks)
    with pytest.raises(ImageError, match="cannot hold this film"):
        plan_clip(source, tmp_path / "c.ts", codec=codec)


def test_a_time_code_that_a_tag_keeps_is_not_called_lost(tmp_path: Path) -> None:
    source, target = tmp_path / "a.mov", tmp_path / "b.mkv"
    with av.open(str(source), "w") as made:
        stream = made.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        stream.metadata["timecode"] = "01:02:03:04"
        for _ in range(4):
            made.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        made.mux(stream.encode(None))
    assert restore_clip(lambda x: x, source, target).remarks == ()
    with av.open(str(target)) as made:
        fields = made.streams.video[0].metadata["TIMECODE"].split(":")
    assert [int(field) for field in fields] == [1, 2, 3, 4]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_tracks_without_content_are_kept_or_named(suffix: str, tmp_path: Path) -> None:
    source, target = tmp_path / "a.mkv", tmp_path / f"b{suffix}"
    with av.open(str(source), "w") as made:
        film: Any = made.add_stream("libx264", rate=10)
        film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"
        for _ in range(2):
            sound: Any = made.add_stream("aac", rate=48000)
            sound.layout = "mono"
        made.mux(film.encode(av.VideoFrame(64, 48, "yuv420p")))
        made.mux(film.encode(None))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), "f4"), "fltp", "mono")
        frame.rate, frame.pts = 48000, 0
        made.mux([*sound.encode(frame), *sound.encode(None)])
    remarks = restore_clip(same, source, target).remarks
    with av.open(str(target)) as read:
        is_kept = len(read.streams.audio) == 2
    said = f"stream 1 (sound, aac) holds nothing here, and {suffix} leaves it out"
    assert (said in remarks) != is_kept
    assert not any("stream 2" in remark for remark in remarks)
