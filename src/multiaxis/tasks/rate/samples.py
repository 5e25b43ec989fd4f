"""Rated pictures, and choices between pictures, as training samples."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from multiaxis.data.limits import check_limits
from multiaxis.data.pictures import Pictures
from multiaxis.data.source import Arrays, Data, Source
from multiaxis.errors import ConfigError, DataError
from multiaxis.score.preferences import fit_strengths
from multiaxis.tasks.rate.ratings import (
    Choices,
    Ratings,
    check_said,
    find_photos,
    read_ratings,
)
from multiaxis.tasks.rate.scale import AVA, Scale

RATED, CHOICE = ("picture", "shares"), ("first", "second", "share", "weight")
_PRIOR = 0.5  # votes for both sides, so that strengths are finite

Pixels = NDArray[np.uint8]


@runtime_checkable
class Voted(Protocol):
    """What knows the scale of its votes.

    Attributes
    ----------
    scale : Scale
    """

    scale: Scale


@runtime_checkable
class Chosen(Protocol):
    """What has choices.

    Attributes
    ----------
    has_reference : bool
    """

    has_reference: bool


@dataclass(frozen=True, kw_only=True)
class RatedPictures(Data):
    """A folder of pictures, and what people said of each.

    Attributes
    ----------
    folder : str
    ratings : str
        ``xmp``, ``folders``, or tables: as ``multiaxis rate learn`` takes them.
    scale : tuple of float
        Values that ratings may have; empty where they tell it.
    size : int
        Pictures are stretched to squares of this side, as NIMA does, pixels.
    train : bool
        What is learnt from, with random parts and mirrored halves; otherwise what is held out.
    held : float
        Share of the pictures that is held out, chosen by their names.
    part : float
        Least share of a side that a random part has.
    keep : bool
        Keep decoded pictures in memory, at 3 bytes a pixel.
    """

    fields: ClassVar[tuple[str, ...]] = RATED
    folder: str
    ratings: str = "xmp"
    scale: tuple[float, ...] = ()
    size: int = 224
    train: bool = True
    held: float = 0.2
    part: float = 0.875
    keep: bool = False

    def __post_init__(self) -> None:
        limits = {"size": (32, 4096), "held": (0.01, 0.9), "part": (0.1, 1)}
        check_limits("data", self, limits)

    def open(self) -> RatedSource:
        """Read the ratings.

        Raises
        ------
        DataError
            If too little can be used, or all ratings are one.
        """
        return RatedSource(self)

    def held_out(self) -> RatedPictures:
        """Give what is held out of the same folder."""
        return replace(self, train=False)

    def made_up(self, config: Mapping[str, Any]) -> MadeUpRatings:
        """Give noise of the same size."""
        del config
        return MadeUpRatings(size=self.size, scale=self.scale or AVA.values)


@dataclass(frozen=True, kw_only=True)
class ChosenPictures(Data):
    """A folder of pictures, and a table of choices between two of them.

    Where the table has a column ``reference``, the two are versions of that picture.

    Attributes
    ----------
    folder, ratings, train, held, part, keep
        As in `RatedPictures`; pictures are held out, or originals, and choices with them.
    size : int
        As in `RatedPictures`. Of pictures with an original, parts of this side are cut out.
    smoothing : float
        Weight of what strengths, fitted to all choices that are learnt from, say of a pair; 0
        leaves the votes (rank-smoothed pairwise learning, arXiv 2011.10893).
    """

    fields: ClassVar[tuple[str, ...]] = CHOICE
    folder: str
    ratings: str
    size: int = 224
    train: bool = True
    held: float = 0.2
    part: float = 0.875
    smoothing: float = 0.0
    keep: bool = False

    def __post_init__(self) -> None:
        limits = {"size": (32, 4096), "held": (0.01, 0.9), "part": (0.1, 1), "smoothing": (0, 1)}
        check_limits("data", self, limits)

    def open(self) -> ChoiceSource:
        """Read the choices.

        Raises
        ------
        DataError
            If too few can be used.
        """
        return ChoiceSource(self)

    def held_out(self) -> ChosenPictures:
        """Give what is held out of the same folder, with the votes as they are."""
        return replace(self, train=False, smoothing=0.0)

    def made_up(self, config: Mapping[str, Any]) -> Data:
        """Give the data itself, whose table says whether there are originals."""
        del config
        return self


@dataclass(frozen=True, kw_only=True)
class MadeUpRatings(Data):
    """Noise, for rehearsals.

    Attributes
    ----------
    size : int
    scale : tuple of float
    """

    fields: ClassVar[tuple[str, ...]] = RATED
    size: int
    scale: tuple[float, ...]

    def open(self) -> MadeUpSource:
        """Give the source."""
        return MadeUpSource(self)


class RatedSource(Source):
    """Opened `RatedPictures`: a `multiaxis.data.source.Source`.

    Attributes
    ----------
    scale : Scale
    """

    def __init__(self, about: RatedPictures) -> None:
        scale = Scale(about.scale) if about.scale else None
        said = read_ratings(find_photos(about.folder), about.ratings, scale)
        if not isinstance(said, Ratings):
            raise ConfigError(
                f"{about.ratings} holds choices between pictures: accepted are ratings of each; "
                "for choices, train rate-pairs"
            )
        check_said(said)
        self.about, self.scale, self.left_out = about, said.scale, said.left_out
        self.is_fixed = not about.train
        kept = [p for p in said.shares if is_held(p.name, about.held) is not about.train]
        if not kept:
            raise DataError(f"no rated picture of {about.folder} is left: set another data.held")
        self._pictures = Pictures(kept, keep=about.keep)
        self._shares = [said.shares[path].astype(np.float32) for path in kept]

    def __len__(self) -> int:
        return len(self._shares)

    def name(self, index: int) -> str:
        """Name the picture."""
        return str(self._pictures.paths[index])

    def sample(self, index: int, rng: np.random.Generator) -> Arrays:
        """Stretch a picture, or a part of it; values in [-1, 1], as MaxViT takes them."""
        about, pixels = self.about, self._pictures.read(index)
        least = about.part if about.train else 1.0
        shown = stretched(pixels, about.size, least, rng, flip=about.train)
        return {"picture": shown, "shares": self._shares[index]}


class ChoiceSource(Source):
    """Opened `ChosenPictures`: a `multiaxis.data.source.Source`.

    Attributes
    ----------
    has_reference : bool
    """

    def __init__(self, about: ChosenPictures) -> None:
        said = read_ratings(find_photos(about.folder), about.ratings)
        if not isinstance(said, Choices):
            raise ConfigError(
                f"{about.ratings} holds ratings of single pictures: accepted are choices between "
                "two; for ratings, train rate-folder"
            )
        check_said(said)
        self.about, self.left_out = about, said.left_out
        self.is_fixed, self.has_reference = not about.train, said.references is not None
        kept = _kept_choices(said, about)
        if not len(kept):
            raise DataError(f"no choice of {about.ratings} is left: set another data.held")
        self._rows, wins = said.rows[kept], said.wins[kept]
        self._references = None if said.references is None else said.references[kept]
        self._votes = wins.sum(axis=1)
        self._shares = _targets(self._rows, wins, about.smoothing)
        self._pictures = Pictures(list(said.items), keep=about.keep)

    def __len__(self) -> int:
        return len(self._rows)

    def name(self, index: int) -> str:
        """Name both pictures."""
        return ", ".join(str(self._pictures.paths[k]) for k in self._rows[index])

    def sample(self, index: int, rng: np.random.Generator) -> Arrays:
        """Show both pictures alike, and their original where they have one."""
        about = self.about
        fields: dict[str, NDArray[Any]] = {
            "share": np.asarray(self._shares[index], np.float32),
            "weight": np.asarray(self._votes[index], np.float32),
        }
        first, second = map(int, self._rows[index])
        numbers: dict[str, int] = {"first": first, "second": second}
        if self._references is not None:
            numbers["reference"] = int(self._references[index])
        seed = int(rng.integers(2**63))
        for field, number in numbers.items():
            pixels, same = self._pictures.read(number), np.random.default_rng(seed)
            if self._references is not None:
                fields[field] = cut_out(pixels, about.size, same, is_random=about.train)
            else:  # each picture has a shape of its own
                least = about.part if about.train else 1.0
                fields[field] = stretched(pixels, about.size, least, same, flip=about.train)
        return fields


class MadeUpSource(Source):
    """Opened `MadeUpRatings`: a `multiaxis.data.source.Source`.

    Attributes
    ----------
    scale : Scale
    """

    def __init__(self, about: MadeUpRatings) -> None:
        self.about, self.scale = about, Scale(about.scale)

    def __len__(self) -> int:
        return 1000

    def name(self, index: int) -> str:
        """Name the sample."""
        return f"made-up sample {index}"

    def sample(self, index: int, rng: np.random.Generator) -> Arrays:  # noqa: ARG002 (all alike)
        """Make noise."""
        side = self.about.size
        shares = rng.dirichlet(np.ones(len(self.scale))).astype(np.float32)
        return {"picture": rng.random((side, side, 3), np.float32) * 2 - 1, "shares": shares}


def is_held(name: str, share: float) -> bool:
    """Tell whether a picture is held out, by its name alone: the same in every run."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return number < share * 2**64


