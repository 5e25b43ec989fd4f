"""Descriptions of many photographs, made once and kept by content."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multiaxis.data.pictures import read_levels
from multiaxis.errors import MultiaxisError, WeightsError
from multiaxis.files.publish import publish
from multiaxis.files.read import read_bytes
from multiaxis.models.store import digest
from multiaxis.progress import OnProgress, Progress
from multiaxis.tasks.rate.bursts import BITS, likeness
from multiaxis.tasks.rate.network import RatingNet
from multiaxis.tasks.rate.tally import Tally
from multiaxis.tasks.rate.views import describe
from multiaxis.weights.cache import home

_VERSION = 1  # of what a description is made of


@dataclass(frozen=True)
class Described:
    """Photographs with their descriptions.

    Attributes
    ----------
    paths : tuple of Path
        Those that could be read.
    features : array of float32, shape (photographs, numbers)
    likeness : array of bool, shape (photographs, 64)
        Of `multiaxis.tasks.rate.bursts.likeness`.
    kept : int
        How many descriptions were there already.
    """

    paths: tuple[Path, ...]
    features: NDArray[np.float32]
    likeness: NDArray[np.bool_]
    kept: int


class FeatureStore:
    """A folder of descriptions by the content of photographs, for one backbone and its views.

    Parameters
    ----------
    network : RatingNet
        In evaluation; its head does not matter.
    folder : Path, optional
        By default inside the cache of weights. Where it cannot be written, nothing is kept.
    """

    def __init__(self, network: RatingNet, folder: Path | None = None) -> None:
        head = network.config.head
        about = {
            "version": _VERSION,
            "backbone": digest(network.backbone.state_dict()),
            "config": asdict(network.config.backbone),
            **{name: getattr(head, name) for name in ("pool", "views", "size", "mean", "std")},
            "dtype": str(network.head.weight.dtype),
        }
        name = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()
        self.network = network
        self.folder: Path | None = None
        with suppress(WeightsError, OSError):
            self.folder = (home() / "ratings" if folder is None else folder) / name[:24]
            self.folder.mkdir(parents=True, exist_ok=True)

    def describe(self, path: Path) -> tuple[NDArray[np.float32], bool]:
        """Describe a photograph, with its likeness behind; tell whether that had been done before.

        Raises
        ------
        MultiaxisError
            If it cannot be read, or is no picture to look at.
        """
        data = read_bytes(path)
        place = self.folder and self.folder / f"{hashlib.sha256(data).hexdigest()}.npy"
        known = None if place is None else _kept(place, self.network.width + BITS)
        if known is not None:
            return known, True
        pixels = read_levels(path, data)
        described = describe(self.network, pixels).numpy()
        found = np.concatenate([described, likeness(pixels).astype(np.float32)])
        if place is not None:
            stream = io.BytesIO()
            np.save(stream, found)
            with suppress(OSError):  # a full disk costs time next time, and nothing else
                publish(place, stream.getvalue(), overwrite=True)
        return found, False

    def describe_all(
        self, paths: Sequence[Path], tally: Tally, on_progress: OnProgress | None = None
    ) -> Described:
        """Describe photographs; those that cannot be read are counted and left out."""
        done: list[Path] = []
        rows: list[NDArray[np.float32]] = []
        kept = 0
        for k, path in enumerate(paths):
            if on_progress:
                on_progress(Progress(path.name, k, len(paths), "pictures"))
            try:
                found, known = self.describe(path)
            except MultiaxisError as error:
                tally.add("photograph", "is unreadable", f"{path.name} ({error})")
                continue
            done.append(path)
            rows.append(found)
            kept += known
        width = self.network.width
        found = np.stack(rows) if rows else np.zeros((0, width + BITS), np.float32)
        return Described(tuple(done), found[:, :width], found[:, width:] > 0, kept)


def _kept(place: Path, width: int) -> NDArray[np.float32] | None:
    try:
        found = np.load(place, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    whole = found.shape == (width,) and found.dtype == np.float32 and np.isfinite(found).all()
    return found if whole else None
