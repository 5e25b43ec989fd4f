"""MaxViT's checkpoints: the authors', timm's, torchvision's and ours; other sizes, other heads."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

import small_maxim
import small_maxvit
from multiaxis import create_model, load_weights
from multiaxis.axis import resize_table
from multiaxis.errors import ConfigError, WeightsError
from multiaxis.models.maxvit import MaxViT, MaxViTConfig
from multiaxis.weights.load import convert_weights, load_model

TINY = {
    "maxvit_tiny_tf_224": "maxvit_tiny",
    "maxvit_t": "maxvit_tiny_torchvision",
}


def foreign(name: str, **options: object) -> torch.nn.Module:
    """timm's or torchvision's model, every number moved off its start."""
    torch.manual_seed(0)
    if name == "maxvit_t":
        torchvision = pytest.importorskip("torchvision")
        return small_maxvit.enliven(torchvision.models.maxvit_t())
    timm = pytest.importorskip("timm")
    return small_maxvit.enliven(timm.create_model(name, **options))


def difference(a: torch.nn.Module, b: torch.nn.Module, x: torch.Tensor) -> float:
    with torch.no_grad():
        return float((a(x) - b(x)).abs().max())


def save(model: torch.nn.Module, path: Path) -> Path:
    whole = {name: value.contiguous() for name, value in model.state_dict().items()}
    if path.suffix == ".pth":
        torch.save(whole, path)
    else:
        safetensors.torch.save_file(whole, path)
    return path


@pytest.mark.thorough
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("name", TINY)
def test_timm_and_torchvision(name: str, suffix: str, tmp_path: Path) -> None:
    theirs = foreign(name)
    file = save(theirs, tmp_path / f"model{suffix}")
    ours = create_model(TINY[name]).eval()
    report = load_weights(ours, file)
    assert report.origin.startswith("torchvision" if name == "maxvit_t" else "timm")
    assert (report.fresh, report.resized) == ([], [])
    assert difference(theirs, ours, torch.randn(2, 3, 224, 224)) <= 2e-5
    assert load_model(file).config == ours.config


@pytest.mark.thorough
def test_timms_tables_of_384_are_kept_and_224_ones_stretched(tmp_path: Path) -> None:
    theirs = foreign("maxvit_tiny_tf_384", num_classes=5)
    file = save(theirs, tmp_path / "model.safetensors")
    x = torch.randn(1, 3, 384, 384)
    ours = create_model("maxvit_tiny", weights=file).eval()
    assert (ours.config.windows[0], ours.config.num_classes) == ((12, 12), 5)
    assert difference(theirs, ours, x) <= 2e-5
    at_512 = create_model("maxvit_tiny", weights=file, image_size=512)
    assert (at_512.config.windows[0], at_512.config.table_windows[0]) == ((16, 16), (12, 12))


@pytest.mark.thorough
def test_export_to_timm(tmp_path: Path) -> None:
    theirs = foreign("maxvit_tiny_tf_224")
    expected = {name: value.clone() for name, value in theirs.state_dict().items()}
    file = save(theirs, tmp_path / "theirs.safetensors")
    assert convert_weights(file, tmp_path / "ours.safetensors") == "maxvit_tiny"
    back = tmp_path / "back.safetensors"
    assert convert_weights(tmp_path / "ours.safetensors", back, naming="timm") == "maxvit_tiny"
    found = safetensors.torch.load_file(back)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    with pytest.raises(ConfigError, match="accepted are multiaxis, timm"):
        convert_weights(file, back, naming="keras")
    torchvisions = save(foreign("maxvit_t"), tmp_path / "tv.safetensors")
    with pytest.raises(ConfigError, match="timm has only the authors'"):
        convert_weights(torchvisions, tmp_path / "x.safetensors", naming="timm")
    assert not (tmp_path / "x.safetensors").exists()


@pytest.mark.thorough
def test_timms_own_designs_are_refused(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    theirs = timm.create_model("maxvit_nano_rw_256")
    file = save(theirs, tmp_path / "rw.safetensors")
    with pytest.raises(WeightsError, match="timm's own designs"):
        load_weights(create_model("maxvit_tiny"), file)


@pytest.mark.parametrize("place", ["", "checkpoint", "model.ckpt-93600", "model.ckpt-93600.index"])
def test_the_authors_checkpoint(place: str, shared_dir: Path) -> None:
    """The averages are loaded: the raw variables lie 10 % off."""
    path = shared_dir / "golden/maxvit/A_ckpt" / place
    model = MaxViT(small_maxvit.CONFIG)
    if place == "checkpoint":
        with pytest.raises(WeightsError):
            load_weights(model, path)
        return
    report = load_weights(model, path)
    assert (report.kind, report.origin) == ("TensorFlow", "the authors' MaxViT")
    expected = small_maxvit.golden_variables(shared_dir)
    state = model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in expected.items())


@pytest.mark.thorough
def test_an_npz_of_the_authors_names_and_a_model_from_it_alone(
    shared_dir: Path, tmp_path: Path
) -> None:
    with np.load(shared_dir / "golden/maxvit/A.npz") as golden:
        arrays = {k[4:]: golden[k] for k in golden.files if k.startswith("var/")}
    np.savez(tmp_path / "a.npz", **arrays)
    model = load_model(tmp_path / "a.npz")
    assert model.config == small_maxvit.CONFIG
    assert (
        difference(model, small_maxvit.golden_model(shared_dir), torch.rand(1, 3, 50, 60)) <= 1e-5
    )
    assert convert_weights(tmp_path / "a.npz", tmp_path / "a.safetensors") == "maxvit"
    again = load_model(tmp_path / "a.safetensors")
    assert again.config == model.config
    assert difference(model, again, torch.rand(1, 3, 50, 60)) <= 1e-5


def test_other_windows_stretch_the_tables_as_the_authors_do(tmp_path: Path) -> None:
    start = replace(small_maxvit.CONFIG, window_size=3, grid_size=3)
    saved = small_maxvit.lively(start)
    file = save(saved, tmp_path / "a.safetensors")
    wide = MaxViT(replace(start, window_size=5, grid_size=5)).eval()
    report = load_weights(wide, file)
    assert len(report.resized) == 12
    table = saved.state_dict()["stages.1.0.grid.attention.bias.table"]
    stored = wide.state_dict()["stages.1.0.grid.attention.bias.table"]
    assert torch.equal(stored, resize_table(table, (5, 5)))
    # The same as stretching at every step, as the authors do.
    ratio = MaxViT(replace(start, window_size=5, grid_size=5, scale_ratio="5/3")).eval()
    assert load_weights(ratio, file).resized == []
    assert difference(wide, ratio, torch.rand(1, 3, 160, 160)) <= 1e-5


def test_another_number_of_classes_keeps_the_models_own_head(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = save(small_maxvit.lively(seed=1), tmp_path / "a.safetensors")
    model = small_maxvit.lively(replace(small_maxvit.CONFIG, num_classes=3))
    before = model.head.logits.weight.clone()
    with caplog.at_level(logging.WARNING):
        report = load_weights(model, file)
    assert report.fresh == ["head.logits.bias", "head.logits.weight"]
    assert "another number of classes" in caplog.text
    assert torch.equal(model.head.logits.weight, before)
    expected = small_maxvit.lively(seed=1)
    assert torch.equal(model.head.hidden.weight, expected.head.hidden.weight)
    backbone = small_maxvit.lively(replace(small_maxvit.CONFIG, num_classes=0))
    load_weights(backbone, file)
    x = torch.rand(1, 3, 40, 40)
    with torch.no_grad():
        found = backbone.forward_features(x)
        torch.testing.assert_close(found, expected.forward_features(x), rtol=1e-5, atol=1e-5)


@pytest.mark.thorough
def test_another_architecture_is_named(tmp_path: Path) -> None:
    maxvit = save(small_maxvit.lively(), tmp_path / "maxvit.safetensors")
    with pytest.raises(WeightsError, match="like multiaxis' MaxViT, and the model is a MAXIM"):
        load_weights(small_maxim.model(), maxvit)
    maxim = small_maxim.write_npz(tmp_path / "maxim.npz", small_maxim.model())
    with pytest.raises(WeightsError, match="like the authors' MAXIM, and the model is a MaxV"):
        load_weights(small_maxvit.lively(), maxim)
    other = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"layer1.0.conv1.weight": torch.zeros(2)}, other)
    with pytest.raises(WeightsError, match=r"belongs to no known model.*layer1\.0\.conv1"):
        load_weights(small_maxvit.lively(), other)
    deeper = MaxViT(replace(small_maxvit.CONFIG, depths=(2, 2, 1, 2)))
    before = {name: value.clone() for name, value in deeper.state_dict().items()}
    with pytest.raises(WeightsError, match=r"not fit .*missing: stages\.0\.1\..* and \d+ more"):
        load_weights(deeper, maxvit)
    assert all(torch.equal(before[n], v) for n, v in deeper.state_dict().items())


def test_flavours_do_not_mix(tmp_path: Path) -> None:
    flavoured = small_maxvit.lively(MaxViTConfig(**{
        **{f: getattr(small_maxvit.CONFIG, f) for f in ("stem_widths", "depths", "widths")},
        "head_dim": 8, "flavour": "torchvision",
    }))  # fmt: skip
    file = save(flavoured, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match=r"create_model\('maxvit_tiny_torchvision'\)"):
        load_weights(small_maxvit.lively(), file)


def test_a_checkpoint_of_other_shapes_says_so(tmp_path: Path) -> None:
    tensors = small_maxvit.lively().state_dict()
    tensors["stages.0.0.block.attention.bias.table"] = torch.zeros(2, 4, 4)
    safetensors.torch.save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match="looks like multiaxis' MaxViT, and is none that can be"):
        load_model(tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match="of another shape"):
        load_weights(
            small_maxvit.lively(replace(small_maxvit.CONFIG, head_dim=4)),
            save(small_maxvit.lively(), tmp_path / "b.safetensors"),
        )


def test_a_cut_tensorflow_checkpoint(shared_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ckpt"
    shutil.copytree(shared_dir / "golden/maxvit/A_ckpt", folder)
    shard = next(folder.glob("*.data-*"))
    shard.write_bytes(shard.read_bytes()[:1000])
    model = small_maxvit.lively()
    before = model.state_dict()["stem.conv1.weight"].clone()
    with pytest.raises(WeightsError):
        load_weights(model, folder)
    assert torch.equal(model.state_dict()["stem.conv1.weight"], before)


@pytest.mark.thorough
def test_only_raw_variables_are_taken_with_a_word(
    shared_dir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An npz has no averages to prefer; what is averaged in one is preferred all the same."""
    with np.load(shared_dir / "golden/maxvit/A.npz") as golden:
        arrays = {k[4:]: golden[k] for k in golden.files if k.startswith("var/")}
    both = {f"{name}/ExponentialMovingAverage": value for name, value in arrays.items()}
    both |= {name: value + 1 for name, value in arrays.items()}
    np.savez(tmp_path / "both.npz", **both)
    model = MaxViT(small_maxvit.CONFIG)
    load_weights(model, tmp_path / "both.npz")
    expected = small_maxvit.golden_variables(shared_dir)
    assert all(torch.equal(model.state_dict()[name], v) for name, v in expected.items())


def test_a_checkpoint_in_half_precision_makes_a_float32_model(tmp_path: Path) -> None:
    saved = small_maxvit.lively()
    file = save(saved.half(), tmp_path / "half.safetensors")
    model = load_model(file)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert model.train()(torch.rand(2, 3, 40, 40)).sum().backward() is None
