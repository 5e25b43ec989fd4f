"""Checkpoints of every kind into models, and what is refused."""

from __future__ import annotations

import json
import logging
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

import small_maxim
from multiaxis import create_model, load_weights
from multiaxis.errors import ConfigError, WeightsError
from multiaxis.weights.load import convert_weights, load_model
from multiaxis.weights.store import is_intact


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    mine, theirs = a.state_dict(), b.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[n], theirs[n]) for n in mine)


@pytest.mark.thorough
@pytest.mark.parametrize("prefix", ["opt/target/", ""])
def test_authors_npz_with_and_without_prefix(prefix: str, tmp_path: Path) -> None:
    saved = small_maxim.model(1)
    state = {"opt/state/step": np.array(7)} if prefix else {}
    file = small_maxim.write_npz(tmp_path / "checkpoint.npz", saved, prefix, **state)
    loaded = small_maxim.model(2)
    report = load_weights(loaded, file)
    assert (report.kind, report.missing_heads) == ("npz", [])
    assert same(loaded, saved)


@pytest.mark.thorough
def test_safetensors_round_trip_and_model_from_the_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_maxim.use_small_variant(monkeypatch)
    saved = small_maxim.model(1)
    file = small_maxim.write_npz(tmp_path / "a.npz", saved)
    ours = tmp_path / "a.safetensors"
    assert convert_weights(file, ours) == "maxim_s2"
    assert is_intact(ours)
    assert same(load_model(ours), saved)
    again = tmp_path / "b.safetensors"
    convert_weights(ours, again)
    assert same(load_model(again), saved)
    assert same(create_model("maxim_s2", weights=str(again)), saved)


@pytest.mark.thorough
def test_missing_coarse_heads_are_removed_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    saved = small_maxim.model(1)
    saved.remove_heads([1, 2])
    file = small_maxim.write_npz(tmp_path / "a.npz", saved)
    loaded = small_maxim.model(2)
    with caplog.at_level(logging.INFO):
        assert load_weights(loaded, file).missing_heads == [1, 2]
    # The restored picture does not need them, so it is no warning.
    assert {record.levelname for record in caplog.records} == {"INFO"}
    assert "lacks the output heads of the scales [1, 2]" in caplog.text
    x = torch.rand(1, 3, 16, 16)
    assert torch.equal(loaded(x), saved(x))


@pytest.mark.thorough
def test_another_architecture_names_the_first_mismatches(tmp_path: Path) -> None:
    file = small_maxim.write_npz(tmp_path / "a.npz", small_maxim.model())
    model = create_model("maxim", features=4, num_stages=3, num_supervision_scales=3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(WeightsError, match=r"3 stages and 4 features: missing: .* and \d+ more"):
        load_weights(model, file)
    wider = create_model(
        "maxim", features=8, num_stages=2, num_supervision_scales=3, block_size_hr=(2, 2)
    )
    with pytest.raises(WeightsError, match=r"of another shape: .*where the model has"):
        load_weights(wider, file)
    assert all(torch.equal(before[n], v) for n, v in model.state_dict().items())


def test_convert_says_which_variants_are_known(tmp_path: Path) -> None:
    file = small_maxim.write_npz(tmp_path / "a.npz", small_maxim.model())
    with pytest.raises(WeightsError, match=r"2 stages and 4 features; known variants are maxim_s1"):
        convert_weights(file, tmp_path / "a.safetensors")
    assert not (tmp_path / "a.safetensors").exists()


def test_an_npz_that_needs_pickle_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bad.npz"
    np.savez(file, **{"opt/target/x": np.array([{"a": 1}], dtype=object)})
    with pytest.raises(WeightsError, match="pickle are refused"):
        load_weights(small_maxim.model(), file)


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("a pickle was executed",))


