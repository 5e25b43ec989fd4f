"""Reading what training needs of pictures: 8-bit RGB, kept in memory on request."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import DataError, ImageError
from multiaxis.images import grey_to_rgb, list_pictures, read_picture, seen_by_model


def find_pictures(folder: str | Path, *, recursive: bool = False) -> list[Path]:
    """List the pictures of a folder.

    Raises
    ------
    DataError
        If there are none, or no such folder.
    """
    try:
        found = list_pictures(Path(folder).expanduser(), recursive=recursive)
    except ImageError as error:
        raise DataError(str(error)) from error
    if not found:
        raise DataError(f"{folder} holds no pictures: name a folder that does")
    return found


class Pictures:
    """Files, decoded when asked for.

    Parameters
    ----------
    paths : list of Path
    keep : bool
        Whether decoded pictures stay in memory, at 3 bytes a pixel.
    """

    def __init__(self, paths: list[Path], *, keep: bool = False) -> None:
        self.paths, self.keep = paths, keep
        self._kept: dict[int, NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, index: int) -> NDArray[np.uint8]:
        """Give a picture as sRGB, uint8 of shape (height, width, 3).

        Raises
        ------
        ImageError
            If it cannot be read.
        """
        if index in self._kept:
            return self._kept[index]
        pixels = _read(self.paths[index])
        if self.keep:
            self._kept[index] = pixels
        return pixels


def _read(path: Path) -> NDArray[np.uint8]:
    levels = grey_to_rgb(seen_by_model(read_picture(path))) * np.float32(255)
    return np.rint(np.clip(levels, 0, 255)).astype(np.uint8)
