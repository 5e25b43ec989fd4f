"""What every test may ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder with goldens and real pictures; it stands beside the repository, not in it."""
    default = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("MULTIAXIS_SHARED", default))
    if not (folder / "golden").is_dir():
        pytest.skip(f"no goldens or data at {folder}: set MULTIAXIS_SHARED to their folder")
    return folder
