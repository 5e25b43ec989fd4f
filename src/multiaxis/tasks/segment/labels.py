"""Label pictures: files whose pixels are numbers of classes."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from multiaxis.errors import DataError
from multiaxis.files.read import read_bytes
from multiaxis.tasks.segment.classes import Classes, Numbers

_VOID = -1
_NUMBERS = ("1", "L", "P", "I", "I;16", "I;16B")
_COLOURS = ("RGB", "RGBA")
_LOSSY = ("JPEG", "MPO", "JPEG2000", "AVIF", "HEIF")


def label_size(path: Path, classes: Classes) -> tuple[int, int]:
    """Give (height, width) of a label picture from its header, and refuse what is none.

    Raises
    ------
    DataError
        Says why.
    """
    with _opened(path, classes) as image:
        return image.height, image.width


def read_labels(path: Path, classes: Classes, numbers: Numbers) -> NDArray[np.int32]:
    """Read a label picture.

    Parameters
    ----------
    path : Path
        Of numbers, in grey or with a palette; or of the classes' colours, in RGB.
    classes : Classes
    numbers : Numbers

    Returns
    -------
    array of int32, shape (height, width)
        Numbers of classes; -1 where a pixel does not count.

    Raises
    ------
    DataError
        If it is no label picture, or holds what is no class.
    """
    with _opened(path, classes) as image:
        try:
            is_coloured = image.mode in _COLOURS
            values = np.asarray(image.convert("RGB") if is_coloured else image)
        except (OSError, ValueError, SyntaxError) as error:
            raise DataError(f"cannot read the labels {path}: {error}") from error
    if is_coloured:
        return _from_colours(values, classes, path)
    return _from_numbers(values.astype(np.int32), numbers, path)


def _from_numbers(values: NDArray[np.int32], numbers: Numbers, path: Path) -> NDArray[np.int32]:
    present = np.unique(values)
    known = {number: k for k, number in enumerate(numbers.values)}
    known = dict.fromkeys(numbers.ignore, _VOID) | known
    wrong = [int(value) for value in present if int(value) not in known]
    if wrong:
        first, last = numbers.values[0], numbers.values[-1]
        raise DataError(
            f"the labels {path} hold {wrong[0]}: accepted are the classes' numbers, {first} to "
            f"{last} (data.classes, data.values), and "
            f"{', '.join(map(str, numbers.ignore)) or 'no number'} for pixels that do not count "
            "(data.ignore)"
        )
    places = np.searchsorted(present, values)
    return np.array([known[int(value)] for value in present], np.int32)[places]


def _opened(path: Path, classes: Classes) -> Image.Image:
    data = read_bytes(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data))
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError, ValueError) as error:
        raise DataError(
            f"cannot read the labels {path}: {error}; accepted are PNG files"
        ) from error
    if image.format in _LOSSY:
        raise DataError(
            f"the labels {path} are {image.format}, which changes numbers: accepted are PNG files"
        )
    has_colours = len(set(classes.colours)) == len(classes)
    if image.mode in _COLOURS and not has_colours:
        raise DataError(f"the labels {path} show colours, and classes share one: give each its own")
    if image.mode not in (*_NUMBERS, *_COLOURS):
        raise DataError(
            f"the labels {path} have the mode {image.mode}: accepted are numbers, in grey or with "
            "a palette, or the classes' colours in RGB"
        )
    return image


def _from_colours(pixels: NDArray[np.uint8], classes: Classes, path: Path) -> NDArray[np.int32]:
    """Find the class of each colour; black does not count unless it is a class's colour."""
    codes = _code(pixels.astype(np.int32))
    known: dict[int, int] = {0: _VOID}
    known |= {int(_code(np.array(c, np.int32))): k for k, c in enumerate(classes.colours)}
    found = np.full(codes.shape, _VOID, np.int32)
    for value in np.unique(codes):
        if int(value) not in known:
            raise DataError(
                f"the labels {path} hold the colour {_hex(int(value))}, which is no class's: "
                "accepted are those of the classes file, such as 'road #804080', and black for "
                "pixels that do not count"
            )
        found[codes == value] = known[int(value)]
    return found


def _code(pixels: NDArray[np.int32]) -> NDArray[np.int32]:
    return (pixels[..., 0] << 16) + (pixels[..., 1] << 8) + pixels[..., 2]


def _hex(code: int) -> str:
    return f"#{code:06x}"
