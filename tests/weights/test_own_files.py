"""Files of our own models: what they state, what bare state dicts do not, and timm's form."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch

import small_maxim
import small_maxvit
from multiaxis import create_model, load_weights
from multiaxis.deploy.fold import fold
from multiaxis.errors import ConfigError, WeightsError
from multiaxis.models.maxvit import MaxViT, MaxViTConfig
from multiaxis.weights.contents import read_metadata
from multiaxis.weights.load import convert_weights

CONFIG = replace(
    small_maxvit.CONFIG,
    window_size=None,
    grid_size=None,
    image_size=96,
    window_policy="fit",
    drop_path=0.1,
)


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    mine, theirs = a.state_dict(), b.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[n], theirs[n]) for n in mine)


@pytest.mark.parametrize("name", ["maxvit", None])
def test_a_saved_model_opens_as_it_was(name: str | None, tmp_path: Path) -> None:
    saved = small_maxvit.lively(CONFIG)
    saved.about["author"] = json.dumps("somebody")
    saved.save(tmp_path / "a.safetensors")
    found = create_model(name, weights=tmp_path / "a.safetensors")  # pyright: ignore[reportCallIssue, reportArgumentType]
    assert found.config == saved.config
    assert same(found, saved)
    assert found.about["author"] == '"somebody"'
    found.save(tmp_path / "b.safetensors")
    assert read_metadata(tmp_path / "b.safetensors") == read_metadata(tmp_path / "a.safetensors")


@pytest.mark.thorough
def test_a_variants_name_keeps_what_the_file_states(tmp_path: Path) -> None:
    saved = create_model("maxvit_pico", num_classes=3, image_size=96, window_policy="fit")
    saved.save(tmp_path / "a.safetensors")
    found = create_model("maxvit_pico", weights=tmp_path / "a.safetensors")
    assert replace(found.config, scale_ratio=None) == saved.config
    assert found.config.table_windows == saved.config.table_windows
    other = create_model("maxvit_pico", weights=tmp_path / "a.safetensors", window_policy="pad")
    assert other.config.window_policy == "pad"


@pytest.mark.thorough
@pytest.mark.parametrize("heads", [[], [2]])
def test_a_saved_maxim_and_a_saved_backbone(heads: list[int], tmp_path: Path) -> None:
    maxim = small_maxim.model(1)
    maxim.remove_heads(heads)
    maxim.save(tmp_path / "maxim.safetensors")
    found = create_model(weights=tmp_path / "maxim.safetensors")
    assert found.config == maxim.config
    assert same(found, maxim)
    small_maxvit.lively(CONFIG).save(tmp_path / "maxvit.safetensors")
    backbone = create_model(
        weights=tmp_path / "maxvit.safetensors", features_only=True, out_indices=(1, 2)
    )
    backbone.save(tmp_path / "backbone.safetensors")
    again = create_model(weights=tmp_path / "backbone.safetensors")
    assert again.config == backbone.config
    assert same(again, backbone)


def test_models_that_were_changed_are_not_saved(tmp_path: Path) -> None:
    model = small_maxvit.lively()
    with pytest.raises(ConfigError, match=r"must end in \.safetensors: name it a\.safetensors"):
        model.save(tmp_path / "a.pth")
    folded = fold(model)
    with pytest.raises(ConfigError, match="no longer what its configuration builds"):
        folded.save(tmp_path / "a.safetensors")
    assert list(tmp_path.iterdir()) == []
    compiled = torch.nn.Module()  # torch.compile keeps a module under this name
    compiled._orig_mod = model.stages[0][0]  # pyright: ignore[reportIndexIssue]
    model.stages[0][0] = compiled  # pyright: ignore[reportIndexIssue]
    model.save(tmp_path / "a.safetensors")
    assert same(create_model(weights=tmp_path / "a.safetensors"), small_maxvit.lively())


def test_a_bare_state_dict_is_opened_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "multiaxis")
    saved = small_maxvit.lively(CONFIG)
    torch.save(saved.state_dict(), tmp_path / "a.pth")
    found = create_model("maxvit", weights=tmp_path / "a.pth")
    assert (found.config.depths, found.config.num_classes) == (CONFIG.depths, CONFIG.num_classes)
    assert "does not state its configuration: windows of 7 x 7" in caplog.text
    caplog.clear()
    found = create_model("maxvit", weights=tmp_path / "a.pth", image_size=96, window_policy="fit")
    found.eval()
    assert found.config.windows == saved.config.windows
    x = torch.rand(1, 3, 96, 96)
    torch.testing.assert_close(found(x), saved(x))
    assert caplog.text == ""


def test_a_configuration_of_a_newer_version_is_named(tmp_path: Path) -> None:
    saved = small_maxvit.lively()
    stated = json.dumps({"depths": [1], "gating": True})
    safetensors.torch.save_file(saved.state_dict(), tmp_path / "a.safetensors", {"config": stated})
    with pytest.raises(WeightsError, match=r"no MaxViTConfig of this version .*'gating'.*update"):
        create_model("maxvit", weights=tmp_path / "a.safetensors")


def test_flavours_are_told_after_the_fit(tmp_path: Path) -> None:
    """One missing tensor of the authors' is named when a model is built of it, too."""
    state = small_maxvit.lively().state_dict()
    del state["stem.conv1.bias"]
    safetensors.torch.save_file(state, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match=r"missing: stem\.conv1\.bias"):
        create_model("maxvit", weights=tmp_path / "a.safetensors")
    torchvisions = MaxViT(replace(small_maxvit.CONFIG, flavour="torchvision"))
    with pytest.raises(WeightsError, match="computes in the way of the torchvision"):
        load_weights(MaxViT(small_maxvit.CONFIG), torchvisions.state_dict())
    with pytest.raises(WeightsError, match="computes in the way of the authors"):
        load_weights(torchvisions, MaxViT(small_maxvit.CONFIG).state_dict())


def test_timms_form_has_tables_of_the_windows(tmp_path: Path) -> None:
    """A file of 7 x 7 windows in a model of other windows: timm keeps tables at the windows."""
    config = MaxViTConfig(
        stem_widths=(32, 32), depths=(1, 1, 1, 1), widths=(32, 32, 32, 32), image_size=128,
        num_classes=5,
    )  # fmt: skip
    saved = small_maxvit.lively(config)
    saved.save(tmp_path / "ours.safetensors")
    convert_weights(tmp_path / "ours.safetensors", tmp_path / "timm.safetensors", naming="timm")
    state = safetensors.torch.load_file(tmp_path / "timm.safetensors")
    tables = {tuple(v.shape) for name, v in state.items() if name.endswith("bias_table")}
    assert tables == {(1, 7, 7)}
    theirs = timm.create_model(
        "maxvit_tiny_tf_224", img_size=128, embed_dim=config.widths, depths=config.depths,
        stem_width=config.stem_widths, head_hidden_size=32, num_classes=5,
    ).eval()  # fmt: skip
    theirs.load_state_dict(state)
    x = torch.rand(1, 3, 128, 128)
    with torch.no_grad():
        torch.testing.assert_close(theirs(x), saved(x), rtol=1e-5, atol=2e-5)
        back = create_model(weights=tmp_path / "timm.safetensors").eval()
        assert back.config.windows == config.windows
        torch.testing.assert_close(back(x), saved(x), rtol=1e-5, atol=2e-5)
