"""Score small models beside their teachers and the inputs, and time both in turns.

    python tools/prepare_sets.py DATA sets
    python benchmarks/students.py sets derain denoise [--weights derain=runs/weights.safetensors]
        [--count 25] [--side 1024] [--pictures FOLDER]

For each set: PSNR in dB / SSIM of the input, the teacher and the student to the truth, and of the
student to the teacher, on 8-bit RGB and luma, means over the pictures (the first --count of them).
Times are the least of --turns passes each, teacher and student in turns, on random pixels of --side
squared. A set without targets, such as retouched photographs, is compared with the teacher alone.
--pictures writes input, teacher, student and truth side by side.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from multiaxis import Restorer, streamed
from multiaxis.images import from_unit
from multiaxis.score import get_protocol, pair_folders, score_pair
from multiaxis.tasks.restore.selection import models_of

SETS = {
    "derain": ["rain100h", "rain100l"],
    "denoise": ["polyu"],
    "enhance": ["lol"],
    "deblur": ["deblur"],
    "dehaze-indoor": ["sots-indoor"],
    "dehaze-outdoor": ["sots-outdoor"],
    "retouch": ["retouch"],
}
RULES = [get_protocol("rgb"), get_protocol("y")]
Levels = NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", type=Path)
    parser.add_argument("tasks", nargs="+", choices=SETS)
    parser.add_argument("--weights", nargs="*", default=[], help="TASK=FILE, instead of packaged")
    parser.add_argument("--count", type=int)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--dtype", default="float32", help="of the teacher's maps, for scores")
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    files = dict(word.split("=", 1) for word in options.weights)
    for task in options.tasks:
        teacher = Restorer(task, dtype=options.dtype)
        student = Restorer(task, weights=files.get(task) or models_of(task)["fast"])
        for name in SETS[task]:
            if (options.sets / name).is_dir():
                score(task, options.sets / name, (teacher, student), options)
        if options.turns:
            print(f"{task}: {times(teacher, student, options.side, options.turns)}", flush=True)


def score(
    task: str, folder: Path, models: tuple[Restorer, Restorer], options: argparse.Namespace
) -> None:
    """Print a table of a set; without targets the teacher stands for the truth."""
    sums: dict[str, list[list[float]]] = defaultdict(list)
    pictures = pairs(folder)[: options.count]
    for path, target in pictures:
        degraded = read(path)
        by_teacher, by_student = (levels(model, degraded) for model in models)
        compared = {"student to teacher": (by_student, by_teacher)}
        row = [degraded, by_teacher, by_student]
        if target is None:
            compared["input to teacher"] = degraded, by_teacher
        else:
            row.append(read(target))
            made = zip(("input", "teacher", "student"), row[:3], strict=True)
            compared |= {name: (picture, row[3]) for name, picture in made}
        for name, (one, wanted) in compared.items():
            found = [score_pair(one.astype(np.float32) / 255, wanted, rule) for rule in RULES]
            sums[name].append([value for one in found for value in (one.psnr, one.ssim)])
        if options.pictures:
            options.pictures.mkdir(parents=True, exist_ok=True)
            name = f"{task}-{folder.name}-{path.stem}.png"
            Image.fromarray(np.concatenate(row, axis=1)).save(options.pictures / name)
    print(f"\n{task}, {folder.name}, {len(pictures)} pictures\n")
    print("| | rgb | y |\n| --- | --- | --- |")
    for name, rows in sums.items():
        rgb, rgb_ssim, y, y_ssim = np.mean(rows, axis=0)
        print(f"| {name} | {rgb:.2f} / {rgb_ssim:.4f} | {y:.2f} / {y_ssim:.4f} |", flush=True)


def pairs(folder: Path) -> list[tuple[Path, Path | None]]:
    """List inputs with their targets, where there are any."""
    if (folder / "target").is_dir():
        return [
            (pair.input, pair.target) for pair in pair_folders(folder / "input", folder / "target")
        ]
    return [(path, None) for path in sorted((folder / "input").iterdir())]


def read(path: Path) -> Levels:
    """Read a picture in 8-bit RGB."""
    return np.asarray(Image.open(path).convert("RGB"))


def levels(model: Restorer, degraded: Levels) -> Levels:
    """Restore a picture to the 8 bits of a file."""
    made = model.restore_values(degraded.astype(np.float32) / np.float32(255))
    return from_unit(np.clip(made, 0, 1), np.uint8)


def times(teacher: Restorer, student: Restorer, side: int, turns: int) -> str:
    """Measure seconds of processor and of clock for a pixel, in turns."""
    x = torch.rand(1, 3, side, side)
    runs = [streamed(one.model) for one in (teacher, student)]
    least = [[float("inf")] * 2 for _ in runs]
    for _ in range(turns):
        for run, found in zip(runs, least, strict=True):
            start, clock = time.process_time(), time.perf_counter()
            run(x)
            spent = time.process_time() - start, time.perf_counter() - clock
            found[:] = map(min, found, spent)
    (cpu, wall), (cpu_student, wall_student) = (
        [value / side**2 * 1e6 for value in found] for found in least
    )
    ratios = f"{wall / wall_student:.1f} times as fast"
    of_processor = f"{cpu:.2f} and {cpu_student:.2f}, {cpu / cpu_student:.1f} times"
    return (
        f"teacher {wall:.2f} us a pixel, student {wall_student:.2f}, {ratios} (of processor time "
        f"{of_processor}), {side} squared, {torch.get_num_threads()} threads"
    )


if __name__ == "__main__":
    main()
