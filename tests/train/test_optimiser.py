"""What decays, and how fast each layer learns, in every kind of network that is trained."""

from __future__ import annotations

import pytest
from torch import nn

import small_detector
import small_maxim
from multiaxis.errors import ConfigError
from multiaxis.tasks.segment.config import DecoderConfig
from multiaxis.tasks.segment.network import build_network
from multiaxis.train.optimiser import make_optimiser
from multiaxis.train.recipe import Optim
from small_recipe import SMALL_VIT

NETWORKS = {
    "detector": lambda: small_detector.detector(small_detector.MASK),
    "segmenter": lambda: build_network(
        "maxvit", DecoderConfig(kind="unet", level=1, widths=(8, 8, 8)), 2, config=SMALL_VIT
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_around_a_maxvit_learn_by_its_layers(name: str) -> None:
    network = NETWORKS[name]()
    optim = Optim(kind="adamw", lr=1.0, weight_decay=0.1, layer_decay=0.5)
    groups = make_optimiser(network, optim).param_groups
    rates = {id(p): (g["lr"], g["weight_decay"]) for g in groups for p in g["params"]}
    named = {n: rates[id(p)] for n, p in network.named_parameters()}
    assert len(named) == sum(len(g["params"]) for g in groups)
    for path, (rate, decay) in named.items():
        outside = "backbone.stem" not in path and "backbone.stages" not in path
        assert (rate == 1) == outside, path
        plain = path.endswith(("bias", "table")) or "norm" in path
        assert decay == 0 or not plain, path
    deepest = [rate for path, (rate, _) in named.items() if "backbone.stem" in path]
    assert set(deepest) == {min(rate for rate, _ in named.values())}


def test_what_has_no_layers_in_order() -> None:
    for network in (small_maxim.model(1), nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))):
        assert len(make_optimiser(network, Optim(weight_decay=0.1)).param_groups) == 2
        with pytest.raises(ConfigError, match=r"layer_decay is 0\.5"):
            make_optimiser(network, Optim(layer_decay=0.5))
