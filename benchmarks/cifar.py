"""Train a small MaxViT and two ResNets of equal cost on small pictures, in one run and alike.

    python tools/prepare_cifar.py DATA/cifar10 cifar
    python benchmarks/cifar.py cifar OUTPUT [--set FIELD=VALUE ...] [--seconds 3600]

All train by the recipe maxvit-cifar with the same changes, samples, augmentation, schedule,
optimiser and steps, with one thread each: MaxViT on one core, the ResNets one after the other on
another. "resnet" has the width that brings its multiply-adds nearest to MaxViT's, "resnet-wide"
the one whose steps take as long. With --seconds, the steps are as many as MaxViT does in that
time. Each folder OUTPUT/NAME gets the training's log, and curve.jsonl: step, CPU seconds of the
training's thread so far, and the score in %. --only trains one of them.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from multiaxis.tasks.recipes import get_recipe
from multiaxis.train import train
from multiaxis.train.build import build_model
from multiaxis.train.log import Report
from multiaxis.train.override import override
from multiaxis.train.recipe import Recipe

REHEARSED = 400  # steps, of which the second half is timed: by then all pictures are decoded


@dataclass(frozen=True)
class ResNetConfig:
    """Blocks of each of four stages, the first one's channels, and the stem's stride."""

    depth: int = 2
    width: int = 16
    stride: int = 2
    num_classes: int = 10


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or before != width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Add both."""
        return torch.relu(self.body(x) + self.shortcut(x))


class ResNet(nn.Module):
    """ResNet-18 (He et al.; two blocks a stage), narrower, with a stem of 3 x 3 and no pooling."""

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, config.stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
        blocks: list[nn.Module] = []
        before = width
        for stage in range(4):
            for k in range(config.depth):
                now = width << stage
                blocks.append(BasicBlock(before, now, 2 if stage and not k else 1))
                before = now
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(before, config.num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """Give logits."""
        x = x.contiguous(memory_format=torch.channels_last)
        return self.head(self.blocks(self.stem(x)).mean(dim=(2, 3)))


def main() -> None:
    options = _options()
    recipe = _recipe(options)
    side = recipe.data.size
    wanted = [options.only] if options.only else ["maxvit", "resnet", "resnet-wide"]
    maxvit = build_model(recipe.model)
    models: dict[str, ResNetConfig | None] = {"maxvit": None}
    models["resnet"] = _of_equal_work(multiply_adds(maxvit, side), side, options.depth)
    pace = _together({"maxvit": None}, recipe, None)[0]
    if options.seconds:
        recipe = override(recipe, [f"run.steps={int(options.seconds / pace)}"])
    print(f"MaxViT takes {pace:.4f} CPU seconds a step: {recipe.run.steps} steps", flush=True)
    if "resnet-wide" in wanted:
        models["resnet-wide"] = _of_equal_time(pace, recipe, options.depth)
    models = {name: models[name] for name in wanted}
    for name, config in models.items():
        model = _model(config, recipe)
        count = sum(p.numel() for p in model.parameters())
        cost = multiply_adds(model, side) / 1e6
        print(f"{name}: {count:,} parameters, {cost:.2f} MMAC a picture", flush=True)
    _together(models, recipe, options.output)


def multiply_adds(model: nn.Module, side: int) -> float:
    """Count those of one picture."""
    model.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, side, side))
    model.train()
    return counter.get_total_flops() / 2


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="with train and test")
    parser.add_argument("output", type=Path)
    parser.add_argument("--set", nargs="*", default=[], help="fields of the recipe")
    parser.add_argument("--seconds", type=float, help="of MaxViT's training; sets run.steps")
    parser.add_argument("--depth", type=int, default=2, help="the ResNets' blocks in a stage")
    parser.add_argument("--only", choices=("maxvit", "resnet", "resnet-wide"))
    return parser.parse_args()


def _recipe(options: argparse.Namespace) -> Recipe:
    words = [f"data.folder={options.folder / 'train'}", f"valid.folder={options.folder / 'test'}"]
    return override(get_recipe("maxvit-cifar"), [*words, "run.tracker=none", *options.set])


def _of_equal_work(goal: float, side: int, depth: int) -> ResNetConfig:
    known = [ResNetConfig(depth=depth, width=width) for width in range(4, 49)]
    return min(known, key=lambda config: abs(multiply_adds(ResNet(config), side) - goal))


def _of_equal_time(goal: float, recipe: Recipe, depth: int) -> ResNetConfig:
    # Steps of 8: between them the time of a convolution jumps about with its channels.
    known = [ResNetConfig(depth=depth, width=width) for width in (24, 32, 40)]
    paces = [_together({"resnet": config}, recipe, None)[0] for config in known]
    for config, pace in zip(known, paces, strict=True):
        print(f"ResNet of width {config.width}: {pace:.4f} CPU seconds a step", flush=True)
    return known[min(range(len(known)), key=lambda k: abs(paces[k] - goal))]


def _model(config: ResNetConfig | None, recipe: Recipe) -> nn.Module:
    torch.manual_seed(recipe.run.seed)
    return ResNet(config) if config else build_model(recipe.model)


def _together(
    models: dict[str, ResNetConfig | None], recipe: Recipe, output: Path | None
) -> list[float]:
    """Train in two processes at most, at the same time; returns each one's CPU seconds a step."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(len(models), 2), maxtasksperchild=1) as pool:
        works = [
            pool.apply_async(_train, (name, config, recipe, output))
            for name, config in models.items()
        ]
        return [work.get() for work in works]


def _train(name: str, config: ResNetConfig | None, recipe: Recipe, output: Path | None) -> float:
    torch.set_num_threads(1)
    marks: list[tuple[int, float]] = []
    start = time.process_time()

    def note(report: Report) -> None:
        marks.append((report.step, time.process_time() - start))
        if report.score is None or output is None:
            return
        entry = {"step": report.step, "seconds": round(marks[-1][1], 1), "score": report.score}
        with (output / name / "curve.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        print(name, json.dumps(entry), flush=True)

    if output is None:
        half = {"steps": REHEARSED, "log_every": REHEARSED // 2}
        short = replace(recipe.run, **half)
        optim = replace(recipe.optim, warmup=0)
        recipe = replace(recipe, run=short, optim=optim, valid=None)
    with tempfile.TemporaryDirectory() as rehearsal:
        folder = Path(rehearsal) if output is None else output / name
        train(recipe, folder, models={"model": _model(config, recipe)}, on_report=note)
    (before, early), (after, late) = marks[-2:]
    return (late - early) / (after - before) if after > before else 0.0


if __name__ == "__main__":
    main()
