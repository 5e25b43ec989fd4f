"""What is asked of a generator, and how its pictures are put into one. No tensors here."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import ConfigError

_MOST_COUNT = 10_000_000
_MOST_SEED = 2**31 - 1
_WAY = 8  # pictures from one seed to another, if nobody says


def check_wish(count: int, seed: int, truncation: float | None = None) -> None:
    """Refuse numbers of pictures, seeds and truncations that cannot be.

    Raises
    ------
    ConfigError
    """
    if not 1 <= count <= _MOST_COUNT:
        raise ConfigError(f"the count is {count}: accepted is 1 to {_MOST_COUNT}")
    if not 0 <= seed <= _MOST_SEED:
        raise ConfigError(f"the seed is {seed}: accepted is 0 to {_MOST_SEED}")
    if truncation is not None and not 0.1 <= truncation <= 10:
        raise ConfigError(f"the truncation is {truncation:g}: accepted is 0.1 to 10")


def check_way(to: int, columns: int) -> None:
    """Refuse ways between seeds that cannot be.

    Raises
    ------
    ConfigError
    """
    if not 0 <= to <= _MOST_SEED:
        raise ConfigError(f"the seed to go to is {to}: accepted is 0 to {_MOST_SEED}")
    if columns < 2:
        raise ConfigError(f"the columns are {columns}: a way has 2 pictures or more, its ends")


def columns_of_ways(count: int, to: int, wanted: int | None = None) -> int:
    """Tell how many of `count` pictures a way from one seed to another has; by default 8.

    Raises
    ------
    ConfigError
        If there is a part of a way.
    """
    columns = min(_WAY, count) if wanted is None else wanted
    check_way(to, columns)
    if count % columns:
        raise ConfigError(
            f"the count is {count}, and each way to the seed {to} has {columns} pictures: accepted "
            f"is a multiple, such as {-(-count // columns) * columns}, or another --columns"
        )
    return columns


def columns_of(count: int, wanted: int | None = None) -> int:
    """Tell how many of `count` pictures lie beside each other; by default about as many as rows.

    Raises
    ------
    ConfigError
        If less than 1 is wanted.
    """
    if wanted is not None and wanted < 1:
        raise ConfigError(f"the columns are {wanted}: accepted is 1 or more")
    return math.ceil(math.sqrt(count)) if wanted is None else min(wanted, count)


def in_grid(pictures: NDArray[np.uint8], columns: int | None = None) -> NDArray[np.uint8]:
    """Put pictures beside and below each other; places that are left over are white.

    Parameters
    ----------
    pictures : array of uint8, shape (count, height, width, 3)
    columns : int, optional
        As `wanted` of `columns_of`.

    Returns
    -------
    array of uint8, shape (rows * height, columns * width, 3)
    """
    count, height, width = pictures.shape[:3]
    columns = columns_of(count, columns)
    rows = -(-count // columns)
    whole = np.full((rows * columns, height, width, 3), 255, np.uint8)
    whole[:count] = pictures
    whole = whole.reshape(rows, columns, height, width, 3).transpose(0, 2, 1, 3, 4)
    return whole.reshape(rows * height, columns * width, 3)
