"""Compare the streamed form with the plain one on real pictures with the published weights.

    python benchmarks/equality.py DEMO [--side 512]

DEMO holds a folder of sample inputs for each task (Denoising, Deblurring ...). Each picture's
middle, `--side` pixels long at most, goes through the plain model in float32 and through the
streamed form with float32 and bfloat16 maps. Printed are the largest difference of the float32
outputs, and the PSNR of the bfloat16 output against the float32 one (peak 1, not clipped).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from multiaxis import Restorer, psnr
from multiaxis.images import read_picture, to_unit
from multiaxis.tasks.restore.padding import reflect_padding

FOLDERS = {
    "denoise": "Denoising",
    "deblur": "Deblurring",
    "derain": "Deraining",
    "dehaze-indoor": "Dehazing",
    "dehaze-outdoor": "Dehazing",
    "enhance": "Enhancement",
    "retouch": "Enhancement",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("demo", type=Path)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--tasks", nargs="+", default=list(FOLDERS))
    options = parser.parse_args()
    print("| task | pictures | largest difference | bfloat16 PSNR, least dB | mean dB |")
    print("| --- | --- | --- | --- | --- |")
    for task in options.tasks:
        row = compare(task, sorted((options.demo / FOLDERS[task]).glob("*.png")), options.side)
        print(f"| {task} | {row} |", flush=True)


def compare(task: str, paths: list[Path], side: int) -> str:
    exact = Restorer(task, device="cpu")
    narrow = Restorer(task, device="cpu", dtype="bfloat16")
    differences: list[float] = []
    nearness: list[float] = []
    for path in paths:
        values = middle(to_unit(read_picture(path).pixels), side)
        streamed = exact.restore_values(values)
        differences.append(float(np.abs(streamed - plain(exact, values)).max()))
        nearness.append(psnr(narrow.restore_values(values), streamed, data_range=1))
    least, mean = min(nearness), sum(nearness) / len(nearness)
    return f"{len(paths)} | {max(differences):.1e} | {least:.1f} | {mean:.1f}"


def middle(values: np.ndarray, side: int) -> np.ndarray:
    top, left = (max(0, (length - side) // 2) for length in values.shape[:2])
    return values[top : top + side, left : left + side]


def plain(restorer: Restorer, values: np.ndarray) -> np.ndarray:
    plan = reflect_padding(*values.shape[:2], restorer.model.config.size_multiple)
    x = torch.from_numpy(values[plan.rows[:, None], plan.columns]).permute(2, 0, 1)[None]
    with torch.inference_mode():
        y = restorer.model(x)[0].permute(1, 2, 0).numpy()
    return y[plan.crop[0], plan.crop[1]]


if __name__ == "__main__":
    main()
