"""Masks as COCO writes them, polygons and run lengths, to arrays and back."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiaxis.tasks.detect.extras import need

Rle = dict[str, Any]
"""Run lengths, columns first: ``{"size": [height, width], "counts": ...}``."""

_LEAST = 6  # numbers of a polygon; pycocotools takes four for a box
_FARTHEST = 1e6  # pixels beyond which a corner is no measurement


def fault_of(mask: object, height: int, width: int) -> str:
    """Say what is wrong with a mask, before any library of C reads it; empty for nothing.

    Parameters
    ----------
    mask : object
        The ``segmentation`` of an annotation.
    height, width : int
        Of its picture, pixels.
    """
    if isinstance(mask, list):
        return _fault_of_polygons(mask, height, width)  # pyright: ignore[reportUnknownArgumentType]
    if not isinstance(mask, dict):
        return f"a mask that is a {type(mask).__name__}: accepted are polygons and run lengths"
    size, counts = mask.get("size"), mask.get("counts")  # pyright: ignore[reportUnknownVariableType]
    if size != [height, width]:
        return f"a mask of the size {size}: its picture has [height, width] = [{height}, {width}]"
    runs = _read_runs(counts)  # pyright: ignore[reportUnknownArgumentType]
    if runs is None:
        return "a mask whose run lengths cannot be read"
    if sum(runs) != height * width:
        return f"a mask of {sum(runs)} pixels: its picture has {height * width}"
    return "" if sum(runs[1::2]) else "an empty mask"


def encode(mask: NDArray[np.bool_]) -> Rle:
    """Write a mask of shape (height, width) as compressed run lengths, of text."""
    found = need("pycocotools.mask").encode(np.asfortranarray(mask, np.uint8))
    return {"size": [int(n) for n in found["size"]], "counts": found["counts"].decode("ascii")}


def to_rle(mask: Any, height: int, width: int) -> Rle:
    """Turn any mask without a `fault_of` into run lengths, as pycocotools does."""
    tools = need("pycocotools.mask")
    if isinstance(mask, list):
        return tools.merge(tools.frPyObjects(mask, height, width))
    if isinstance(mask["counts"], list):
        return tools.frPyObjects(mask, height, width)
    return mask


def decode(mask: Any, height: int, width: int) -> NDArray[np.bool_]:
    """Turn any mask without a `fault_of` into an array of shape (height, width)."""
    with warnings.catch_warnings():  # it speaks to NumPy as of version 1
        warnings.simplefilter("ignore", DeprecationWarning)
        return need("pycocotools.mask").decode(to_rle(mask, height, width)).astype(np.bool_)


def bounds(mask: NDArray[np.bool_]) -> tuple[float, float, float, float] | None:
    """Give left, top, right and bottom of a mask, shape (height, width); None if it is empty."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def turn_mask(
    mask: Any, height: int, width: int, change: Sequence[Sequence[float]] | NDArray[np.float64]
) -> Any:
    """Turn a mask with its picture.

    Parameters
    ----------
    mask : object
        Without a `fault_of`.
    height, width : int
        Of the picture before.
    change : array of float, shape (2, 3)
        Takes places (x, y, 1) to where they come to lie; a turn by right angles, or a reflection.
    """
    matrix = np.asarray(change)
    if isinstance(mask, list):
        corners = [np.asarray(p, float).reshape(-1, 2) for p in mask]
        return [(c @ matrix[:, :2].T + matrix[:, 2]).ravel().tolist() for c in corners]
    turned = decode(mask, height, width)
    if matrix[0, 0] == 0:  # rows and columns are exchanged
        turned = turned.T
        backwards = matrix[1, 0] < 0, matrix[0, 1] < 0
    else:
        backwards = matrix[1, 1] < 0, matrix[0, 0] < 0
    return encode(turned[:: -1 if backwards[0] else 1, :: -1 if backwards[1] else 1])


def _fault_of_polygons(polygons: list[Any], height: int, width: int) -> str:
    if not polygons:
        return "a mask of no polygon"
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) < _LEAST or len(polygon) % 2:
            shown = str(polygon)[:40]
            return f"a polygon {shown}: accepted is [x1, y1, x2, y2, ...] of 3 corners or more"
        if not all(_is_place(n) for n in polygon):
            return "a polygon with a corner that is no number, or far away"
    inside = any(
        min(p[::2]) < width and max(p[::2]) > 0 and min(p[1::2]) < height and max(p[1::2]) > 0
        for p in polygons
    )
    return "" if inside else f"a mask outside the picture of {width} x {height}"


def _is_place(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return math.isfinite(value) and abs(value) < _FARTHEST


def _read_runs(counts: object) -> list[int] | None:
    """Read run lengths, plain or compressed as pycocotools does; None if they are damaged."""
    if isinstance(counts, bytes):
        counts = counts.decode("latin-1")
    if isinstance(counts, str):
        return _decompress(counts)
    if not isinstance(counts, list):
        return None
    runs: list[Any] = counts  # pyright: ignore[reportUnknownVariableType]
    whole = all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in runs)
    return runs if whole else None


def _decompress(text: str) -> list[int] | None:
    """Read COCO's text: 5 bits a character from 48 on, and differences to the run two before."""
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 40:
            return None
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        if len(runs) > 2:
            value += runs[-2]
        if value < 0:
            return None
        runs.append(value)
        value = shift = 0
    return None if shift else runs
