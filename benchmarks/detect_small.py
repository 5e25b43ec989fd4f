"""A small MaxViT beside a ResNet-18 under the same detector, trained the same way, in turns.

    python benchmarks/detect_small.py FOLDER TRAIN.json VAL.json OUTPUT [--head retinanet]
        [--steps OURS PEER] [--set FIELD=VALUE ...]

The recipe is detect-folder. Both see the same pictures in the same order with the same changes,
start from random weights, and have the same pyramid, heads, optimiser and average. Steps of both
may differ, so that they take equal time. The same command goes on with what was stopped.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn
from turns import take_turns

from multiaxis.tasks.detect.annotations import read_annotations
from multiaxis.tasks.detect.networks.store import create_network
from multiaxis.tasks.recipes import get_recipe
from multiaxis.train.override import override
from multiaxis.train.recipe import Recipe


def contender(recipe: Recipe, name: str, steps: int, classes: int) -> tuple[Recipe, nn.Module]:
    torch.manual_seed(recipe.run.seed)
    fields = recipe.model.config
    if not name.startswith("maxvit"):
        fields = {key: value for key, value in fields.items() if key != "backbone"}
    network = create_network(name, **{**fields, "classes": classes})
    model = replace(recipe.model, name=name, config={**fields})
    run = replace(recipe.run, steps=steps)
    return replace(recipe, name=name, model=model, run=run), network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("train")
    parser.add_argument("val")
    parser.add_argument("output", type=Path)
    parser.add_argument("--head", default="retinanet")
    parser.add_argument("--steps", type=int, nargs=2, default=(1400, 1400))
    parser.add_argument("--set", nargs="+", default=[], dest="words")
    options = parser.parse_args()
    changes = [f"data.folder={options.folder}", f"valid.folder={options.folder}"]
    changes += [f"data.annotations={options.train}", f"valid.annotations={options.val}"]
    changes += ["run.log_every=10", "run.validate_every=200", "run.save_every=100"]
    recipe = override(get_recipe("detect-folder"), [*changes, "run.tracker=none", *options.words])
    classes = len(read_annotations(options.train).classes)
    names = [f"{body}_{options.head}" for body in ("maxvit_pico", "resnet18")]
    take_turns(
        {
            name: contender(recipe, name, steps, classes)
            for name, steps in zip(names, options.steps, strict=True)
        },
        options.output,
    )


if __name__ == "__main__":
    main()
