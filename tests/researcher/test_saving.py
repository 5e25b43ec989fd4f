"""Models saved and opened again: in a file, in a folder, and on a hub that is a folder here."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch

import small_maxim
import small_maxvit
from multiaxis import Classifier, Maxim, MaxViT, create_model, load_weights
from multiaxis.errors import MissingExtraError, WeightsError
from multiaxis.models import hub
from multiaxis.models.maxvit.backbone import Backbone
from multiaxis.tasks.classify.rules import find_preprocessing

CONFIG = replace(
    small_maxvit.CONFIG, window_size=None, grid_size=None, image_size=96, window_policy="fit"
)
LABELS = ("ash", "beech", "cedar", "date", "elm", "fir", "gum")
RULES = find_preprocessing("timm", (96, 96), num_classes=7)


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    mine, theirs = a.state_dict(), b.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[n], theirs[n]) for n in mine)


@pytest.fixture
def classifier() -> Classifier:
    model = small_maxvit.lively(CONFIG)
    return Classifier(model, labels=LABELS, preprocessing=RULES, device="cpu")


@pytest.mark.thorough
def test_a_classifier_gives_all_of_it_back(classifier: Classifier, tmp_path: Path) -> None:
    """Configuration, window policy, preprocessing, labels and weights, and again from the model."""
    classifier.save(tmp_path / "a.safetensors")
    model = create_model("maxvit", weights=tmp_path / "a.safetensors")
    assert model.config == CONFIG
    assert same(model, classifier.model)
    model.save(tmp_path / "b.safetensors")
    picture = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    expected = classifier.classify(picture)
    for found in (
        Classifier(weights=tmp_path / "a.safetensors", device="cpu"),
        Classifier(weights=tmp_path / "b.safetensors", device="cpu"),
        Classifier(create_model(weights=tmp_path / "b.safetensors"), device="cpu"),  # pyright: ignore[reportArgumentType]
    ):
        assert (found.labels, found.preprocessing) == (LABELS, RULES)
        assert found.classify(picture) == expected


def test_labels_of_another_head_are_forgotten(classifier: Classifier, tmp_path: Path) -> None:
    classifier.save(tmp_path / "a.safetensors")
    reset = create_model("maxvit", weights=tmp_path / "a.safetensors")
    reset.reset_classifier(7)
    other = create_model("maxvit", weights=tmp_path / "a.safetensors", num_classes=2)
    loaded = small_maxvit.lively(CONFIG)
    load_weights(loaded, tmp_path / "a.safetensors", skip=["head"])
    for model in (reset, other, loaded):
        found = Classifier(model, device="cpu")
        assert found.labels[:2] == ("class 0", "class 1")
        assert found.preprocessing == RULES
    load_weights(loaded, tmp_path / "a.safetensors")
    assert Classifier(loaded, device="cpu").labels == LABELS


def test_preprocessing_of_a_published_start_lasts_while_its_size_does() -> None:
    model = small_maxvit.lively(replace(CONFIG, image_size=224, num_classes=7))
    model.about["checkpoint"] = "maxvit_tiny_224_in1k"
    assert Classifier(model, device="cpu").preprocessing == find_preprocessing(
        "authors-224-imagenet"
    )
    model.config = replace(model.config, image_size=96)
    assert Classifier(model, device="cpu").preprocessing.size == (96, 96)


@pytest.mark.thorough
@pytest.mark.parametrize("kind", [MaxViT, Backbone, Maxim])
def test_a_folder_and_back(kind: type[Any], tmp_path: Path) -> None:
    saved = {
        MaxViT: lambda: small_maxvit.lively(CONFIG),
        Backbone: lambda: Backbone(replace(CONFIG, out_indices=(1, 3))),
        Maxim: lambda: small_maxim.model(1),
    }[kind]()
    folder = tmp_path / "folder"
    saved.save_pretrained(folder, repo_id="me/trees")
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    assert json.loads((folder / "config.json").read_text())["in_channels"] == 3
    card = huggingface_hub.ModelCard.load(folder / "README.md")
    assert card.data.library_name == "multiaxis"
    assert "multiaxis.create_model(weights='hf-hub:me/trees')" in card.text
    found = kind.from_pretrained(folder)
    assert type(found) is kind
    assert found.config == saved.config
    assert same(found, saved)
    assert not found.training
    assert same(create_model(weights=folder), saved)


def test_a_classifier_in_a_folder(classifier: Classifier, tmp_path: Path) -> None:
    classifier.save_pretrained(tmp_path)
    assert "It tells 7 classes: ash, beech" in (tmp_path / "README.md").read_text()
    found = Classifier.from_pretrained(tmp_path, device="cpu")
    assert (found.labels, found.preprocessing) == (LABELS, RULES)
    assert same(found.model, classifier.model)
    renamed = Classifier.from_pretrained(tmp_path, device="cpu", labels="abcdefg")
    assert renamed.labels == tuple("abcdefg")
    assert MaxViT.from_pretrained(tmp_path, num_classes=3).config.num_classes == 3


def test_a_hub_in_a_folder(
    classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is pushed is what is opened; nothing goes to the network."""
    api = huggingface_hub.HfApi

    def create(self: object, repo_id: str, **_: Any) -> Any:
        (tmp_path / repo_id).mkdir(parents=True)
        return type("Made", (), {"repo_id": repo_id})

    def upload(self: object, *, repo_id: str, folder_path: Path, **_: Any) -> str:
        shutil.copytree(folder_path, tmp_path / repo_id, dirs_exist_ok=True)
        return f"https://hub/{repo_id}/commit/1"

    def fetch(repo_id: str, filename: str, **_: Any) -> str:
        return str(tmp_path / repo_id / filename)

    monkeypatch.setattr(api, "create_repo", create)
    monkeypatch.setattr(api, "upload_folder", upload)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetch)
    monkeypatch.setattr(huggingface_hub.hub_mixin, "hf_hub_download", fetch)
    assert classifier.push_to_hub("me/trees", private=True).endswith("me/trees/commit/1")
    assert Classifier.from_pretrained("me/trees", device="cpu").labels == LABELS
    assert same(MaxViT.from_pretrained("me/trees"), classifier.model)
    assert same(create_model("maxvit", weights="hf-hub:me/trees"), classifier.model)
    assert Classifier(weights="hf-hub:me/trees", device="cpu").labels == LABELS


