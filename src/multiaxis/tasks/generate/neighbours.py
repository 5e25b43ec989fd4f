"""Whether made pictures repeat each other, or real ones: nearest neighbours in what is seen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multiaxis.data.pictures import read_levels
from multiaxis.score.nearest import count_distinct, nearest, usual_distance
from multiaxis.tasks.generate.grid import in_grid
from multiaxis.tasks.generate.samples import middle_square

_SHOWN, _COLUMNS = 32, 8


@dataclass(frozen=True)
class Neighbours:
    """How near made pictures are to each other and to real ones.

    Attributes
    ----------
    compared : int
        Pictures of each set that are counted below: as many as the smaller set has, evenly spread.
    distinct, distinct_real : int
        Of so many, those that no earlier one of their set is near to. Near is what 1 in 20 of the
        real ones is to another.
    copies : int
        Of all made pictures, those that are near to a real one, or to its mirror image. Near is
        what 1 in 20 of all real pictures is to another, or to its mirror image.
    pairs : tuple of (Path, Path, bool)
        The first made pictures, the real picture nearest to each, and whether it is mirrored.
    """

    compared: int
    distinct: int
    distinct_real: int
    copies: int
    pairs: tuple[tuple[Path, Path, bool], ...]


@dataclass(frozen=True)
class Set:
    """What is seen in a folder.

    Attributes
    ----------
    paths : list of Path
        Of the pictures that could be read.
    features : array, shape (pictures, features)
    """

    paths: list[Path]
    features: NDArray[np.float32]


def find_neighbours(made: Set, real: Set, mirrored: NDArray[np.float32]) -> Neighbours:
    """Compare sets.

    Parameters
    ----------
    made, real : Set
        Of 2 pictures or more each.
    mirrored : array, shape (real pictures, features)
        What is seen in the mirror images of the real ones, which trainings show, too.
    """
    compared = min(len(made.paths), len(real.paths))
    ours, theirs = (_spread(one.features, compared) for one in (made, real))
    _, between = nearest(theirs, theirs, "others")
    limit = usual_distance(between)

    numbers, distances = nearest(made.features, np.concatenate([real.features, mirrored]))
    usual = usual_distance(
        np.minimum(*(nearest(real.features, x, "others")[1] for x in (real.features, mirrored)))
    )
    count = len(real.paths)
    pairs = (
        (path, real.paths[number % count], bool(number >= count))
        for path, number in zip(made.paths[:_SHOWN], numbers.tolist(), strict=False)
    )
    return Neighbours(
        compared=compared,
        distinct=count_distinct(ours, limit),
        distinct_real=count_distinct(theirs, limit),
        copies=int((distances <= usual).sum()),
        pairs=tuple(pairs),
    )


def draw_pairs(neighbours: Neighbours, size: int) -> NDArray[np.uint8]:
    """Draw the first made pictures in rows of eight, the nearest real ones below each row.

    Parameters
    ----------
    neighbours : Neighbours
    size : int
        Side of a picture, pixels.

    Returns
    -------
    array of uint8, shape (height, width, 3)

    Raises
    ------
    ImageError
        If a picture cannot be read any more.
    """
    rows: list[NDArray[np.uint8]] = []
    white = np.full((size, size, 3), 255, np.uint8)
    for first in range(0, len(neighbours.pairs), _COLUMNS):
        part = neighbours.pairs[first : first + _COLUMNS]
        above = [middle_square(read_levels(made), size) for made, _, _ in part]
        below = [
            middle_square(read_levels(real), size)[:, :: -1 if is_mirrored else 1]
            for _, real, is_mirrored in part
        ]
        for row in (above, below):
            rows += row + [white] * (_COLUMNS - len(row))
    return in_grid(np.stack(rows), _COLUMNS)


def _spread(features: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Take so many, evenly spread: the files of a folder may lie by kinds."""
    return features[np.linspace(0, len(features) - 1, count).round().astype(int)]
