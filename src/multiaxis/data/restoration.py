"""Pairs for restoration: from two folders, or made from clean photographs on the fly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiaxis.data.crops import cut, mix, trim, turn
from multiaxis.data.limits import check_limits
from multiaxis.data.pictures import Pictures, find_pictures
from multiaxis.degrade import Degradation, degrade
from multiaxis.errors import ConfigError, DataError
from multiaxis.images import probe_picture

Pair = tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class CleanPhotographs:
    """A folder of clean photographs, degraded on the fly.

    Attributes
    ----------
    folder : str
        With its folders inside.
    degrade : tuple of Degradation
        What happens to a crop, in this order.
    crop : int
        Side of the squares, pixels.
    mixup : float
        Probability of averaging a pair with another.
    repeat : int
        How many samples a pass takes from each photograph.
    shrink : tuple of int
        The photographs are also used that many times smaller (mean over squares): photographs of
        many megapixels hold little detail at the scale of a pixel.
    keep : bool
        Keep decoded photographs in memory, 3 bytes a pixel.
    """

    folder: str
    degrade: tuple[Degradation, ...]
    crop: int = 256
    mixup: float = 0.0
    repeat: int = 1
    shrink: tuple[int, ...] = (1,)
    keep: bool = True

    def __post_init__(self) -> None:
        limits = {"crop": (1, 65536), "mixup": (0, 1), "repeat": (1, 10**9), "shrink": (1, 64)}
        check_limits("data", self, limits)
        if not self.shrink:
            raise ConfigError("data.shrink is empty: accepted are numbers such as 1 or 1,2,4")

    def open(self) -> CleanSource:
        """Find the photographs."""
        return CleanSource(self, find_pictures(self.folder, recursive=True))


@dataclass(frozen=True, kw_only=True)
class PairedFolders:
    """A folder of degraded pictures and one of their targets, with equal names.

    Attributes
    ----------
    inputs, targets : str
    crop : int
        Side of the squares, pixels.
    mixup : float
        Probability of averaging a pair with another.
    keep : bool
        Keep decoded pictures in memory, 3 bytes a pixel.
    """

    inputs: str
    targets: str
    crop: int = 256
    mixup: float = 0.5
    keep: bool = False

    def __post_init__(self) -> None:
        check_limits("data", self, {"crop": (1, 65536), "mixup": (0, 1)})

    def open(self) -> PairedSource:
        """Pair the files, and compare their sizes by their headers.

        Raises
        ------
        DataError
            If a partner is missing, or has another size.
        """
        partners = match(find_pictures(self.inputs), find_pictures(self.targets))
        for a, b in partners:
            one, two = probe_picture(a), probe_picture(b)
            if (one.width, one.height) != (two.width, two.height):
                raise DataError(
                    f"{a} has {one.width} x {one.height} pixels and its target {b} {two.width} x "
                    f"{two.height}: crop them to the same frame, or leave the pair out"
                )
        return PairedSource(self, partners)


class CleanSource:
    """Opened `CleanPhotographs`: a `multiaxis.data.source.Source`."""

    def __init__(self, about: CleanPhotographs, paths: list[Path]) -> None:
        self.about = about
        self._pictures = Pictures(paths, keep=about.keep)
        self._shrunk: dict[tuple[int, int], NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        return len(self._pictures) * self.about.repeat

    def name(self, index: int) -> str:
        """Name the photograph."""
        return str(self._pictures.paths[index % len(self._pictures)])

    def sample(self, index: int, rng: np.random.Generator) -> Pair:
        """Cut, turn and degrade a crop."""
        pair = self._pair(index, rng)
        if rng.random() < self.about.mixup:
            pair = mix(pair, self._pair(int(rng.integers(len(self))), rng), rng)
        return pair

    def _pair(self, index: int, rng: np.random.Generator) -> Pair:
        size, chain = self.about.crop, self.about.degrade
        margin = sum(link.reach for link in chain)
        photograph = self._photograph(index % len(self._pictures), rng)
        clean = turn(cut([photograph], size, rng, margin=margin), rng)[0]
        clean = clean.astype(np.float32) / np.float32(255)
        degraded, _ = degrade(clean, chain, rng)
        return trim(degraded, size), trim(clean, size)

    def _photograph(self, place: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        factor = self.about.shrink[int(rng.integers(len(self.about.shrink)))]
        if (place, factor) in self._shrunk:
            return self._shrunk[place, factor]
        small = shrunk(self._pictures.read(place), factor)
        if self.about.keep and factor > 1:
            self._shrunk[place, factor] = small
        return small


class PairedSource:
    """Opened `PairedFolders`: a `multiaxis.data.source.Source`."""

    def __init__(self, about: PairedFolders, partners: list[tuple[Path, Path]]) -> None:
        self.about = about
        self._inputs = Pictures([a for a, _ in partners], keep=about.keep)
        self._targets = Pictures([b for _, b in partners], keep=about.keep)

    def __len__(self) -> int:
        return len(self._inputs)

    def name(self, index: int) -> str:
        """Name the degraded picture."""
        return str(self._inputs.paths[index])

    def sample(self, index: int, rng: np.random.Generator) -> Pair:
        """Cut and turn a pair."""
        pair = self._pair(index, rng)
        if rng.random() < self.about.mixup:
            pair = mix(pair, self._pair(int(rng.integers(len(self))), rng), rng)
        return pair

    def _pair(self, index: int, rng: np.random.Generator) -> Pair:
        whole = [self._inputs.read(index), self._targets.read(index)]
        return cut_pair(whole, self.about.crop, rng)


def cut_pair(whole: list[NDArray[np.uint8]], size: int, rng: np.random.Generator) -> Pair:
    """Cut the same square out of two pictures, turn both alike, and scale them to [0, 1]."""
    made, wanted = turn(cut(whole, size, rng), rng)
    return made.astype(np.float32) / np.float32(255), wanted.astype(np.float32) / np.float32(255)


def match(inputs: list[Path], targets: list[Path]) -> list[tuple[Path, Path]]:
    """Pair files by their names without suffixes.

    Raises
    ------
    DataError
        If any is without a partner.
    """
    by_name = {path.stem: path for path in targets}
    alone = [path for path in inputs if path.stem not in by_name]
    unused = set(by_name) - {path.stem for path in inputs}
    alone += [by_name[stem] for stem in sorted(unused)]
    if alone:
        shown = ", ".join(map(str, alone[:3]))
        raise DataError(
            f"pictures without a partner: {len(alone)}, such as {shown}; give inputs and targets "
            "the same names, or take these out"
        )
    return [(path, by_name[path.stem]) for path in inputs]


def shrunk(picture: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Take means over squares of `factor` pixels; what does not fill a square is dropped."""
    if factor == 1:
        return picture
    height, width = (n // factor * factor for n in picture.shape[:2])
    squares = picture[:height, :width].reshape(height // factor, factor, width // factor, factor, 3)
    return np.rint(squares.mean(axis=(1, 3), dtype=np.float32)).astype(np.uint8)
