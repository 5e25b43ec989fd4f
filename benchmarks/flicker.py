"""How much a restoration flickers, and what steadying does about it.

    python benchmarks/flicker.py CLIP --task denoise --weights denoise-nano \
        --with gaussian-noise:sigma=25 --frames 24 --crop 320 240

Frames are spoiled by seeded degradations, restored one by one and steadied. What stands still,
where things went and what frames should look like is taken from the clip as it is. `--hold` repeats
the first frame: a still scene. `--cut OTHER` has the second half of the frames from another clip.
Needs opencv-python-headless, for its optical flow.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from multiaxis import Restorer
from multiaxis.degrade import degrade_picture, parse_chain
from multiaxis.images import from_unit, to_unit
from multiaxis.video import Steady, open_clip
from multiaxis.video.clip import decode, to_rgb
from multiaxis.video.steady import flicker

Frame = NDArray[np.float32]
STILL = 4 / 255  # a pixel of the clip that changes less, in every channel, stands still
SHOWN = "| {:<22} | {:>6} | {:>6} | {:>6} | {:>6} | {:>6} | {:>7} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--task", default="denoise")
    parser.add_argument("--weights")
    parser.add_argument("--with", dest="chain", default="")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--start", type=int, default=0, help="the first frame")
    parser.add_argument("--crop", type=int, nargs=2, help="width and height, from the middle")
    parser.add_argument("--steady", type=float, nargs="+", default=[0.5, 0.8])
    parser.add_argument("--hold", action="store_true")
    parser.add_argument("--cut", type=Path)
    options = parser.parse_args()
    clean = read(options.clip, options.start, options.frames, options.crop)
    if options.hold:
        clean = clean[:1] * options.frames
    if options.cut:
        half = options.frames // 2
        clean[half:] = read(options.cut, options.start, options.frames - half, options.crop)
    links = parse_chain(options.chain) if options.chain else ()
    given = [quantised(degrade_picture(x, links, (0, n))[0]) for n, x in enumerate(clean)]
    restorer = Restorer(options.task, weights=options.weights)
    restored = [restorer.restore_values(frame) for frame in given]
    report(clean, given, restored, options.steady)
    if options.cut:
        report_cut(given, restored, options.steady, half)


def read(path: Path, start: int, count: int, crop: list[int] | None) -> list[Frame]:
    frames: list[Frame] = []
    with open_clip(path) as container:
        for number, frame in enumerate(decode(container, path)):
            if number >= start + count:
                break
            if number >= start:
                frames.append(to_unit(middle(to_rgb(frame, deep=False), crop)))
    return frames


def middle(pixels: NDArray[np.uint8], crop: list[int] | None) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    across, down = crop or (width, height)
    left, top = (width - across) // 2, (height - down) // 2
    return np.ascontiguousarray(pixels[top : top + down, left : left + across])


def quantised(values: Frame) -> Frame:
    return to_unit(from_unit(values, np.uint8))


def steadied(given: list[Frame], restored: list[Frame], strength: float) -> list[Frame]:
    steady = Steady(strength)
    both = zip(given, restored, strict=True)
    return [quantised(steady(a, b) if strength else b) for a, b in both]


def report(
    clean: list[Frame], given: list[Frame], restored: list[Frame], strengths: list[float]
) -> None:
    flows = list(motion(clean))
    plain = steadied(given, restored, 0)
    print(SHOWN.format("", "still", "ratio", "warp", "clean", "moving", "plain"))
    print("|" + " --- |" * 7)
    rows = [("the clip", clean), ("spoiled", given), ("restored", plain)]
    rows += [(f"restored, steady {s:g}", steadied(given, restored, s)) for s in strengths]
    for name, frames in rows:
        values = [still_change(clean, frames), flicker(given, frames, clean, STILL)]
        values += [warp_change(frames, flows), *distances(clean, frames)]
        values += [psnr(np.square(np.subtract(frames, plain)).mean())]
        print(SHOWN.format(name, *(f"{value:.2f}" for value in values)), flush=True)


def still_change(clean: list[Frame], frames: list[Frame]) -> float:
    """RMS change from frame to frame where the clip stands still, in levels of 255."""
    squares: list[NDArray[np.float32]] = []
    for n in range(1, len(clean)):
        still = np.abs(clean[n] - clean[n - 1]).max(axis=-1) < STILL
        squares.append(np.square(frames[n] - frames[n - 1])[still].ravel())
    return 255 * float(np.sqrt(np.concatenate(squares).mean()))


def motion(clean: list[Frame]) -> Iterator[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
    """For each frame but the first: where its pixels were before, and which of them are sure."""
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(from_unit(frame, np.uint8), cv2.COLOR_RGB2GRAY) for frame in clean]
    rows, columns = np.indices(grey[0].shape, dtype=np.float32)
    here = np.stack([columns, rows], axis=-1)
    for before, now in pairwise(grey):
        back = finder.calc(now, before, None)
        forth = warped(finder.calc(before, now, None), here + back)
        gap = np.square(back + forth).sum(axis=-1)
        sure = gap < 0.01 * (np.square(back).sum(axis=-1) + np.square(forth).sum(axis=-1)) + 0.5
        there = here + back
        inside = (there >= 0).all(-1) & (there <= np.array(now.shape[::-1]) - 1).all(-1)
        yield there, sure & inside


def warped(values: Frame, places: NDArray[np.float32]) -> Frame:
    return cv2.remap(values, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def warp_change(
    frames: list[Frame], flows: list[tuple[NDArray[np.float32], NDArray[np.bool_]]]
) -> float:
    """RMS change along the clip's motion (Lai et al., 2018), in levels of 255."""
    means = [
        float(np.square(frames[n] - warped(frames[n - 1], places))[sure].mean())
        for n, (places, sure) in enumerate(flows, 1)
        if sure.any()
    ]
    return 255 * float(np.sqrt(np.mean(means)))


def distances(clean: list[Frame], frames: list[Frame]) -> tuple[float, float]:
    """PSNR to the clip: of everything, and of what moves by more than twelve levels."""
    squares = np.square(np.subtract(frames, clean))[1:]
    moving = np.abs(np.diff(clean, axis=0)).max(axis=-1) > 3 * STILL
    return psnr(squares.mean()), psnr(squares[moving].mean() if moving.any() else np.nan)


def psnr(square: float) -> float:
    return float(-10 * np.log10(square)) if square else float("inf")


def report_cut(
    given: list[Frame], restored: list[Frame], strengths: list[float], first: int
) -> None:
    """Compare frames behind a cut with what they are where the clip starts there."""
    for strength in strengths:
        whole = steadied(given, restored, strength)[first:]
        alone = steadied(given[first:], restored[first:], strength)
        gap = 255 * np.abs(np.subtract(whole, alone)).max()
        print(f"steady {strength:g}: the frames behind the cut differ by {gap:.0f} levels at most")


if __name__ == "__main__":
    main()
