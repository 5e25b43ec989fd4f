"""Score denoisers of colour noise on a list of photographs, such as CBSD68.

    python benchmarks/denoise.py FOLDER --list cbsd68.txt --sigma 15 25 50 \
        --weights denoise-nano runs/nano-denoise/weights.safetensors [--bm3d]

Noise is Gaussian with a seed for each photograph, neither clipped nor rounded, as the literature
has it; with --files clipped and rounded to 8 bits, as a file holds it. PSNR in dB on RGB, peak 255,
of the whole picture, the restored one clipped; the mean over the photographs. --bm3d runs the
package bm3d (colour, which is told the strength) beside it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from multiaxis.data.pictures import Pictures
from multiaxis.tasks.restore.engine import Engine
from multiaxis.tasks.restore.frame import restore_frames
from multiaxis.zoo import open_model

Denoiser = Callable[[np.ndarray, float], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--list", type=Path, help="names of the photographs, one in a line")
    parser.add_argument("--sigma", nargs="+", type=float, default=[25.0])
    parser.add_argument("--weights", nargs="*", default=[])
    parser.add_argument("--bm3d", action="store_true")
    parser.add_argument("--files", action="store_true")
    parser.add_argument("--count", type=int, help="only the first so many")
    options = parser.parse_args()
    names = sorted(p.name for p in options.folder.iterdir())
    if options.list:
        names = options.list.read_text().split()
    photographs = Pictures([options.folder / n for n in names][: options.count])
    denoisers: dict[str, Denoiser] = {name: _maxim(name) for name in options.weights}
    if options.bm3d:
        denoisers["bm3d"] = _bm3d
    print("| sigma | noisy | " + " | ".join(f"{name} dB, s/MP" for name in denoisers) + " |")
    print("| --- " * (len(denoisers) + 2) + "|")
    for sigma in options.sigma:
        _score(photographs, sigma, denoisers, files=options.files)


def _score(
    photographs: Pictures, sigma: float, denoisers: dict[str, Denoiser], *, files: bool
) -> None:
    scores: dict[str, list[float]] = {name: [] for name in ("noisy", *denoisers)}
    seconds, pixels = dict.fromkeys(denoisers, 0.0), 0
    for number in range(len(photographs)):
        clean = photographs.read(number).astype(np.float32) / 255
        rng = np.random.default_rng((25, number))
        noisy = clean + rng.standard_normal(clean.shape, np.float32) * np.float32(sigma / 255)
        if files:
            noisy = np.rint(np.clip(noisy, 0, 1) * 255) / np.float32(255)
        pixels += clean.shape[0] * clean.shape[1]
        scores["noisy"].append(_psnr(noisy, clean))
        for name, denoise in denoisers.items():
            start = time.monotonic()
            restored = denoise(noisy, sigma)
            seconds[name] += time.monotonic() - start
            scores[name].append(_psnr(np.clip(restored, 0, 1), clean))
    cells = [f"{np.mean(scores['noisy']):.2f}"]
    cells += [f"{np.mean(scores[n]):.3f}, {seconds[n] / pixels * 1e6:.1f}" for n in denoisers]
    print(f"| {sigma:g} | " + " | ".join(cells) + " |", flush=True)


def _psnr(x: np.ndarray, clean: np.ndarray) -> float:
    return float(-10 * np.log10(np.square(x - clean, dtype=np.float64).mean()))


def _maxim(weights: str) -> Denoiser:
    engine = Engine(open_model(weights))

    def denoise(noisy: np.ndarray, _: float) -> np.ndarray:
        return restore_frames(engine, torch.from_numpy(noisy)[None]).frames[0].numpy()

    return denoise


def _bm3d(noisy: np.ndarray, sigma: float) -> np.ndarray:
    import bm3d

    return bm3d.bm3d_rgb(noisy, sigma / 255)


if __name__ == "__main__":
    main()
