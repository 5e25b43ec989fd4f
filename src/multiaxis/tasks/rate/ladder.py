"""Clean photographs, spoilt more from step to step: ratings that need no people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from multiaxis.data.limits import check_limits
from multiaxis.data.pictures import Pictures, find_pictures, tell_others
from multiaxis.data.source import Arrays, Data, Source
from multiaxis.degrade import Degradation, degrade_picture, parse_chain
from multiaxis.errors import DataError, unknown
from multiaxis.tasks.rate.samples import RATED, MadeUpRatings, cut_out, is_held
from multiaxis.tasks.rate.scale import STARS

LADDERS: dict[str, tuple[str, ...]] = {
    "defocus": tuple(f"defocus:radius={r}" for r in (1, 1.8, 3, 5)),
    "noise": tuple(f"gaussian-noise:sigma={s}" for s in (8, 18, 35, 60)),
    "jpeg": tuple(f"jpeg:quality={q}" for q in (50, 28, 14, 6)),
}
"""Four steps of each kind, from what is just seen to what is plain, below the clean picture."""
_VALID_SEED = 2303


@dataclass(frozen=True, kw_only=True)
class Ladder(Data):
    """Crops of clean photographs, spoilt in one of several ways: 5 for clean, down to 1.

    Attributes
    ----------
    folder : str
    kinds : tuple of str
        Of `LADDERS`.
    size : int
        Side of the crops, pixels.
    train : bool
        Random crops; otherwise the middle of what is held out, once at each step of each kind.
    held : float
        Share of the photographs that is held out, chosen by their names.
    keep : bool
        Keep decoded pictures in memory, at 3 bytes a pixel.
    """

    fields: ClassVar[tuple[str, ...]] = RATED
    folder: str
    kinds: tuple[str, ...] = tuple(LADDERS)
    size: int = 112
    train: bool = True
    held: float = 0.25
    keep: bool = True

    def __post_init__(self) -> None:
        check_limits("data", self, {"size": (32, 4096), "held": (0.01, 0.9)})
        for kind in self.kinds or ("none",):
            if kind not in LADDERS:
                raise unknown("kind of ladder", kind, LADDERS)

    def open(self) -> LadderSource:
        """Find the photographs.

        Raises
        ------
        DataError
            If none is left.
        """
        return LadderSource(self)

    def held_out(self) -> Ladder:
        """Give what is held out of the same folder."""
        return replace(self, train=False)

    def made_up(self, config: Mapping[str, Any]) -> MadeUpRatings:
        """Give noise of the same size."""
        del config
        return MadeUpRatings(size=self.size, scale=STARS.values)


class LadderSource(Source):
    """Opened `Ladder`: a `multiaxis.data.source.Source`.

    Attributes
    ----------
    scale : Scale
    steps : list of (str, int)
        Kind and rating of the samples of a photograph, in order.
    """

    def __init__(self, about: Ladder) -> None:
        found = find_pictures(about.folder)
        paths = [p for p in found.paths if is_held(p.name, about.held) is not about.train]
        if not paths:
            raise DataError(f"no photograph of {about.folder} is left: set another data.held")
        self.about, self.scale, self.left_out = about, STARS, tell_others(found)
        self.is_fixed = not about.train
        self._pictures = Pictures(paths, keep=about.keep)
        self.steps = [(kind, rating) for kind in about.kinds for rating in (5, 4, 3, 2, 1)]

    def __len__(self) -> int:
        return len(self._pictures) * len(self.steps)

    def name(self, index: int) -> str:
        """Name the photograph, and what is done to it."""
        photograph, step = divmod(index, len(self.steps))
        kind, rating = self.steps[step]
        return f"{self._pictures.paths[photograph]}, {kind}, {rating} of 5"

    def sample(self, index: int, rng: np.random.Generator) -> Arrays:
        """Cut a photograph and spoil it; values in [-1, 1], as MaxViT takes them."""
        photograph, step = divmod(index, len(self.steps))
        kind, rating = self.steps[step]
        is_random = self.about.train
        pixels = self._pictures.read(photograph)
        picture = cut_out(pixels, self.about.size, rng, is_random=is_random)
        seed = int(rng.integers(2**31)) if is_random else _VALID_SEED
        clean = np.asarray(picture / 2 + 0.5, np.float32)
        spoilt, _ = degrade_picture(clean, chain_of(kind, rating), seed)
        shares = self.scale.shares(rating).astype(np.float32)
        return {"picture": spoilt * 2 - 1, "shares": shares}


def chain_of(kind: str, rating: int) -> tuple[Degradation, ...]:
    """Give what leads to a rating: nothing for 5."""
    return () if rating == 5 else parse_chain(LADDERS[kind][4 - rating])
