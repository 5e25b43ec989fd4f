"""Train a small MaxViT and a ResNet of equal cost on small pictures, in one run and alike.

    python tools/prepare_cifar.py DATA/cifar10 cifar
    python benchmarks/cifar.py cifar OUTPUT [--set FIELD=VALUE ...] [--seconds 3600]

Both train by the recipe maxvit-cifar with the same changes, samples, augmentation, schedule,
optimiser and steps, at the same time, with one thread each. The ResNet has the width that brings
its multiply-adds nearest to MaxViT's. With --seconds, the steps are as many as the slower of the
two does in that time. Each folder OUTPUT/NAME gets the training's log, and curve.jsonl: step, CPU
seconds of the training's thread so far, and the score in %. --only trains one of the two.
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

from multiaxis.recipes import Recipe, get_recipe
from multiaxis.recipes.override import override
from multiaxis.train import train
from multiaxis.train.log import Report
from multiaxis.train.session import build_model

REHEARSED = 60  # steps, of which the second half is timed


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
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """Give logits."""
        x = x.contiguous(memory_format=torch.channels_last)
        return self.head(self.blocks(self.stem(x)).mean(dim=(2, 3)))


def main() -> None:
    options = _options()
    recipe = _recipe(options)
    side = recipe.data.size  # type: ignore[union-attr]
    config = _of_equal_cost(multiply_adds(build_model(recipe.model), side), side, options.depth)
    names = [options.only] if options.only else ["maxvit", "resnet"]
    for name in names:
        model = _model(name, recipe, config)
        count = sum(p.numel() for p in model.parameters())
        print(
            f"{name}: {count:,} parameters, {multiply_adds(model, side) / 1e6:.2f} MMAC a picture"
        )
    if options.seconds:
        pace = max(_together(names, recipe, config, None))
        steps = int(options.seconds / pace)
        recipe = override(recipe, [f"run.steps={steps}"])
        print(f"{pace:.4f} CPU seconds a step: {steps} steps", flush=True)
    _together(names, recipe, config, options.output)


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
    parser.add_argument("--seconds", type=float, help="of each training; sets run.steps")
    parser.add_argument("--depth", type=int, default=2, help="the ResNet's blocks in a stage")
    parser.add_argument("--only", choices=("maxvit", "resnet"))
    return parser.parse_args()


def _recipe(options: argparse.Namespace) -> Recipe:
    words = [f"data.folder={options.folder / 'train'}", f"valid.folder={options.folder / 'test'}"]
    return override(get_recipe("maxvit-cifar"), [*words, "run.tracker=none", *options.set])


def _of_equal_cost(goal: float, side: int, depth: int) -> ResNetConfig:
    known = [ResNetConfig(depth=depth, width=width) for width in range(4, 49)]
    return min(known, key=lambda config: abs(multiply_adds(ResNet(config), side) - goal))


def _model(name: str, recipe: Recipe, config: ResNetConfig) -> nn.Module:
    torch.manual_seed(recipe.run.seed)
    return build_model(recipe.model) if name == "maxvit" else ResNet(config)


def _together(
    names: list[str], recipe: Recipe, config: ResNetConfig, output: Path | None
) -> list[float]:
    """Train in processes, at the same time; returns each one's CPU seconds a step."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(len(names)) as pool:
        works = [pool.apply_async(_train, (n, recipe, config, output)) for n in names]
        return [work.get() for work in works]


def _train(name: str, recipe: Recipe, config: ResNetConfig, output: Path | None) -> float:
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
        train(recipe, folder, model=_model(name, recipe, config), on_report=note)
    (before, early), (after, late) = marks[-2:]
    return (late - early) / (after - before) if after > before else 0.0


if __name__ == "__main__":
    main()