def stretched(
    pixels: Pixels, side: int, least: float, rng: np.random.Generator, *, flip: bool
) -> NDArray[np.float32]:
    """Stretch a random part of a picture to a square; values in [-1, 1]."""
    height, width = pixels.shape[:2]
    share = rng.uniform(least, 1) if least < 1 else 1.0
    top, left = ((1 - share) * n * (rng.random() if share < 1 else 0) for n in (height, width))
    box = (left, top, left + share * width, top + share * height)
    image = Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC, box=box)
    return _shown(np.asarray(image), flip=flip and bool(rng.random() < 0.5))


def cut_out(
    pixels: Pixels, side: int, rng: np.random.Generator, *, is_random: bool
) -> NDArray[np.float32]:
    """Cut a square out, the middle one unless at random; values in [-1, 1].

    Raises
    ------
    DataError
        If the picture is smaller.
    """
    height, width = pixels.shape[:2]
    if min(height, width) < side:
        raise DataError(
            f"it has {width} x {height} pixels, less than the crop of {side}: set a smaller "
            "data.size"
        )
    top, left = (
        int(rng.integers(n - side + 1)) if is_random else (n - side) // 2 for n in (height, width)
    )
    flip = is_random and bool(rng.random() < 0.5)
    return _shown(pixels[top : top + side, left : left + side], flip=flip)


def _shown(pixels: NDArray[np.uint8], *, flip: bool) -> NDArray[np.float32]:
    turned = pixels[:, ::-1] if flip else pixels
    return turned.astype(np.float32) / np.float32(127.5) - 1


def _kept_choices(said: Choices, about: ChosenPictures) -> NDArray[np.intp]:
    """Choose by originals; without these by both pictures: mixed choices are nobody's."""
    held = np.array([is_held(path.name, about.held) for path in said.items])
    sides = said.rows if said.references is None else said.references[:, None]
    wanted = held[sides] != about.train
    return np.flatnonzero(wanted.all(axis=1))


def _targets(
    rows: NDArray[np.int64], wins: NDArray[np.float64], smoothing: float
) -> NDArray[np.float64]:
    share = wins[:, 0] / wins.sum(axis=1)
    if not smoothing:
        return share
    used, places = np.unique(rows, return_inverse=True)
    strengths = fit_strengths(places.reshape(-1, 2), wins, len(used), prior=_PRIOR).values
    apart = strengths[places.reshape(-1, 2)]
    by_rank = 1 / (1 + np.exp(apart[:, 1] - apart[:, 0]))
    return (1 - smoothing) * share + smoothing * by_rank
