"""The one door to annotations: any kind that is read, and the pictures that they are of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import DataError, ImageError
from multiaxis.images import probe_picture
from multiaxis.tasks.detect.coco import read_coco
from multiaxis.tasks.detect.masks import turn_mask
from multiaxis.tasks.detect.truth import Annotated, Box, Faults, Instance, Truth
from multiaxis.tasks.detect.voc import read_voc


def read_annotations(
    path: str | Path, *, classes: Sequence[str] = (), strict: bool = True
) -> Truth:
    """Read annotations.

    Parameters
    ----------
    path : str or Path
        A ``.json`` file of COCO's instances; or a folder of Pascal VOC's ``.xml`` files, or one.
    classes : sequence of str
        For VOC, which has no list of them: as in `read_voc`.
    strict : bool
        Whether faulty entries are refused, or left out and told in the remarks.

    Raises
    ------
    DataError
        If it is none of these, or has faults that are not left out.
    """
    path = Path(path).expanduser()
    if path.is_dir() or path.suffix.lower() == ".xml":
        return read_voc(path, classes=classes, strict=strict)
    if path.suffix.lower() == ".json":
        return read_coco(path, strict=strict)
    raise DataError(
        f"{path} is no annotations by its name: accepted are a .json file of COCO's kind, and a "
        "folder of VOC's .xml files"
    )


def with_pictures(truth: Truth, folder: str | Path, *, drawn: str, strict: bool = True) -> Truth:
    """Look for the pictures of annotations, and let boxes and masks follow their orientation.

    Parameters
    ----------
    truth : Truth
    folder : str or Path
        Of the pictures.
    drawn : str
        ``"upright"`` or ``"stored"``: on what pictures with an orientation tag the boxes were
        drawn, where the sizes do not tell.
    strict : bool
        As in `read_annotations`.

    Returns
    -------
    Truth
        Of the upright pictures.

    Raises
    ------
    DataError
        If a picture is missing, cannot be read or has another size, unless it is left out.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise DataError(
            f"{root} is not a folder: name the folder of the pictures of {truth.source}"
        )
    faults = Faults(truth.source)
    kept = [turned for p in truth.pictures if (turned := _look(p, root, drawn, faults))]
    remarks = (*truth.remarks, *faults.settle(strict=strict))
    if not kept:
        raise DataError(f"none of the pictures of {truth.source} is in {root}: name their folder")
    return replace(truth, pictures=tuple(kept), remarks=remarks)


def _look(about: Annotated, root: Path, drawn: str, faults: Faults) -> Annotated | None:
    try:
        found = probe_picture(root / about.name)
    except ImageError as error:
        faults.add(str(error))
        return None
    stated, upright = (about.width, about.height), (found.width, found.height)
    tag = found.orientation
    stored = upright[::-1] if tag >= 5 else upright
    if stated not in (upright, stored):
        faults.add(
            f"{about.name} has {found.width} x {found.height} pixels, and its annotations say "
            f"{about.width} x {about.height}"
        )
        return None
    if tag == 1 or (stated == upright and stored != upright):
        return about
    if stated == stored and stored != upright:
        return turn(about, tag)
    faults.note(
        f"pictures are turned or mirrored by their tags, and boxes taken as drawn on the {drawn} "
        "ones (data.drawn)",
        about.name,
    )
    return turn(about, tag) if drawn == "stored" else about


def turn(about: Annotated, orientation: int) -> Annotated:
    """Turn boxes and masks with a picture, from as it is stored to upright.

    Parameters
    ----------
    about : Annotated
    orientation : int
        The EXIF value, 1 to 8.
    """
    change = _change(about.width, about.height, orientation)
    size = (about.width, about.height)
    width, height = size[::-1] if orientation >= 5 else size
    return replace(
        about,
        width=width,
        height=height,
        instances=tuple(_turn(thing, change, about) for thing in about.instances),
    )


def _change(width: int, height: int, orientation: int) -> NDArray[np.float64]:
    """Give the matrix (2, 3) that takes places as stored to upright ones; see `images.upright`."""
    x, y = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
    if orientation in (5, 6, 7, 8):
        x, y, width, height = y, x, height, width
    if orientation in (3, 4, 7, 8):
        y = np.array([0, 0, height]) - y
    if orientation in (2, 3, 6, 7):
        x = np.array([0, 0, width]) - x
    return np.stack([x, y])


def _turn(thing: Instance, change: NDArray[np.float64], about: Annotated) -> Instance:
    left, top, wide, high = thing.given
    x1, y1, x2, y2 = _turn_box((left, top, left + wide, top + high), change)
    mask = thing.mask
    return replace(
        thing,
        box=_turn_box(thing.box, change),
        given=(x1, y1, x2 - x1, y2 - y1),
        mask=None if mask is None else turn_mask(mask, about.height, about.width, change),
    )


def _turn_box(box: Box, change: NDArray[np.float64]) -> Box:
    corners = np.array([[box[0], box[1], 1.0], [box[2], box[3], 1.0]]) @ change.T
    (x1, y1), (x2, y2) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    return x1, y1, x2, y2