def test_pickles_are_refused_and_not_run(tmp_path: Path) -> None:
    file = tmp_path / "model.pth"
    file.write_bytes(pickle.dumps(_Bomb()))
    with pytest.raises(WeightsError, match=r"model\.pth"):
        load_weights(small_maxim.model(), file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"hello, this is text", "unknown kind"),
        (b"PK\x03\x04 and no more", "damaged zip"),
        (b"\x1f\x8b and no more", "not a whole TensorFlow.js model"),
        ((40).to_bytes(8, "little") + b'{"a": 1', "not a readable safetensors"),
    ],
)
def test_damaged_files(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        load_weights(small_maxim.model(), file)


@pytest.mark.thorough
def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot read the checkpoint.*No such file"):
        load_weights(small_maxim.model(), tmp_path / "none.npz")
    with pytest.raises(WeightsError, match="has no model.json"):
        load_weights(small_maxim.model(), tmp_path)
    with pytest.raises(ConfigError, match="cannot load weights into a Linear.*create_model"):
        load_weights(torch.nn.Linear(1, 1), tmp_path / "none.npz")


@pytest.mark.thorough
def test_a_truncated_npz_and_safetensors(tmp_path: Path) -> None:
    whole = small_maxim.write_npz(tmp_path / "a.npz", small_maxim.model())
    cut = tmp_path / "cut.npz"
    cut.write_bytes(whole.read_bytes()[:-5000])
    with pytest.raises(WeightsError, match="damaged zip"):
        load_weights(small_maxim.model(), cut)
    ours = tmp_path / "a.safetensors"
    safetensors.torch.save_file({"stages.0.x": torch.zeros(100)}, ours)
    ours.write_bytes(ours.read_bytes()[:-8])
    with pytest.raises(WeightsError, match="not a readable safetensors"):
        load_weights(small_maxim.model(), ours)


def tfjs_folder(folder: Path, shards: bytes, manifest: list[dict], nodes: list[dict]) -> Path:
    folder.mkdir(parents=True)
    (folder / "group1-shard1of1.bin").write_bytes(shards)
    group = {"paths": ["group1-shard1of1.bin"], "weights": manifest}
    model = {"modelTopology": {"node": nodes}, "weightsManifest": [group]}
    (folder / "model.json").write_text(json.dumps(model))
    return folder


ROOT = "StatefulPartitionedCall/jax2tf_apply_/Wrapper/backbone/"


def test_tfjs_constants_get_the_authors_names(tmp_path: Path) -> None:
    """One constant of each kind that the graphs have."""
    from multiaxis.models.maxim.names.tfjs import authors_arrays
    from multiaxis.weights.read import read_tfjs

    values = np.arange(64, dtype="<f4")
    dense = "StatefulPartitionedCall/jax2tf_arg_7/ReadVariableOp"
    shapes = {
        dense: (4, 2),
        f"{ROOT}block/LayerNorm_x/Reshape_2": (1, 1, 1, 4),
        f"{ROOT}block/LayerNorm_x/Reshape_3": (1, 1, 1, 4),
        f"{ROOT}block/conv1/transpose_3": (3, 1, 2, 2),
        f"{ROOT}block/ConvTranspose_0/transpose_4": (2, 2, 3, 1),
        f"{ROOT}block/conv1/Reshape": (1, 1, 1, 2),
        f"{ROOT}constant": (1,),
    }
    manifest, offset = [], 0
    for name, shape in shapes.items():
        manifest.append({"name": name, "shape": shape, "dtype": "float32"})
        offset += int(np.prod(shape))
    einsum = {"name": f"{ROOT}block/Dense_0/einsum/Einsum", "op": "Einsum", "input": ["x", dense]}
    folder = tfjs_folder(tmp_path / "t", values[:offset].tobytes(), manifest, [einsum])
    graph = read_tfjs(folder)
    named = authors_arrays(graph.arrays, graph.nodes)
    assert set(named) == {
        "block/Dense_0/kernel",
        "block/LayerNorm_x/scale",
        "block/LayerNorm_x/bias",
        "block/conv1/kernel",
        "block/conv1/bias",
        "block/ConvTranspose_0/kernel",
    }
    assert named["block/Dense_0/kernel"].tolist() == values[:8].reshape(4, 2).tolist()
    assert named["block/LayerNorm_x/bias"].tolist() == [12, 13, 14, 15]
    flipped = named["block/ConvTranspose_0/kernel"]  # stored (2, 2, out, in) from 28 on
    assert flipped.shape == (2, 2, 1, 3)
    assert flipped[0, 0, 0].tolist() == [37, 38, 39]


@pytest.mark.thorough
def test_incomplete_tfjs_is_refused(tmp_path: Path) -> None:
    manifest = [{"name": "a", "shape": (4,), "dtype": "float32"}]
    short = tfjs_folder(tmp_path / "short", b"\0" * 12, manifest, [])
    with pytest.raises(WeightsError, match="not a whole TensorFlow.js model"):
        load_weights(small_maxim.model(), short)
    strange = tfjs_folder(tmp_path / "strange", b"\0" * 16, manifest, [])
    with pytest.raises(WeightsError, match="belongs to no known model; its first parameters are a"):
        load_weights(small_maxim.model(), strange)
    quantised = [{**manifest[0], "quantization": {"dtype": "uint8"}}]
    folder = tfjs_folder(tmp_path / "quantised", b"\0" * 4, quantised, [])
    with pytest.raises(WeightsError, match="quantised"):
        load_weights(small_maxim.model(), folder)
    tarball = tmp_path / "empty.tgz"
    with tarfile.open(tarball, "w:gz"):
        pass
    with pytest.raises(WeightsError, match=r"holds no model\.json"):
        load_weights(small_maxim.model(), tarball)
