"""What stands before the names of a model: one rule for state dicts and files of every kind."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import small_maxim
import small_maxvit
from multiaxis import load_weights
from multiaxis.errors import ConfigError, WeightsError
from multiaxis.models.maxvit import MaxViT
from multiaxis.models.maxvit.names.timm import to_timm
from multiaxis.models.wrapping import is_average

State = dict[str, Tensor]
RAW: State = small_maxvit.lively(seed=1).state_dict()
AVERAGED: State = small_maxvit.lively(seed=2).state_dict()
MODEL = MaxViT(small_maxvit.CONFIG).eval()


def under(prefix: str, state: State) -> State:
    return {prefix + name: value for name, value in state.items()}


def as_pth(tensors: State, folder: Path) -> Path:
    torch.save(tensors, folder / "a.pth")
    return folder / "a.pth"


def as_safetensors(tensors: State, folder: Path) -> Path:
    whole = {name: value.clone() for name, value in tensors.items()}
    safetensors.torch.save_file(whole, folder / "a.safetensors")
    return folder / "a.safetensors"


def as_npz(tensors: State, folder: Path) -> Path:
    np.savez(folder / "a.npz", **{name: value.numpy() for name, value in tensors.items()})
    return folder / "a.npz"


def as_it_is(tensors: State, folder: Path) -> State:
    return tensors


CONTAINERS = [as_pth, as_safetensors, as_npz, as_it_is]


def holds(state: State) -> bool:
    return all(torch.equal(MODEL.state_dict()[name], value) for name, value in state.items())


@pytest.mark.thorough
@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize(
    ("tensors", "expected", "taken"),
    [
        (under("module.", RAW), RAW, ""),
        (under("_orig_mod.module.", RAW), RAW, ""),
        ({**under("module.", RAW), "n_averaged": torch.tensor(9)}, RAW, ""),
        (under("model.", RAW), RAW, "model"),
        (under("net.", RAW), RAW, "net"),
        (under("base_model.model.", RAW), RAW, "base_model.model"),
        ({**under("model.", RAW), **under("model_ema.module.", AVERAGED)}, AVERAGED, "model_ema"),
        ({**RAW, **under("ema.", AVERAGED)}, AVERAGED, "ema"),
        ({**under("net.", RAW), **under("netEMA.", AVERAGED)}, AVERAGED, "netEMA"),
        (under("model.", to_timm(RAW)), RAW, "model"),
    ],
)
def test_prefixes_in_every_container(
    container: Callable[[State, Path], Any],
    tensors: State,
    expected: State,
    taken: str,
    tmp_path: Path,
) -> None:
    found = load_weights(MODEL, container(tensors, tmp_path))
    assert (found.taken_from, found.left_out) == (taken, [])
    assert holds(expected)


@pytest.mark.thorough
@pytest.mark.parametrize("is_file", [True, False])
@pytest.mark.parametrize(
    ("nested", "expected"),
    [
        ({"model": RAW, "model_ema": AVERAGED, "epoch": 3}, AVERAGED),
        ({"state_dict": RAW, "state_dict_ema": AVERAGED}, AVERAGED),
        ({"ema": AVERAGED, "model": RAW}, AVERAGED),
        ({"params": RAW, "params_ema": AVERAGED}, AVERAGED),
        ({"model_ema": {"module": AVERAGED}}, AVERAGED),
        ({"model": RAW, "model_ema": {"module": under("module.", AVERAGED), "n": 3}}, AVERAGED),
        ({"swa_model": {**under("module.", AVERAGED), "n_averaged": torch.ones(())}}, AVERAGED),
        ({"model": {"state_dict": under("module.", RAW)}, "best": torch.tensor(0.8)}, RAW),
        ({"module": RAW, "lr_scheduler": {}}, RAW),
        # Lightning's callback keeps what it averages in the place of the raw weights.
        ({"state_dict": under("model.", AVERAGED), "current_model_state": RAW}, AVERAGED),
        ({"model": RAW, "ema": {"shadow_params": list(AVERAGED.values())}}, RAW),
        # Optimisers of distributed training keep moments by the names of parameters.
        ({"model": RAW, "optim": {"state": {n: {"exp_avg": v} for n, v in RAW.items()}}}, RAW),
    ],
)
def test_dicts_in_each_other(
    nested: dict[str, Any], expected: State, is_file: bool, tmp_path: Path
) -> None:
    load_weights(MODEL, as_pth(nested, tmp_path) if is_file else nested)
    assert holds(expected)


@pytest.mark.thorough
def test_wrappers_inside_of_names() -> None:
    """Compiled and checkpointed blocks, and parts that FSDP wraps by themselves."""
    for wrapper in ("_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module"):
        state = {n.replace(".mbconv", f".{wrapper}.mbconv"): v for n, v in RAW.items()}
        load_weights(MODEL, state)
        assert holds(RAW)


@pytest.mark.thorough
def test_maxims_of_ours_and_of_the_authors() -> None:
    saved, model = small_maxim.model(1), small_maxim.model(2)
    for state in (
        under("generator.", saved.state_dict()),
        under("params/", small_maxim.to_authors(saved)),
    ):
        load_weights(model, state)
        pairs = zip(model.state_dict().values(), saved.state_dict().values(), strict=True)
        assert all(torch.equal(mine, theirs) for mine, theirs in pairs)


def test_what_lies_beside_a_model_is_named(caplog: pytest.LogCaptureFixture) -> None:
    lightning = {
        "state_dict": {**under("model.", RAW), "criterion.weight": torch.ones(3)},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3)}}}],
        "callbacks": {"best": torch.tensor(1.0)},
    }
    found = load_weights(MODEL, lightning)
    assert found.taken_from == "state_dict.model"
    assert found.left_out == ["state_dict/criterion.weight"]
    assert "criterion.weight left out" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        load_weights(MODEL, {"model": RAW, "model_ema": AVERAGED})
    said = "the averaged parameters under model_ema are taken, not those under model"
    assert said in caplog.text
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            {**under("student.", RAW), **under("teacher.", AVERAGED)},
            "holds 2 models, under student, teacher: save one of them, or give its state dict",
        ),
        ({"ema_1": RAW, "ema_2": AVERAGED}, "holds 2 models, under ema_1, ema_2"),
        ({**RAW, **under("module.", RAW)}, "holds stem.conv1.weight twice"),
        ({"epoch": 3, "lr": 0.1}, "the state dict has no tensors but 'epoch', 'lr'"),
        ({}, "has no tensors but nothing"),
        ({"a": torch.ones(2)}, "the state dict belongs to no known model"),
    ],
)
def test_what_cannot_be_told_is_refused(state: dict[str, Any], message: str) -> None:
    before = {name: value.clone() for name, value in MODEL.state_dict().items()}
    with pytest.raises(WeightsError, match=message):
        load_weights(MODEL, state)
    assert holds(before)


@settings(max_examples=15)
@given(st.lists(st.sampled_from(["model", "net_1", "encoder", "a-b", "0"]), max_size=4))
def test_any_prefix(parts: list[str]) -> None:
    prefix = "".join(f"{part}." for part in parts)
    assert load_weights(MODEL, under(prefix, RAW)).taken_from == prefix.rstrip(".")


def test_words_that_only_contain_ema_are_no_averages() -> None:
    assert not any(map(is_average, ("schema.", "cinema/", "emanuel.", "average_pool_free"[:0])))
    assert all(map(is_average, ("ema/", "model_ema.", "emaModel.", "EMA.", "net.swa.", "avg/")))


@pytest.mark.parametrize(
    ("skip", "kept"),
    [
        (["head"], lambda name: name.startswith("head.")),
        ("stages.3", lambda name: name.startswith("stages.3.")),
        (["stem", "*.bias.table"], lambda n: n.startswith("stem.") or n.endswith(".bias.table")),
    ],
)
def test_parts_that_are_kept_by_name(skip: Any, kept: Callable[[str], bool]) -> None:
    load_weights(MODEL, RAW)
    found = load_weights(MODEL, AVERAGED, skip=skip)
    expected = {name: (RAW if kept(name) else AVERAGED)[name] for name in RAW}
    assert holds(expected)
    assert found.skipped == [name for name in RAW if kept(name)]


@pytest.mark.thorough
def test_a_part_that_does_not_fit_or_lacks_can_be_skipped() -> None:
    state = {name: v for name, v in RAW.items() if not name.startswith("stages.3.")}
    with pytest.raises(WeightsError, match=r"missing: stages\.3\.0"):
        load_weights(MODEL, state)
    load_weights(MODEL, {**state, "stages.3.0.wide": torch.ones(9)}, skip=["stages.3"])
    with pytest.raises(ConfigError, match=r"unknown part of the model 'stage.3': did you mean st"):
        load_weights(MODEL, RAW, skip=["stage.3"])
    maxim = small_maxim.model(1)
    found = load_weights(maxim, small_maxim.model(2).state_dict(), skip=["stages.1.heads"])
    assert found.missing_heads == []
    assert {name.split(".")[2] for name in found.skipped} == {"heads"}


@pytest.mark.parametrize("name", ["stem.conv1.bias", "head.logits.bias", "stem.norm.running_var"])
def test_one_missing_tensor_is_named(name: str) -> None:
    state = {other: value for other, value in RAW.items() if other != name}
    with pytest.raises(WeightsError, match=rf"missing: {name}\. Create the model that"):
        load_weights(MODEL, state)
