"""Reading what training needs of pictures: 8-bit RGB, kept in memory on request."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import DataError, ImageError, explain
from multiaxis.images import (
    Picture,
    decode_picture,
    grey_to_rgb,
    read_bytes,
    seen_by_model,
    walk_pictures,
)
from multiaxis.images.formats import READABLE_NAMES


@dataclass(frozen=True)
class Found:
    """The pictures of a folder and of the folders inside it.

    Attributes
    ----------
    folder : Path
    paths : list of Path
    others : list of Path
        Files that are no pictures by their names.
    """

    folder: Path
    paths: list[Path]
    others: list[Path]

    def by_name(self) -> dict[str, Path]:
        """Map names to pictures: the way from the folder, without suffix.

        Raises
        ------
        DataError
            If two have one name, so that it would be chance which of them is meant.
        """
        named: dict[str, Path] = {}
        for path in self.paths:
            name = path.relative_to(self.folder).with_suffix("").as_posix()
            if name in named:
                raise DataError(
                    f"{named[name]} and {path} differ only in their suffix, so the pair is "
                    "ambiguous: rename or remove one"
                )
            named[name] = path
        return named


def find_pictures(folder: str | Path, *, but: str | Path | None = None) -> Found:
    """List the pictures of a folder and of the folders inside it.

    Parameters
    ----------
    folder : str or Path
    but : str or Path, optional
        A folder that does not belong to it where it lies inside.

    Raises
    ------
    DataError
        If there are none, or no such folder.
    """
    folder = Path(folder).expanduser()
    try:
        found = walk_pictures(folder, but=None if but is None else Path(but).expanduser())
    except ImageError as error:
        raise DataError(str(error)) from error
    paths, others = found.pictures, found.others
    if not paths:
        hint = f" but {len(others)} other files, such as {others[0].name}" if others else ""
        raise DataError(
            f"{folder} holds no pictures{hint}: name a folder that does ({READABLE_NAMES})"
        )
    return Found(folder, paths, others)


def tell_others(*found: Found) -> tuple[str, ...]:
    """Say how many files of folders are no pictures by their names, if there are any."""
    others = [path for folder in found for path in folder.others]
    if not others:
        return ()
    return (f"{len(others)} files without a picture's suffix, such as {others[0]}",)


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
        pixels = read_levels(self.paths[index])
        if self.keep:
            self._kept[index] = pixels
        return pixels


@contextmanager
def naming(name: str) -> Generator[None]:
    """Put the name of an item before what is said about it."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{name}: {error}") from error


def read_levels(path: Path, data: bytes | None = None) -> NDArray[np.uint8]:
    """Read a picture as a network sees it when it restores: the one reader of all training data.

    Parameters
    ----------
    path : Path
    data : bytes, optional
        The whole file, where it comes out of a shard; `path` then only names it.

    Returns
    -------
    array of uint8, shape (height, width, 3)
        Upright sRGB, without colour that alpha hides.

    Raises
    ------
    ImageError
        If it cannot be read, whatever the reason, holds values outside [0, 1], or is HDR.
    """
    try:
        # Remarks tell of conversions: sRGB is what we want.
        picture = decode_picture(read_bytes(path) if data is None else data, str(path))
        return levels_of(picture)
    except Exception as error:  # a file that surprises a decoder costs only itself
        told = explain(error)
        raise ImageError(told if str(path) in told else f"cannot use {path}: {told}") from error


def levels_of(picture: Picture) -> NDArray[np.uint8]:
    """Give what a network sees of a picture: see `read_levels`.

    Raises
    ------
    ImageError
        If it holds values outside [0, 1], or is HDR.
    """
    seen, colour = seen_by_model(picture), picture.metadata.colour
    if colour is not None and colour.hdr:
        raise ImageError(
            f"it is HDR ({colour.hdr}), and a network that knows sRGB would take it for that; "
            "convert it to sRGB first"
        )
    return np.rint(np.clip(grey_to_rgb(seen) * np.float32(255), 0, 255)).astype(np.uint8)
