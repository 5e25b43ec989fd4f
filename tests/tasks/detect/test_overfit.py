"""Detectors learn eight pictures by heart: their losses and their results fit each other."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from multiaxis.tasks.detect.found import to_found
from multiaxis.tasks.detect.masks import encode
from multiaxis.tasks.detect.networks.config import DetectorConfig
from multiaxis.tasks.detect.networks.network import DetectionNetwork
from multiaxis.tasks.detect.precision import score
from multiaxis.tasks.detect.truth import Annotated, Category, Instance, Truth
from small_detector import CASCADE, FASTER, MASK, RETINA, shapes

SIZE = 96


def _truth(targets: list[dict[str, torch.Tensor]]) -> Truth:
    pictures, number = [], 0
    for k, target in enumerate(targets):
        things = []
        for box, label, mask in zip(
            *(target[n] for n in ("boxes", "labels", "masks")), strict=True
        ):
            number += 1
            left, top, right, bottom = box.tolist()
            things.append(
                Instance(
                    number,
                    int(label) - 1,
                    (left, top, right, bottom),
                    (left, top, right - left, bottom - top),
                    float(mask.sum()),
                    mask=encode(mask.numpy()),
                )
            )
        pictures.append(Annotated(k + 1, f"{k}.png", SIZE, SIZE, tuple(things)))
    classes = tuple(Category(k + 1, name) for k, name in enumerate(("square", "disc", "bar")))
    return Truth("shapes", classes, tuple(pictures))


def _train(
    config: DetectorConfig,
    pictures: list[torch.Tensor],
    targets: list[dict[str, torch.Tensor]],
    steps: int,
) -> tuple[DetectionNetwork, list[float]]:
    """Train on all pictures in each step; give the network and its losses."""
    torch.manual_seed(0)
    network, rate = DetectionNetwork(replace(config, score=0.05, most=100)).train(), 5e-3
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, steps)
    losses: list[float] = []
    for _ in range(steps):
        loss = sum(value.mean() for value in network(pictures, targets).values())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
    return network, losses


def _learn(config: DetectorConfig, steps: int) -> dict[str, float]:
    """Train on eight pictures; give AP50 of boxes and masks."""
    pictures, targets = shapes(8, (SIZE, SIZE))
    network, _ = _train(config, pictures, targets, steps)
    with torch.inference_mode():
        found = [to_found(made, (SIZE, SIZE), (SIZE, SIZE)) for made in network.eval()(pictures)]
    rows = [row for k, one in enumerate(found) for row in one.as_results(k + 1, (1, 2, 3))]
    truth = _truth(targets)
    kinds = ("bbox", "segm") if config.finds_masks else ("bbox",)
    return {kind: score(truth, rows, kind).figures["AP50"] for kind in kinds}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "steps"), [(RETINA, 200), (FASTER, 200), (MASK, 200), (CASCADE, 200)]
)
def test_eight_pictures_are_learnt_by_heart(config: DetectorConfig, steps: int) -> None:
    found = _learn(config, steps)
    assert min(found.values()) > 0.95, found


@pytest.mark.thorough
@pytest.mark.parametrize("config", [RETINA, CASCADE], ids=["retina", "cascade"])
def test_losses_fall(config: DetectorConfig) -> None:
    _, losses = _train(config, *shapes(2, (64, 64)), steps=12)
    assert losses[-1] < 0.75 * losses[0]
