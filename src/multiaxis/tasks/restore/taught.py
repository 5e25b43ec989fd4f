"""Degraded crops with what a published model makes of them: what small models learn from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from multiaxis.data.crops import cut, turn
from multiaxis.data.limits import check_limits
from multiaxis.data.source import Arrays, Data, Source
from multiaxis.degrade import Degradation, format_chain, parse_chain
from multiaxis.errors import ConfigError, WeightsError
from multiaxis.files.publish import publish
from multiaxis.tasks.restore.samples import FIELDS, CleanPhotographs, MadeUpPairs
from multiaxis.weights.cache import home

if TYPE_CHECKING:
    from multiaxis.models.maxim.streaming.streamed import Streamed

Levels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class TaughtPhotographs(Data):
    """Clean photographs, degraded as a file would hold them, and restored by a teacher.

    The target is a mean of the clean crop and of the teacher's. Which crops there are, and how they
    are degraded, depends on the fields alone: the teacher restores each once, and the result is
    kept in the cache under the digest of the teacher and of the degraded crop.

    Attributes
    ----------
    folder : str
        Of clean photographs, with its folders inside.
    degrade : tuple of Degradation
        What happens to a crop, in this order.
    teacher : str
        A published checkpoint's name, or a file.
    crops : int
        How many crops the teacher restores.
    whole : int
        Side of those, pixels: what its mixing across the picture sees.
    crop : int
        Side of the squares that are cut out of them for a step.
    truth : float
        Share of the clean crop in the target, from 0 to 1; at 1 no teacher is asked.
    fresh : float
        Share of the samples that are degraded anew instead. Their target is the clean crop.
    shrink : tuple of int
        As of `CleanPhotographs`.
    """

    fields: ClassVar[tuple[str, ...]] = FIELDS
    folder: str
    degrade: tuple[Degradation, ...] = field(
        metadata={"parse": parse_chain, "format": format_chain}
    )
    teacher: str
    crops: int = 400
    whole: int = 256
    crop: int = 128
    truth: float = 0.5
    fresh: float = 0.0
    shrink: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        shares = {"truth": (0, 1), "fresh": (0, 1)}
        check_limits("data", self, {"crops": (1, 10**7), "whole": (1, 65536), **shares})
        check_limits("data", self, {"crop": (1, self.whole)})
        if not self.teacher:
            raise ConfigError("data.teacher is empty: name a published checkpoint or a file")

    def photographs(self, crop: int) -> CleanPhotographs:
        """Give the same photographs, degraded anew at each time."""
        return CleanPhotographs(
            folder=self.folder, degrade=self.degrade, crop=crop, shrink=self.shrink
        )

    def open(self) -> TaughtSource:
        """Find the photographs, and fetch the teacher.

        Raises
        ------
        DataError
            If there are no photographs.
        WeightsError
            If there is no teacher.
        """
        return TaughtSource(self)

    def in_shards(self, config: Mapping[str, Any]) -> Data:
        """Refuse: nothing degrades what comes out of shards."""
        del config
        raise ConfigError("the recipe degrades photographs on the fly: give it data.folder")

    def held_out(self) -> CleanPhotographs | TaughtPhotographs:
        """Give the same degradations of another folder, scored by the truth if it is a target."""
        if self.truth > 0:
            return replace(self.photographs(self.whole), folder="", repeat=8)
        return replace(self, folder="", crops=16, crop=self.whole, fresh=0.0)

    def made_up(self, config: Mapping[str, Any]) -> MadeUpPairs:
        """Give noise of the same size."""
        del config
        return MadeUpPairs(crop=self.crop)


class TaughtSource(Source):
    """Opened `TaughtPhotographs`: a `multiaxis.data.source.Source`."""

    def __init__(self, config: TaughtPhotographs) -> None:
        self.config = config
        self._whole = config.photographs(config.whole).open()
        self._fresh = self._whole.with_crop(config.crop)
        self.left_out = self._whole.left_out
        self._teacher = Teacher(config.teacher)
        if config.truth < 1:
            self._teacher.fetch()
        self._kept: dict[int, tuple[Levels, NDArray[np.float32]]] = {}

    def __len__(self) -> int:
        return self.config.crops

    def name(self, index: int) -> str:
        """Name the photograph."""
        return self._whole.name(index)

    def sample(self, index: int, rng: np.random.Generator) -> Arrays:
        """Cut and turn a pair that was taught, or degrade a crop anew."""
        if rng.random() < self.config.fresh:
            return self._fresh.sample(index, rng)
        degraded, target = turn(cut(list(self.pair(index)), self.config.crop, rng), rng)
        return {"degraded": degraded.astype(np.float32) / np.float32(255), "target": target}

    def pair(self, index: int) -> tuple[Levels, NDArray[np.float32]]:
        """Give a whole crop, in levels, and its target, in [0, 1]."""
        if index not in self._kept:
            made = self._whole.sample(index, np.random.default_rng(index))
            degraded = np.rint(np.clip(made["degraded"], 0, 1) * 255).astype(np.uint8)
            target, truth = made["target"].astype(np.float32, copy=False), self.config.truth
            if truth < 1:
                taught = self._teacher(degraded).astype(np.float32) / np.float32(255)
                target = (target + (1 - truth) * (taught - target)).astype(np.float32)
            self._kept[index] = degraded, target
        return self._kept[index]


class Teacher:
    """A model that restores each crop once: what it made is kept in the cache.

    Parameters
    ----------
    weights : str
        A published checkpoint's name, or a file.
    """

    def __init__(self, weights: str) -> None:
        self.weights = weights
        self._digest: bytes | None = None
        self._model: Streamed | None = None

    def __call__(self, degraded: Levels) -> Levels:
        """Restore a crop (height, width, 3) of 8-bit levels."""
        path = self.place(degraded)
        try:
            made: Levels = np.load(path, allow_pickle=False)
            if made.shape == degraded.shape and made.dtype == np.uint8:
                return made
        except (OSError, ValueError, EOFError):  # not there, or cut short
            pass
        made = self._restore(degraded)
        path.parent.mkdir(parents=True, exist_ok=True)
        publish(path, _encoded(made), overwrite=True)
        return made

    def place(self, degraded: Levels) -> Path:
        """Say where the cache holds what the teacher makes of a crop, or will."""
        shape = repr(degraded.shape).encode()
        key = hashlib.sha256(self.fetch() + shape + degraded.tobytes()).hexdigest()
        return home() / "taught" / f"{key}.npy"

    def fetch(self) -> bytes:
        """Fetch the weights, if they are published ones; give the digest of their file.

        Raises
        ------
        WeightsError
            If they cannot be fetched or read.
        """
        if self._digest is None:
            from multiaxis.weights.find import find_file

            path = find_file(self.weights)
            try:
                with path.open("rb") as file:
                    self._digest = hashlib.file_digest(file, "sha256").digest()
            except OSError as error:
                raise WeightsError(f"cannot read the teacher {path}: {error.strerror}") from error
        return self._digest

    def _restore(self, degraded: Levels) -> Levels:
        import torch

        model = self._model = self._model or _open(self.weights)
        x = torch.from_numpy(degraded).to(model.device).permute(2, 0, 1)[None].float() / 255
        made = (model(x)[0].permute(1, 2, 0).clamp(0, 1) * 255).round()
        return made.to(torch.uint8).cpu().numpy()


def _open(weights: str) -> Streamed:
    """Open a teacher where it is quickest; in a process that only loads samples, on the CPU."""
    from torch.utils.data import get_worker_info

    from multiaxis.devices import find_device, find_dtype
    from multiaxis.models.maxim import Maxim
    from multiaxis.models.maxim.streaming import streamed
    from multiaxis.weights.purpose import wrong_purpose
    from multiaxis.zoo import open_model

    device = find_device("auto" if get_worker_info() is None else "cpu")
    model = open_model(weights)
    if not isinstance(model, Maxim):
        raise wrong_purpose(weights, "MAXIM", "is a checkpoint of one, which restores")
    return streamed(model.to(device).eval(), dtype=find_dtype("auto", device))


def _encoded(array: Levels) -> bytes:
    import io

    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()
