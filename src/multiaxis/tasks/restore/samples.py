"""Pairs to learn restoring from: from two folders, from shards, or made on the fly."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from multiaxis.data.crops import cut, mix, trim, turn
from multiaxis.data.limits import check_limits
from multiaxis.data.pictures import Found, Pictures, find_pictures, naming, tell_others
from multiaxis.data.shards import Raw, Shards, read_shard_picture, sample_key
from multiaxis.data.source import Arrays, Data, Source
from multiaxis.degrade import Degradation, degrade, format_chain, parse_chain
from multiaxis.errors import ConfigError, DataError, MultiaxisError
from multiaxis.images import probe_picture

Pair = tuple[NDArray[Any], NDArray[Any]]
FIELDS = ("degraded", "target")


@dataclass(frozen=True, kw_only=True)
class CleanPhotographs(Data):
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

    fields: ClassVar[tuple[str, ...]] = FIELDS
    folder: str
    degrade: tuple[Degradation, ...] = field(
        metadata={"parse": parse_chain, "format": format_chain}
    )
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
        found = find_pictures(self.folder)
        return CleanSource(self, found.paths, tell_others(found))

    def in_shards(self, config: Mapping[str, Any]) -> Data:
        """Refuse: nothing degrades what comes out of shards."""
        del config
        raise ConfigError("the recipe degrades photographs on the fly: give it data.folder")

    def held_out(self) -> CleanPhotographs:
        """Give the same degradations of another folder."""
        return replace(self, folder="", mixup=0.0)

    def made_up(self, config: Mapping[str, Any]) -> MadeUpPairs:
        """Give noise of the same size."""
        del config
        return MadeUpPairs(crop=self.crop)


@dataclass(frozen=True, kw_only=True)
class PairedFolders(Data):
    """A folder of degraded pictures and one of their targets, with equal names.

    Folders inside count, and belong to the names: ``inputs/a/0.jpg`` to ``targets/a/0.png``.

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

    fields: ClassVar[tuple[str, ...]] = FIELDS
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
            If a partner is missing or has another size, or two files differ only in their suffix.
        """
        inputs = find_pictures(self.inputs, but=self.targets)
        targets = find_pictures(self.targets, but=self.inputs)
        partners = match(inputs, targets)
        for pair in partners:
            _check_sizes(*pair)
        return PairedSource(self, partners, tell_others(inputs, targets))

    def in_shards(self, config: Mapping[str, Any]) -> PairShards:
        """Give the same crops out of shards."""
        del config
        return PairShards(urls="", crop=self.crop)

    def held_out(self) -> PairedFolders:
        """Give other folders."""
        return PairedFolders(inputs="", targets="", crop=self.crop, mixup=0.0)

    def made_up(self, config: Mapping[str, Any]) -> MadeUpPairs:
        """Give noise of the same size."""
        del config
        return MadeUpPairs(crop=self.crop)


@dataclass(frozen=True, kw_only=True)
class PairShards(Data):
    """Tar files with ``NAME.input.png`` and ``NAME.target.png``, or any other kind that is read.

    Attributes
    ----------
    urls : str
        Files or addresses, with braces for ranges: ``train-{000..099}.tar``.
    crop : int
        Side of the squares, pixels.
    shuffle : int
        Samples that wait for their turn, out of order; their files stay in memory undecoded.
    """

    fields: ClassVar[tuple[str, ...]] = FIELDS
    is_stream: ClassVar[bool] = True
    urls: str
    crop: int = 256
    shuffle: int = 256

    def __post_init__(self) -> None:
        check_limits("data", self, {"crop": (1, 65536), "shuffle": (1, 10**6)})

    def open(self) -> Shards:
        """Expand the names."""
        return Shards(self.urls, self.decode, shuffle=self.shuffle)

    def held_out(self) -> PairedFolders:
        """Give folders, which can be read in any order."""
        return PairedFolders(inputs="", targets="", crop=self.crop, mixup=0.0)

    def made_up(self, config: Mapping[str, Any]) -> MadeUpPairs:
        """Give noise of the same size."""
        del config
        return MadeUpPairs(crop=self.crop)

    def decode(self, raw: Raw, rng: np.random.Generator) -> Arrays:
        """Make a pair of arrays out of files."""
        pair = [read_shard_picture(raw, f"{kind}.") for kind in ("input", "target")]
        with naming(sample_key(raw)):
            return _named(cut_pair(pair, self.crop, rng))


@dataclass(frozen=True, kw_only=True)
class MadeUpPairs(Data):
    """Noise, for rehearsals.

    Attributes
    ----------
    crop : int
        Side of the squares, pixels.
    """

    fields: ClassVar[tuple[str, ...]] = FIELDS
    crop: int

    def open(self) -> MadeUpSource:
        """Give the source."""
        return MadeUpSource(self.crop)


class CleanSource(Source):
    """Opened `CleanPhotographs`: a `multiaxis.data.source.Source`."""

    def __init__(
        self, config: CleanPhotographs, paths: list[Path], left_out: tuple[str, ...] = ()
    ) -> None:
        self.config, self.left_out = config, left_out
        self._pictures = Pictures(paths, keep=config.keep)
        self._shrunk: dict[tuple[int, int], NDArray[np.uint8]] = {}

    def with_crop(self, crop: int) -> CleanSource:
        """Give a source of other crops of the same photographs, which are kept but once."""
        other = copy.copy(self)
        other.config = replace(self.config, crop=crop)
        return other

    def __len__(self) -> int:
        return len(self._pictures) * self.config.repeat

    def name(self, index: int) -> str:
        """Name the photograph."""
        return str(self._pictures.paths[index % len(self._pictures)])

    def sample(self, index: int, rng: np.random.Generator) -> Arrays:
        """Cut, turn and degrade a crop."""
        pair = self._pair(index, rng)
        if rng.random() < self.config.mixup:
            with suppress(MultiaxisError):  # of the other: it is named when its own turn comes
                pair = mix(pair, self._pair(int(rng.integers(len(self))), rng), rng)
        return _named(pair)

    def _pair(self, index: int, rng: np.random.Generator) -> Pair:
        size, chain = self.config.crop, self.config.degrade
        margin = sum(link.reach for link in chain)
        photograph = self._photograph(index % len(self._pictures), rng)
        with naming(self.name(index)):
            clean = turn(cut([photograph], size, rng, margin=margin), rng)[0]
        clean = clean.astype(np.float32) / np.float32(255)
        degraded, _ = degrade(clean, chain, rng)
        return trim(degraded, size), trim(clean, size)

    def _photograph(self, place: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        factor = self.config.shrink[int(rng.integers(len(self.config.shrink)))]
        if (place, factor) in self._shrunk:
            return self._shrunk[place, factor]
        small = shrunk(self._pictures.read(place), factor)
        if self.config.keep and factor > 1:
            self._shrunk[place, factor] = small
        return small


class PairedSource(Source):
    """Opened `PairedFolders`: a `multiaxis.data.source.Source`."""

    def __init__(
        self,
        config: PairedFolders,
        partners: list[tuple[Path, Path]],
        left_out: tuple[str, ...] = (),
    ) -> None:
        self.config, self.left_out = config, left_out
        self._inputs = Pictures([a for a, _ in partners], keep=config.keep)
        self._targets = Pictures([b for _, b in partners], keep=config.keep)

    def __len__(self) -> int:
        return len(self._inputs)

    def name(self, index: int) -> str:
        """Name the degraded picture."""
        return str(self._inputs.paths[index])

    def sample(self, index: int, rng: np.random.Generator) -> Arrays:
        """Cut and turn a pair."""
        pair = self._pair(index, rng)
        if rng.random() < self.config.mixup:
            with suppress(MultiaxisError):  # of the other: it is named when its own turn comes
                pair = mix(pair, self._pair(int(rng.integers(len(self))), rng), rng)
        return _named(pair)

    def _pair(self, index: int, rng: np.random.Generator) -> Pair:
        whole = [self._inputs.read(index), self._targets.read(index)]
        with naming(self.name(index)):
            return cut_pair(whole, self.config.crop, rng)


class MadeUpSource(Source):
    """Opened `MadeUpPairs`: a `multiaxis.data.source.Source`."""

    def __init__(self, side: int) -> None:
        self.side = side

    def __len__(self) -> int:
        return 1000

    def name(self, index: int) -> str:
        """Name the sample."""
        return f"made-up sample {index}"

    def sample(self, index: int, rng: np.random.Generator) -> Arrays:
        """Make noise, and noisier noise."""
        del index
        clean = rng.random((self.side, self.side, 3), np.float32)
        noisy = clean + 0.1 * rng.standard_normal(clean.shape, np.float32)
        return _named((np.clip(noisy, 0, 1), clean))


def _named(pair: Pair) -> Arrays:
    return dict(zip(FIELDS, pair, strict=True))


def cut_pair(whole: list[NDArray[np.uint8]], size: int, rng: np.random.Generator) -> Pair:
    """Cut the same square out of two pictures, turn both alike, and scale them to [0, 1].

    Raises
    ------
    DataError
        If they differ in size, or are smaller than the square.
    """
    (height, width), (rows, columns) = (picture.shape[:2] for picture in whole)
    if (height, width) != (rows, columns):
        raise DataError(
            f"it has {height} x {width} pixels, and its target {rows} x {columns}: crop them to "
            "the same frame, or leave the pair out"
        )
    degraded, target = turn(cut(whole, size, rng), rng)
    return degraded.astype(np.float32) / np.float32(255), target.astype(np.float32) / np.float32(
        255
    )


def match(inputs: Found, targets: Found) -> list[tuple[Path, Path]]:
    """Pair files by their names without suffixes.

    Raises
    ------
    DataError
        If any is without a partner, or a name occurs twice in a folder.
    """
    degraded, target = inputs.by_name(), targets.by_name()
    alone = [degraded[name] for name in degraded if name not in target]
    alone += [target[name] for name in target if name not in degraded]
    if alone:
        shown = ", ".join(map(str, alone[:3]))
        raise DataError(
            f"pictures without a partner: {len(alone)}, such as {shown}; give inputs and targets "
            "the same names, in the same case, or remove these"
        )
    return [(degraded[name], target[name]) for name in degraded]


def _check_sizes(degraded: Path, target: Path) -> None:
    try:
        one, two = probe_picture(degraded), probe_picture(target)
    except Exception:  # noqa: BLE001 (named when it is read: the training goes on without it)
        return
    if (one.width, one.height) != (two.width, two.height):
        raise DataError(
            f"{degraded} has {one.width} x {one.height} pixels and its target {target} "
            f"{two.width} x {two.height}: crop them to the same frame, or leave the pair out"
        )


def shrunk(picture: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Take means over squares of `factor` pixels; what does not fill a square is dropped."""
    if factor == 1:
        return picture
    height, width = (n // factor * factor for n in picture.shape[:2])
    squares = picture[:height, :width].reshape(height // factor, factor, width // factor, factor, 3)
    return np.rint(squares.mean(axis=(1, 3), dtype=np.float32)).astype(np.uint8)
