"""Score a refiner on parts of clean photographs that are spoilt in a known way.

    python benchmarks/refine.py PHOTOGRAPHS REFINER [--with gaussian-noise:sigma=50,levels]
        [--count 16] [--steps 5 10 20 50] [--means 1 4 16] [--picture FILE.png]

Each photograph is shrunk by 2 and gives parts of 128 x 128, spoilt by a seed for each. For the
prediction and for averages of answers, by the number of steps and of answers: PSNR (dB, RGB, the
mean over the parts); detail, the mean square of the Laplacian relative to the clean part's, the
median over the parts (1 is right); and how far all patches of 64 x 64 are from the clean ones as a
set, by eleven numbers of sharpness and of BRISQUE, as NIQE compares them (Frechet distance; lower
is better). Then, for each number of steps, what the answers' spread tells of the error of their
mean: the root mean square of both (equal is right), and the rank correlation of both over blocks
of 8 x 8.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from multiaxis import Restorer, Sampling
from multiaxis.degrade import parse_chain
from multiaxis.images import Picture
from multiaxis.score.correlation import rank_correlation
from multiaxis.score.sets import frechet_distance
from multiaxis.tasks.rate.statistics import STATISTICS, measure
from multiaxis.tasks.restore.refine.refiner import sharpness
from multiaxis.tasks.restore.samples import CleanPhotographs

SIDE, PATCH, BLOCK = 128, 64, 8
SEEN = [
    k for k, name in enumerate(STATISTICS) if name.startswith(("sharp", "mscn", "across", "down"))
]


def parts(folder: Path, chain: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Give clean parts, and the same spoilt."""
    source = CleanPhotographs(
        folder=str(folder), degrade=parse_chain(chain), crop=SIDE, shrink=(2,), repeat=count
    ).open()
    pairs = [source.sample(k, np.random.default_rng((26, k))) for k in range(count)]
    clean, spoilt = (np.stack([pair[name] for pair in pairs]) for name in ("target", "degraded"))
    return clean, spoilt.clip(0, 1)


def row(name: str, made: np.ndarray, clean: np.ndarray, seconds: float) -> str:
    error = ((made - clean) ** 2).mean(axis=(1, 2, 3))
    detail = [
        sharpness(torch.from_numpy(a)[None]) / sharpness(torch.from_numpy(b)[None])
        for a, b in zip(made, clean, strict=True)
    ]
    truth = natural(clean)
    mean, deviation = truth.mean(axis=0), truth.std(axis=0)
    distance = frechet_distance((truth - mean) / deviation, (natural(made) - mean) / deviation)
    decibels = float((-10 * np.log10(error)).mean())
    return f"| {name} | {decibels:.2f} | {np.median(detail):.2f} | {distance:.1f} | {seconds:.1f} |"


def natural(pictures: np.ndarray) -> np.ndarray:
    levels = np.rint(255 * pictures.clip(0, 1)).astype(np.uint8)
    starts = range(0, SIDE, PATCH)
    patches = [one[y : y + PATCH, x : x + PATCH] for one in levels for y in starts for x in starts]
    return np.stack([measure(np.ascontiguousarray(patch))[SEEN] for patch in patches])


def told(answers: np.ndarray, clean: np.ndarray) -> str:
    """Say what the spread of answers tells of the error of their mean."""
    count = answers.shape[1]
    variance = answers.var(axis=1, ddof=1) * (1 + 1 / count)  # of another answer, from their mean
    error = (answers.mean(axis=1) - clean) ** 2
    both = [np.sqrt(in_blocks(x)) for x in (variance, error)]
    correlation = rank_correlation(*(x.ravel() for x in both))
    return f"{np.sqrt(variance.mean()):.4f}, {np.sqrt(error.mean()):.4f}, {correlation:.2f}"


def in_blocks(x: np.ndarray) -> np.ndarray:
    count = SIDE // BLOCK
    return x.reshape(-1, count, BLOCK, count, BLOCK, 3).mean(axis=(2, 4, 5))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("refiner", help="a name or a file")
    parser.add_argument("--with", dest="chain", default="gaussian-noise:sigma=50,levels")
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--steps", type=int, nargs="+", default=[5, 10, 20, 50])
    parser.add_argument("--means", type=int, nargs="+", default=[1, 8], help="answers in a mean")
    parser.add_argument("--picture", type=Path, help="four answers of each part, at the last steps")
    words = parser.parse_args()
    torch.set_num_threads(1)
    clean, spoilt = parts(words.photographs, words.chain, words.count)
    print(
        "| answer | dB | detail | unnaturalness | CPU s a part |\n| --- | --- | --- | --- | --- |"
    )
    print(row("input", spoilt, clean, 0), flush=True)
    most, spreads = max(words.means), list[str]()
    answers, predicted = np.empty(0), np.empty(0)
    for steps in words.steps:
        sampling = Sampling(samples=most, steps=steps, keep="each")
        restorer = Restorer("denoise", weights=words.refiner, sampling=sampling, device="cpu")
        if steps == words.steps[0]:
            begun = time.process_time()
            with torch.inference_mode():
                given = torch.from_numpy(spoilt).permute(0, 3, 1, 2)
                made = restorer.models[0](given).clamp(0, 1)
            predicted = made.permute(0, 2, 3, 1).numpy()
            seconds = (time.process_time() - begun) / len(spoilt)
            print(row("prediction", predicted, clean, seconds), flush=True)
        begun = time.process_time()
        pictures = [restorer.draw_pictures(Picture(part))[0] for part in spoilt]
        drawn = [np.stack([answer.pixels for answer in answers]) for answers in pictures]
        answers = np.stack(drawn)
        seconds = (time.process_time() - begun) / answers.shape[0] / most
        for count in words.means:
            name = f"mean of {count}" if count > 1 else "one"
            mean = answers[:, :count].mean(axis=1)
            print(row(f"{name}, {steps} steps", mean, clean, count * seconds), flush=True)
        if most > 1:
            spreads.append(f"{steps} steps: {told(answers, clean)}")
    print("spread, error of the mean, their rank correlation", *spreads, sep="\n", flush=True)
    if words.picture:
        draw(words.picture, spoilt, predicted, answers, clean)


def draw(
    path: Path, spoilt: np.ndarray, predicted: np.ndarray, answers: np.ndarray, clean: np.ndarray
) -> None:
    """Put input, prediction, four answers, mean, spread (white is .1) and truth side by side."""
    spread = answers.std(axis=1, ddof=1).mean(axis=-1, keepdims=True) * 10
    spread = np.repeat(spread, 3, axis=-1)
    four = [answers[:, k] for k in range(4)]
    columns = [spoilt, predicted, *four, answers.mean(axis=1), spread, clean]
    rows = [np.concatenate([column[k] for column in columns], axis=1) for k in range(len(clean))]
    levels = np.rint(np.concatenate(rows).clip(0, 1) * 255).astype(np.uint8)
    Image.fromarray(levels).save(path)


if __name__ == "__main__":
    main()
