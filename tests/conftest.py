"""What every test may ask for."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

# Before torch starts its threads, and for the processes that tests start: beside other work (or
# another pytest worker), threads that wait for each other made tiny models 30 times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from hypothesis import settings

import small_maxim
from multiaxis import Restorer
from multiaxis.errors import WeightsUnavailableError
from multiaxis.weights.index import find_checkpoint
from multiaxis.weights.pull import pull
from multiaxis.weights.store import write_safetensors

# How long an example takes says nothing on a busy machine, and the first call of a kernel is slow.
settings.register_profile("multiaxis", deadline=None)
settings.load_profile("multiaxis")


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder with goldens and real pictures; it stands beside the repository, not in it."""
    default = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("MULTIAXIS_SHARED", default))
    if not (folder / "golden").is_dir():
        pytest.skip(f"no goldens or data at {folder}: set MULTIAXIS_SHARED to their folder")
    return folder


@pytest.fixture(scope="session")
def pretrained() -> Callable[[str], Path]:
    """Function from a checkpoint's name to its file; skips where no source answers."""

    def get(name: str) -> Path:
        try:
            return pull(find_checkpoint(name))
        except WeightsUnavailableError as error:
            pytest.skip(f"no weights: {error}")

    return get


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a tiny model that changes pictures a little, as the authors' file and ours."""
    folder = tmp_path_factory.mktemp("tiny")
    model = small_maxim.model(config=small_maxim.LEAST)
    with torch.no_grad():
        model.stages[-1].heads["0"].weight.mul_(1e-3)
    small_maxim.write_npz(folder / "tiny.npz", model)
    config = json.dumps(asdict(small_maxim.LEAST))
    write_safetensors(folder / "tiny.safetensors", model.state_dict(), {"config": config})
    return folder


@pytest.fixture
def weights(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """File of a tiny model that changes pictures a little."""
    small_maxim.use_small_variant(monkeypatch, small_maxim.LEAST)
    return Path(shutil.copy(tiny / "tiny.npz", tmp_path))


@pytest.fixture
def weights_file(tiny: Path, tmp_path: Path) -> Path:
    """File of the same tiny model that states its configuration: for processes of their own."""
    return Path(shutil.copy(tiny / "tiny.safetensors", tmp_path))


@pytest.fixture(scope="session")
def restorer(tiny: Path) -> Restorer:
    """The tiny model, loaded once: tests leave it as it was."""
    return Restorer("derain", weights=tiny / "tiny.safetensors", device="cpu")
