"""Every Python snippet of docs/maxvit.md, in its order, with a tiny model in tiny's place."""

from __future__ import annotations

import re
import shutil
import sys
import types
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import small_maxvit
from multiaxis.models.maxvit import VARIANTS, MaxViT
from multiaxis.weights import pull
from multiaxis.weights.store import write_safetensors

PAGE = Path(__file__).parents[2] / "docs/maxvit.md"


def snippets() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore")  # of the libraries that snippets import
def test_the_snippets_run(
    tmp_path: Path, shared_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("timm", "torchvision", "segmentation_models_pytorch"):
        pytest.importorskip(package)
    tiny = replace(small_maxvit.CONFIG, depths=(1, 1, 1, 1), num_classes=1000)
    weights = tmp_path / "tiny.safetensors"
    write_safetensors(weights, MaxViT(tiny).state_dict(), {})
    monkeypatch.setitem(VARIANTS, "maxvit_tiny", tiny)
    monkeypatch.setattr(pull, "pull", lambda checkpoint, **_: weights)
    shutil.copy(shared_dir / "data/classify/cat.jpg", tmp_path / "cat.jpg")
    monkeypatch.chdir(tmp_path)
    page = types.ModuleType("page_of_maxvit")  # timm asks where a function is at home
    monkeypatch.setitem(sys.modules, page.__name__, page)
    page.__dict__.update(torch=torch, x=torch.rand(2, 3, 70, 45))
    found = snippets()
    assert len(found) >= 6
    for snippet in found:
        exec(compile(snippet, str(PAGE), "exec"), page.__dict__)
    assert page.logits.shape == (2, 1000)
    assert [m.shape[1] for m in page.maps] == [16, 24, 32, 40]
    assert page.model.num_classes == 10
