"""What --consistent costs: seconds and PSNR of an answer by rule, in turns.

    python benchmarks/consistent.py PHOTOGRAPH REFINER [--rules light ...] [--turns 3]

The photograph is shrunk by 2 and gives the 512 x 512 pixels of its middle, with noise of sigma 50
(seed 1, clipped as a file has it). CPU seconds are the least of all turns, on one thread.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from multiaxis import Restorer, Sampling, psnr
from multiaxis.images import Picture

SIDE, SIGMA, STEPS = 512, 50, 5
RULES = ["none", "light", "noise:sigma=50", "noise:sigma=30", "downscale:factor=4"]


def middle(path: Path) -> np.ndarray:
    image = Image.open(path).convert("RGB").reduce(2)
    top, left = (image.height - SIDE) // 2, (image.width - SIDE) // 2
    part = image.crop((left, top, left + SIDE, top + SIDE))
    return np.asarray(part, np.float32) / 255


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photograph", type=Path)
    parser.add_argument("refiner", type=Path)
    parser.add_argument("--rules", nargs="+", default=RULES)
    parser.add_argument("--turns", type=int, default=3)
    words = parser.parse_args()
    torch.set_num_threads(1)
    clean = middle(words.photograph)
    noise = np.random.default_rng(1).standard_normal(clean.shape, np.float32)
    noisy = np.clip(clean + SIGMA / 255 * noise, 0, 1)
    restorers = {
        rule: Restorer(
            "denoise",
            weights=words.refiner,
            sampling=Sampling(steps=STEPS, consistent=None if rule == "none" else rule),
            device="cpu",
        )
        for rule in words.rules
    }
    seconds: dict[str, list[float]] = {rule: [] for rule in restorers}
    decibels: dict[str, float] = {}
    for _ in range(words.turns):
        for rule, restorer in restorers.items():
            begun = time.process_time()
            (answer,), _ = restorer.draw_pictures(Picture(noisy))
            seconds[rule].append(time.process_time() - begun)
            decibels[rule] = psnr(answer.pixels, clean, data_range=1.0)
    print("| rule | CPU s | PSNR, dB |\n| --- | --- | --- |")
    for rule in restorers:
        print(f"| {rule} | {min(seconds[rule]):.2f} | {decibels[rule]:.2f} |")


if __name__ == "__main__":
    main()
