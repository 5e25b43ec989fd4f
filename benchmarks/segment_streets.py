"""Street scenes: a small MaxViT beside a ResNet-10 of equal time, trained the same way, in turns.

    python benchmarks/segment_streets.py STREETS OUTPUT [--steps OURS PEER] [--seed 0]

STREETS holds the folders train, trainannot, val and valannot of CamVid. Both see the same samples
in the same order, and steps may differ, so that they take equal time. The same command goes on
with what was stopped. The peer is the feature pyramid
of segmentation_models_pytorch around timm's resnet10t, both without ImageNet weights.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import segmentation_models_pytorch
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from turns import take_turns

from multiaxis.tasks.recipes import get_recipe
from multiaxis.tasks.segment.network import build_network
from multiaxis.tasks.segment.recipes import STREETS
from multiaxis.train.override import override
from multiaxis.train.recipe import Recipe

CLASSES = len(STREETS.split(","))


class Padded(nn.Module):
    """A network that needs multiples of 32, for pictures of any size."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Pad to a multiple of 32, and cut the answer to the size of the picture."""
        height, width = x.shape[2:]
        padded = nn.functional.pad(x, (0, -width % 32, 0, -height % 32))
        return self.network(padded)[:, :, :height, :width]


def build(name: str, recipe: Recipe) -> nn.Module:
    torch.manual_seed(recipe.run.seed)
    if name == "maxvit":
        decoder = recipe.objective.decoder  # pyright: ignore[reportAttributeAccessIssue]
        return build_network(recipe.model.name, decoder, CLASSES, config=recipe.model.config)
    peer = segmentation_models_pytorch.FPN(
        "tu-resnet10t",
        encoder_weights=None,
        classes=CLASSES,
        decoder_pyramid_channels=64,
        decoder_segmentation_channels=64,
    )
    return Padded(peer)


def measure(network: nn.Module, crop: tuple[int, int]) -> dict[str, float]:
    x = torch.zeros(1, 3, *crop)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(x)
    network.train()
    return {
        "gmacs": counter.get_total_flops() / 2e9,
        "parameters": sum(p.numel() for p in network.parameters()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("streets", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--steps", type=int, nargs=2, default=(480, 480), metavar=("OURS", "PEER"))
    parser.add_argument("--seed", type=int, default=0)
    words = parser.parse_args()
    folders = {"data": ("train", "trainannot"), "valid": ("val", "valannot")}
    changes = [f"run.steps={max(words.steps)}", f"run.seed={words.seed}", "run.tracker=none"]
    for part, (pictures, labels) in folders.items():
        changes.append(f"{part}.pictures={words.streets / pictures}")
        changes.append(f"{part}.labels={words.streets / labels}")
    changes += ["run.save_every=50", "run.validate_every=100", "run.log_every=10"]
    recipe = override(get_recipe("segment-streets"), changes)
    contenders: dict[str, tuple[Recipe, nn.Module]] = {}
    for name, steps in zip(("maxvit", "resnet10t"), words.steps, strict=True):
        run = replace(recipe.run, steps=steps)
        network = build(name, recipe)
        print(name, measure(network, (160, 224)))
        contenders[name] = (replace(recipe, name=f"streets-{name}", run=run), network)
    take_turns(contenders, words.output)


if __name__ == "__main__":
    main()