@pytest.mark.thorough
def test_what_is_not_there_or_another_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_maxim.model().save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match=r"is a Maxim, not a MaxViT: use Maxim\.from_pretr"):
        MaxViT.from_pretrained(tmp_path)
    for place in (tmp_path / "none", "a/b/c"):
        with pytest.raises(WeightsError, match="is no folder, and cannot be fetched"):
            Maxim.from_pretrained(place, local_files_only=True)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    hub._mixin.cache_clear()
    for call in (lambda: Maxim.from_pretrained(tmp_path), lambda: hub.download("me/trees")):
        with pytest.raises(MissingExtraError, match=r"pip install 'multiaxis\[hub\]'"):
            call()


@pytest.mark.parametrize("levels", [(0,), (0, 1)])
def test_a_backbone_opens_again_and_says_what_it_is(
    levels: tuple[int, ...], tmp_path: Path
) -> None:
    """Also that of the stem alone, whose names are not ours alone."""
    path = tmp_path / "backbone.safetensors"
    backbone = create_model("maxvit_pico", features_only=True, out_indices=levels)
    backbone.save(path)
    assert same(create_model(weights=path), backbone)
    with pytest.raises(WeightsError, match=r"is a backbone .*features_only=True and out_indices="):
        create_model("maxvit_pico", weights=path)
    with pytest.raises(WeightsError, match="bytes of parameters, and the model takes"):
        create_model("maxvit_base", weights=path)
