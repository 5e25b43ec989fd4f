"""Detectors in files and by name."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from multiaxis.errors import ConfigError, MultiaxisError, WeightsError
from multiaxis.models.maxvit import MaxViT
from multiaxis.models.store import save_network
from multiaxis.tasks.detect.networks.config import (
    AnchorConfig,
    BoxLossConfig,
    DetectorConfig,
    RegionConfig,
    ResNetConfig,
    RetinaConfig,
)
from multiaxis.tasks.detect.networks.store import create_network, open_network, read_config
from multiaxis.tasks.detect.networks.variants import NETWORKS
from multiaxis.weights.store import write_safetensors
from small_detector import BODY, KINDS, MASK, RETINA, detector


@pytest.mark.parametrize("kind", ["retina", "cascade"])
def test_what_is_saved_opens_again(kind: str, tmp_path: Path) -> None:
    network = detector(KINDS[kind]).eval()
    save_network(network, tmp_path / "a.safetensors", {"labels": "cat"})
    again = open_network(tmp_path / "a.safetensors")
    assert again.config == network.config
    assert not again.training
    picture = torch.rand(3, 70, 50)
    with torch.inference_mode():
        before, now = network([picture])[0], again([picture])[0]
    for name in ("boxes", "scores", "labels"):
        assert torch.equal(before[name], now[name])


@pytest.mark.parametrize("name", NETWORKS)
def test_configurations_survive_json(name: str) -> None:
    config = NETWORKS[name]
    assert read_config(json.loads(json.dumps(asdict(config)))) == config


def test_the_papers_recipe_is_the_default() -> None:
    """Sheet of downstream uses, section 2."""
    config = NETWORKS["maxvit_tiny_cascade"]
    assert config.backbone.windows == ((28, 28), (28, 28))
    assert config.backbone.table_windows == ((7, 7), (7, 7))
    assert config.pyramid.levels == (3, 7)
    head = config.head
    assert isinstance(head, RegionConfig)
    assert (head.ious, head.background, head.class_agnostic) == ((0.6, 0.7), 0.5, True)
    assert (head.scores, head.losses) == ("logits", "mean")
    assert (head.samples, head.positives) == (512, 0.25)
    assert head.loss.delta == 1
    assert head.proposals.loss.delta == 1 / 9
    assert (head.proposals.matched, head.proposals.unmatched) == (0.7, 0.3)
    assert (config.score, config.nms, config.most) == (0.05, 0.5, 100)


@pytest.mark.parametrize(
    "change",
    [
        {"classes": 0},
        {"classes": True},
        {"norm": "layer"},
        {"mean": [0.5]},
        {"std": [0, 1, 1]},
        {"head": "retina"},
        {"anchors": {"ratios": []}},
        {"anchors": {"size": float("nan")}},
        {"anchors": {"scales": 10**9}},
        {"head": {"ious": [0.5, 0.6], "class_agnostic": False}},
        {"head": {"ious": [0.4]}},
        {"head": {"ious": [0.6], "convs": 10**4}},
        {"head": {"ious": [0.6], "hidden": [0]}},
        {"head": {"ious": [0.6], "scores": "sum"}},
        {"head": {"ious": [0.6], "masks": {"width": 0}}},
        {"head": {"ious": [0.6], "proposals": {"before": [1, 0]}}},
        {"head": {"convs": 2, "loss": {"delta": 0}}},
        {"head": {"convs": "2"}},
        {"head": {"matched": 0.3, "unmatched": 0.4}},
        {"backbone": {"layers": 50}},
        {"backbone": {"widths": "x"}},
        {"pyramid": {"levels": "ab"}},
        {"pyramid": {"channels": None}},
        {"more": 1},
        [],
    ],
)
def test_impossible_configurations_are_refused(change: Any) -> None:
    with pytest.raises(ConfigError):
        read_config(change)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    network = detector(RETINA)
    state, stated = network.state_dict(), asdict(network.config)
    for tensors, metadata in (
        (MaxViT(BODY).state_dict(), {"config": json.dumps(asdict(BODY))}),
        (state, {}),
        (state, {"config": "{"}),
        (state, {"config": json.dumps({**stated, "classes": 4})}),
        (state, {"config": json.dumps({**stated, "classes": 10**9})}),
        ({**state, "maps.more": torch.zeros(1)}, {"config": json.dumps(stated)}),
    ):
        write_safetensors(path, tensors, metadata)
        with pytest.raises(WeightsError, match="a.safetensors"):
            open_network(path)


def test_a_detector_of_other_classes_is_a_start(tmp_path: Path, caplog: Any) -> None:
    name = "maxvit_pico_maskrcnn"
    first = create_network(name, classes=3)
    save_network(first, tmp_path / "a.safetensors")
    second = create_network(name, weights=tmp_path / "a.safetensors", classes=1)
    ours, theirs = second.state_dict(), first.state_dict()
    new = [n for n in ours if ours[n].shape != theirs[n].shape]
    assert {n.rsplit(".", 2)[-2] for n in new} == {"classes", "mask_fcn_logits"}
    assert all(torch.equal(ours[n], theirs[n]) for n in ours if n not in new)
    assert "other classes" in caplog.text


def test_a_backbone_is_a_start(tmp_path: Path) -> None:
    config = NETWORKS["maxvit_pico_retinanet"].backbone
    model = MaxViT(replace(config, num_classes=5, image_size=224, window_policy="pad"))
    path = tmp_path / "pico.safetensors"
    stated = json.dumps(asdict(model.config))
    write_safetensors(path, model.state_dict(), {"config": stated})
    network = create_network("maxvit_pico_retinanet", weights=path, classes=2)
    before, after = model.state_dict(), network.maps.backbone.state_dict()
    for name, tensor in after.items():
        if "table" not in name:
            assert torch.equal(tensor, before[name])
    with pytest.raises(ConfigError, match="ResNet"):
        create_network("resnet18_retinanet", weights=path)


def test_parts_are_changed_by_name() -> None:
    network = create_network("maxvit_pico_retinanet", classes=7, head={"convs": 1, "gamma": 2.0})
    head = network.config.head
    assert isinstance(head, RetinaConfig)
    assert (network.config.classes, head.convs, head.gamma) == (7, 1, 2.0)
    with pytest.raises(ConfigError, match="did you mean convs"):
        create_network("maxvit_pico_retinanet", head={"conv": 1})
    with pytest.raises(ConfigError, match="maxvit_pico_retinanet"):
        create_network("maxvit_pico_retina")


def test_defaults_are_values() -> None:
    assert DetectorConfig() == DetectorConfig()
    assert hash(MASK) == hash(replace(MASK))
    assert {AnchorConfig(), BoxLossConfig(), ResNetConfig()}
    assert isinstance(MultiaxisError(), Exception)
