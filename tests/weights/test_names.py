"""Weights by name: ours and timm's are names everywhere, whatever they look like."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import small_maxvit
from multiaxis import Classifier, create_model, load_weights
from multiaxis.errors import ConfigError, WeightsError
from multiaxis.models.maxvit import VARIANTS
from multiaxis.weights import pull as pulling
from multiaxis.weights.cache import cached_path
from multiaxis.weights.index import find_checkpoint, is_known, list_checkpoints
from multiaxis.weights.load import convert_weights, load_model
from multiaxis.zoo import open_model

ALIAS = "maxvit_tiny_tf_224.in1k"
FORMS = [
    "maxvit_tiny_224_in1k",
    ALIAS,
    "maxvit_tiny_tf_224",
    f"timm/{ALIAS}",
    f"hf-hub:timm/{ALIAS}",
    f"hf_hub:timm/{ALIAS}",
]


def test_every_form_of_timms_names_is_known() -> None:
    assert {find_checkpoint(form).name for form in FORMS} == {"maxvit_tiny_224_in1k"}
    assert find_checkpoint("maxvit_base_tf_224").name == "maxvit_base_224_in1k"  # timm's default
    assert find_checkpoint("maxvit_xlarge_tf_512").name == "maxvit_xlarge_512_in21k_in1k"
    assert all(is_known(row.name) and is_known(row.alias or row.name) for row in list_checkpoints())
    assert not is_known("maxvit_tiny_rw_224.sw_in1k")


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny model in the cache in the place of the published one."""
    monkeypatch.setenv("MULTIAXIS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MULTIAXIS_OFFLINE", "1")
    monkeypatch.setitem(VARIANTS, "maxvit_tiny", small_maxvit.CONFIG)
    monkeypatch.setattr(pulling, "find_fault", lambda *_: None)
    small_maxvit.lively(seed=3).save(cached_path("maxvit_tiny_224_in1k"))


DOORS: list[Callable[[str], Any]] = [
    lambda name: create_model("maxvit_tiny", weights=name),
    lambda name: create_model("maxvit", weights=name),
    lambda name: create_model(weights=name),
    open_model,
    load_model,
    lambda name: Classifier(weights=name, device="cpu").model,
]


@pytest.mark.thorough
@pytest.mark.usefixtures("cached")
@pytest.mark.parametrize("door", range(len(DOORS)))
def test_names_open_at_every_door(door: int) -> None:
    expected = small_maxvit.lively(seed=3).state_dict()["head.logits.weight"]
    for form in FORMS if not door else [ALIAS]:
        found = DOORS[door](form).state_dict()["head.logits.weight"]
        assert torch.equal(found, expected)


@pytest.mark.usefixtures("cached")
def test_names_load_and_convert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_maxvit.lively(seed=4)
    assert load_weights(model, ALIAS).kind == "safetensors"
    convert_weights(ALIAS, tmp_path / "timm.safetensors", naming="timm")
    assert torch.equal(
        create_model(weights=tmp_path / "timm.safetensors").head.logits.weight,
        model.head.logits.weight,
    )
    monkeypatch.chdir(tmp_path)
    Path(ALIAS).write_text("a file of a name is not taken for it")
    assert load_weights(model, ALIAS).kind == "safetensors"
    with pytest.raises(WeightsError, match="of an unknown kind"):
        load_weights(model, Path(ALIAS))


@pytest.mark.usefixtures("cached")
def test_commands_take_timms_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from multiaxis.cli.app import app

    target = str(tmp_path / "a.safetensors")
    app(["weights", "convert", ALIAS, target], result_action="return_value")
    app(["weights", "pull", ALIAS], result_action="return_value")
    app(["weights", "list", ALIAS], result_action="return_value")
    assert capsys.readouterr().out.count("\nmaxvit_tiny_224_in1k") == 2


def test_wrong_names_are_helped() -> None:
    with pytest.raises(
        ConfigError, match=r"names weights, .* create_model\('maxvit_tiny', weights"
    ):
        create_model(ALIAS)  # pyright: ignore[reportCallIssue, reportArgumentType]
    with pytest.raises(WeightsError, match="are those of maxvit_tiny, not of maxvit_base"):
        create_model("maxvit_base", weights=ALIAS)
    with pytest.raises(ConfigError, match="received neither a model's name nor weights"):
        create_model()  # pyright: ignore[reportCallIssue]
    with pytest.raises(ConfigError, match="unknown checkpoint 'maxvit_tiny_224': did you mean"):
        create_model("maxvit_tiny", weights="maxvit_tiny_224")
