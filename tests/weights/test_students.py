"""The small models that come with the package: whole, small, described, and doing something."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from multiaxis import Restorer, streamed
from multiaxis.models.maxim import Maxim
from multiaxis.tasks.restore.selection import REFINER, identity, models_of
from multiaxis.weights.index import Checkpoint, find_checkpoint, list_checkpoints, list_tasks
from multiaxis.weights.store import digest, read_safetensors
from multiaxis.zoo import open_model

PARTS = ("**Model**", "**Trained on**", "**How**", "**Scores**", "**Not for**", "**Terms**")
STUDENTS = [row for row in list_checkpoints() if row.packaged and row.task in list_tasks()]


@pytest.mark.parametrize("row", STUDENTS, ids=lambda row: row.name)
def test_a_student_is_small_whole_and_described(row: Checkpoint) -> None:
    path = row.packaged
    assert path is not None
    assert path.stat().st_size < 1.5e6
    assert row.name in models_of(row.task).values()
    check_file_and_card(row, path)


def test_the_refiner_is_small_whole_and_described() -> None:
    row = find_checkpoint(REFINER)
    assert row.packaged is not None
    assert row.packaged.stat().st_size < 5e6
    check_file_and_card(row, row.packaged)


def check_file_and_card(row: Checkpoint, path: Path) -> None:
    tensors, about = read_safetensors(path)
    assert digest(tensors) == row.digest
    assert {t.dtype for t in tensors.values()} == {torch.float16}
    assert about["config"]
    card = path.with_suffix(".md").read_text("utf-8")
    assert card.startswith(f"# {row.name}\n")
    assert [part for part in PARTS if part not in card] == []
    stated = [score.scores["psnr"] for score in row.results]
    assert stated
    assert all(f"{psnr:.2f}" in card for psnr in stated)


def test_all_together_are_small() -> None:
    assert sum(row.packaged.stat().st_size for row in STUDENTS if row.packaged) < 8e6


@pytest.mark.parametrize("row", STUDENTS, ids=lambda row: row.name)
def test_a_student_streams_as_it_runs_and_changes_a_picture(row: Checkpoint) -> None:
    model = open_model(row.name)
    assert isinstance(model, Maxim)
    torch.manual_seed(0)
    rows, columns = model.config.size_multiple
    x = 0.3 + 0.1 * torch.rand(1, 3, rows, columns)
    with torch.no_grad():
        plain = model(x)
    assert torch.allclose(streamed(model)(x), plain, atol=1e-4)
    assert 0.005 < float((plain - x).abs().mean()) < 0.7


@pytest.mark.parametrize("task", [row.task for row in STUDENTS if row.name.endswith("-fast")])
def test_fast_restores_any_size_without_a_network(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MULTIAXIS_HOME", str(tmp_path / "nothing"))
    picture = np.random.default_rng(0).integers(60, 120, (37, 51, 3), dtype=np.uint8)
    made = Restorer(task, model="fast", offline=True, device="cpu").restore(picture)
    assert made.shape == picture.shape
    assert made.dtype == np.uint8
    assert not np.array_equal(made, picture)
    assert not (tmp_path / "nothing").exists()


def test_a_run_knows_packaged_weights_by_their_content() -> None:
    """So that a run that is resumed after an update does not mix two models."""
    first, second = (find_checkpoint(name).digest for name in ("derain-fast", "enhance-fast"))
    assert identity("derain-fast") == first
    assert identity("derain-fast, enhance-fast") == f"{first},{second}"
    assert identity("derain,enhance-fast") == f"derain,{second}"
    assert identity(None) is None


def test_cards_are_of_models_that_are_there() -> None:
    folder = next(row.packaged for row in STUDENTS if row.packaged).parent
    names = {row.name for row in list_checkpoints() if row.packaged}
    assert {path.stem for path in folder.iterdir()} == names
    assert all(re.fullmatch(r"[a-z-]+\.(md|safetensors)", path.name) for path in folder.iterdir())
