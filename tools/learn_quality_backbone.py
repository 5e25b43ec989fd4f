"""Learn the small backbone that comes with the package for ratings, from photographs alone.

    python tools/learn_quality_backbone.py PHOTOGRAPHS OUTPUT [--steps 3000] [--workers 4] [--peer]

PHOTOGRAPHS is a folder of clean pictures. Crops of them are spoilt in up to eight ways at once, and
a MaxViT-pico tells how much of each there is, and which photograph it sees. No rating is used. The
same command goes on with what was stopped. OUTPUT/backbone.safetensors is the model without heads.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from multiaxis import create_model
from multiaxis.data.batch import Batch
from multiaxis.data.pictures import find_pictures, read_levels
from multiaxis.data.source import Arrays, Data, Source
from multiaxis.degrade.blur import Defocus, MotionBlur
from multiaxis.degrade.noise import GaussianNoise
from multiaxis.degrade.tone import Jpeg, Shrink
from multiaxis.models.maxvit.config import SMALL_DATA
from multiaxis.train import train
from multiaxis.train.log import Report
from multiaxis.train.objective import Metric, Models, Objective
from multiaxis.train.recipe import ModelChoice, Optim, Recipe, Run
from multiaxis.zoo import create_named

SIDE, LONGEST = 112, 1000  # pixels of crops, and of the longer side of what they are cut from
WAYS = ("defocus", "motion", "shrink", "gamma", "contrast", "colour", "noise", "jpeg")
SHARE = 0.4  # of crops that are spoilt in a given way
HELD_OUT = 4  # photographs

Pixels = NDArray[np.float32]


def spoil(x: Pixels, rng: np.random.Generator) -> tuple[Pixels, NDArray[np.float32]]:
    """Spoil a crop; give it with how much of each way there is, from 0 to 1."""
    much = np.where(rng.random(len(WAYS)) < SHARE, rng.random(len(WAYS)), 0).astype(np.float32)
    signs = rng.choice([-1.0, 1.0], len(WAYS))
    defocus, motion, shrink, gamma, contrast, colour, noise, jpeg = (float(v) for v in much)
    if defocus:
        x = Defocus(0.4 + 3.6 * defocus)(x, rng)
    if motion:
        x = MotionBlur(2 + 14 * motion, shake=float(rng.random()))(x, rng)
    if shrink:
        x = Shrink(1.1 + 2.9 * shrink)(x, rng)
    x = np.clip(x, 0, 1) ** np.float32(2 ** (1.5 * signs[3] * gamma))
    mean = x.mean(axis=(0, 1), keepdims=True)
    x = mean + (x - mean) * np.float32(2 ** (1.2 * signs[4] * contrast))
    grey = x.mean(axis=2, keepdims=True)
    x = np.clip(grey + (x - grey) * np.float32(2 ** (1.5 * signs[5] * colour)), 0, 1)
    much[3:6] *= signs[3:6]
    if noise:
        x = GaussianNoise(50 * noise**2)(x, rng)
    if jpeg:
        x = Jpeg(float(np.rint(96 - 76 * jpeg**1.5)))(np.clip(x, 0, 1), rng)
    return np.clip(x, 0, 1).astype(np.float32), much


@dataclass(frozen=True, kw_only=True)
class SpoiltCrops(Data):
    """Crops of the photographs of a folder; the last ones are held out."""

    folder: str
    held: bool = False

    def open(self) -> SpoiltSource:
        """Read the photographs."""
        return SpoiltSource(self)


class SpoiltSource(Source):
    """Opened `SpoiltCrops`."""

    def __init__(self, about: SpoiltCrops) -> None:
        paths = find_pictures(about.folder).paths
        self.count = len(paths)
        paths = paths[-HELD_OUT:] if about.held else paths[:-HELD_OUT]
        self.paths, self.is_fixed = paths, False
        self.pictures = [_small(path) for path in paths]

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        """Name the photograph."""
        return str(self.paths[index])

    def sample(self, index: int, rng: np.random.Generator) -> Arrays:
        """Cut a crop and spoil it."""
        picture = self.pictures[index]
        height, width = picture.shape[:2]
        part = int(rng.integers(SIDE, min(height, width) + 1) if rng.random() < 0.5 else SIDE)
        top, left = int(rng.integers(height - part + 1)), int(rng.integers(width - part + 1))
        box = (left, top, left + part, top + part)
        cut = Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box)
        x = np.asarray(cut, np.float32) / 255
        x = x[:, ::-1] if rng.random() < 0.5 else x
        x, much = spoil(np.ascontiguousarray(x), rng)
        return {"picture": x * 2 - 1, "much": much, "which": np.asarray(index, np.int64)}


def _small(path: Path) -> NDArray[np.uint8]:
    image = Image.fromarray(read_levels(path))
    image.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    return np.asarray(image)


class Errors(Metric):
    """Mean absolute error of all ways, and the correlation of each."""

    def add(self, models: Models, batch: Batch) -> None:
        """Compare what is found with what was done."""
        found = models["model"](batch["picture"])[:, : len(WAYS)]
        self.records += list(zip(found.tolist(), batch["much"].tolist(), strict=True))

    def compute(self) -> dict[str, float]:
        """Correlate each way."""
        found, wanted = np.array(self.records).transpose(1, 2, 0)
        each = {n: float(np.corrcoef(a, b)[0, 1]) for n, a, b in zip(WAYS, found, wanted)}  # noqa: B905
        return {"correlation": float(np.mean(list(each.values()))), **each}


class Spoiling(Objective):
    """How much of each way, and which photograph."""

    fields, score = ("picture", "much", "which"), "correlation"

    def __init__(self, photographs: int) -> None:
        self.photographs = photographs

    def build(self, choice: ModelChoice) -> dict[str, nn.Module]:
        """Build a model with both heads in one."""
        outputs = len(WAYS) + self.photographs
        return {"model": create_named(choice.name, None, {**choice.config, "num_classes": outputs})}

    def losses(self, models: Models, batch: Batch, turn: str) -> dict[str, Tensor]:
        """Give the loss of amounts and that of photographs."""
        found = models[turn](batch["picture"])
        much, which = found[:, : len(WAYS)], found[:, len(WAYS) :]
        return {
            "much": 10 * F.smooth_l1_loss(much, batch["much"], reduction="none", beta=0.2).mean(1),
            "which": 0.2 * F.cross_entropy(which, batch["which"], reduction="none"),
        }

    def metric(self) -> Errors:
        """Give an empty metric."""
        return Errors()


@dataclass(frozen=True, kw_only=True)
class SpoilingChoice:
    """The objective as a value."""

    def open(self, recipe: Recipe, source: Any) -> Spoiling:
        """Make the objective."""
        del recipe
        return Spoiling(len(source))


def recipe(folder: Path, steps: int, workers: int) -> Recipe:
    data = SpoiltCrops(folder=str(folder))
    return Recipe(
        name="quality-backbone",
        about="The small backbone for ratings",
        model=ModelChoice(name="maxvit_pico", config={**SMALL_DATA, "drop_path": 0.02}),
        data=data,
        valid=replace(data, held=True),
        valid_samples=256,
        objective=SpoilingChoice(),
        optim=Optim(kind="adamw", lr=2e-3, final_lr=1e-5, warmup=50, weight_decay=0.05, clip=1.0),
        run=Run(
            steps=steps, batch=24, ema=0.995, workers=workers, log_every=50, validate_every=500,
            save_every=100, tracker="none",
        ),
    )  # fmt: skip


def peer(photographs: int) -> nn.Module:
    """Build timm's ResNet-18 with both heads in one."""
    import timm

    torch.manual_seed(0)
    return timm.create_model("resnet18", num_classes=len(WAYS) + photographs, drop_rate=0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--workers", type=int, default=0, help="processes that spoil crops")
    parser.add_argument("--peer", action="store_true", help="let a ResNet-18 learn instead")
    words = parser.parse_args()

    begun = time.process_time()

    def show(report: Report) -> None:
        cpu = round(time.process_time() - begun)
        print(report.step, cpu, report.loss, report.score, report.scores, flush=True)

    about = recipe(words.photographs, words.steps, words.workers)
    models = {"model": peer(len(about.data.open()))} if words.peer else None
    outcome = train(about, words.output, models=models, on_report=show)
    if not words.peer:
        model = create_model("maxvit", weights=outcome.weights)
        model.reset_classifier(0, 0)
        model.save(words.output / "backbone.safetensors")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
