"""Annotations in COCO's JSON, read strictly."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

from multiaxis.errors import DataError, ImageError
from multiaxis.files.read import read_bytes
from multiaxis.tasks.detect.extras import need
from multiaxis.tasks.detect.masks import fault_of, to_rle
from multiaxis.tasks.detect.truth import Annotated, Box, Category, Faults, Instance, Truth

_PARTS = ("images", "annotations", "categories")
_OVERHANG = 1.0  # pixels beyond the border that rounding explains
CLIPPED = "boxes reach beyond their pictures, and are clipped for training"


def read_coco(path: Path, *, strict: bool = True) -> Truth:
    """Read a file of COCO's instances.

    Parameters
    ----------
    path : Path
    strict : bool
        Whether faulty entries are refused, or left out and told in the remarks.

    Raises
    ------
    DataError
        If it is no such file, or has faults that are not left out.
    """
    content = _read(path)
    faults = Faults(str(path))
    classes = _read_categories(content["categories"], path)
    pictures, refused = _read_pictures(content["images"], faults)
    labels = {category.id: label for label, category in enumerate(classes)}
    things: dict[int, list[Instance]] = {number: [] for number in pictures}
    reader = _Reader(pictures, labels, faults)
    for entry in content["annotations"]:
        if isinstance(entry, dict) and str(entry.get("image_id")) in refused:  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
            continue  # told with its picture
        thing = reader.read(entry)
        if thing is not None:
            things[entry["image_id"]].append(thing)
    if not content["images"]:
        faults.add("it lists no pictures")
    remarks = faults.settle(strict=strict)
    annotated = tuple(
        Annotated(number, name, width, height, tuple(things[number]))
        for number, (name, width, height) in pictures.items()
    )
    return Truth(str(path), classes, annotated, remarks)


def _read(path: Path) -> dict[str, list[Any]]:
    try:
        content = json.loads(read_bytes(path))
    except ImageError as error:
        raise DataError(f"cannot read the annotations {path}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no JSON ({error}): name a file of COCO's annotations") from None
    if isinstance(content, list):
        raise DataError(
            f"{path} holds a list, as results of a detector do: accepted are annotations, an "
            f"object with {', '.join(_PARTS)}"
        )
    if not isinstance(content, dict) or not all(isinstance(content.get(p), list) for p in _PARTS):
        found = ", ".join(map(str, content)) if isinstance(content, dict) else repr(content)[:40]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        raise DataError(
            f"{path} holds {found[:120]}: accepted is an object with lists of {', '.join(_PARTS)}"
        )
    return content  # pyright: ignore[reportUnknownVariableType]


def _read_categories(entries: list[Any], path: Path) -> tuple[Category, ...]:
    """Read the classes; without them nothing has a meaning, so nothing is left out."""
    found: list[Category] = []
    for entry in entries:
        known: Any = entry if isinstance(entry, dict) else {}
        number, name = known.get("id"), known.get("name")
        if not _is_whole(number) or not isinstance(name, str) or not name.strip():
            raise DataError(
                f"{path} has the category {str(entry)[:60]}: accepted is an id that is a whole "
                "number, and a name"
            )
        for other in found:
            if other.id == number or other.name == name:
                raise DataError(
                    f"{path} has two categories of the id {number} or the name {name!r}: give "
                    "each its own"
                )
        found.append(Category(number, name))
    if not found:
        raise DataError(f"{path} has no categories: it needs one for each class")
    return tuple(found)


def _read_pictures(
    entries: list[Any], faults: Faults
) -> tuple[dict[int, tuple[str, int, int]], set[str]]:
    """Give name, width and height by id, and the ids of the entries that are refused."""
    found: dict[int, tuple[str, int, int]] = {}
    names, refused = dict[str, int](), set[str]()
    for entry in entries:
        known: Any = entry if isinstance(entry, dict) else {}
        number, name = known.get("id"), known.get("file_name")
        width, height = known.get("width"), known.get("height")
        if not _is_whole(number) or not isinstance(name, str) or not name:
            faults.add(
                f"the image {str(entry)[:60]}: accepted is an id that is a whole number, and a "
                "file_name"
            )
        elif not _is_whole(width, 1) or not _is_whole(height, 1):
            refused.add(str(number))
            faults.add(
                f"the image {name} has the size {width!r} x {height!r}: accepted are whole numbers "
                "from 1 on"
            )
        elif number in found:
            faults.add(f"the images {found[number][0]} and {name} have the same id {number}")
        elif name in names:
            refused.add(str(number))
            faults.add(f"the images {names[name]} and {number} have the same file_name {name}")
        else:
            names[name] = number
            found[number] = (name, width, height)
    return found, refused


class _Reader:
    """Reads annotations, one after the other."""

    def __init__(
        self,
        pictures: Mapping[int, tuple[str, int, int]],
        labels: Mapping[int, int],
        faults: Faults,
    ) -> None:
        self.pictures, self.labels, self.faults = pictures, labels, faults
        self.numbers = set[int]()

    def read(self, entry: Any) -> Instance | None:
        """Read an annotation; None if it is faulty."""
        fault = self._fault_of_place(entry) or self._fault_of_content(entry)
        if fault:
            number: Any = entry.get("id") if isinstance(entry, dict) else None  # pyright: ignore[reportUnknownVariableType]
            shown = str(entry)[:60] if number is None else str(number)[:20]  # pyright: ignore[reportUnknownArgumentType]
            self.faults.add(f"annotation {shown} {fault}")
            return None
        number = int(entry["id"])
        self.numbers.add(number)
        name, width, height = self.pictures[entry["image_id"]]
        left, top, wide, high = map(float, entry["bbox"])
        whole = (left, top, left + wide, top + high)
        box = clipped(whole, width, height)
        if reaches_beyond(whole, box):
            self.faults.note(CLIPPED, f"annotation {number} of {name}")
        mask: Any = entry.get("segmentation") or None
        area: Any = entry.get("area")
        if area is None:  # some tools leave it out
            area = wide * high if mask is None else _area(mask, height, width)
        return Instance(
            id=number,
            label=self.labels[entry["category_id"]],
            box=box,
            given=(left, top, wide, high),
            area=float(area),
            crowd=bool(entry.get("iscrowd", 0)),
            mask=mask,
        )

    def _fault_of_place(self, entry: Any) -> str:
        """Say what is wrong with the numbers of an annotation, its picture and its class."""
        if not isinstance(entry, dict):
            return "is no object"
        known: Any = entry
        number, image, category = (known.get(n) for n in ("id", "image_id", "category_id"))
        if not _is_whole(number):
            return "has no id that is a whole number"
        if number in self.numbers:
            return "repeats the id of another"
        if not _is_whole(image) or image not in self.pictures:
            return _unlisted("image", image)
        if not _is_whole(category) or category not in self.labels:
            return _unlisted("category", category)
        return ""

    def _fault_of_content(self, entry: Any) -> str:
        name, width, height = self.pictures[entry["image_id"]]
        crowd = entry.get("iscrowd", 0)
        if not isinstance(crowd, int) or crowd not in (0, 1):
            return f"of {name} has iscrowd {str(crowd)[:20]}: accepted is 0 or 1"
        area = entry.get("area")
        if area is not None and not (is_number(area) and area >= 0):
            return f"of {name} has the area {str(area)[:20]!r}: accepted is a number from 0 on"
        fault = fault_of_box(entry.get("bbox"), width, height)
        if not fault and entry.get("segmentation"):
            fault = fault_of(entry["segmentation"], height, width)
        return f"of {name} has {fault}" if fault else ""


def _unlisted(kind: str, number: object) -> str:
    if number is None:
        return f"has no {kind}_id, as instances have: captions and panoptic files are none"
    return f"is of the {kind} {str(number)[:20]}, which is not listed"


def fault_of_box(box: object, width: int, height: int) -> str:
    """Say what is wrong with a box [left, top, width, height]; empty for nothing.

    Parameters
    ----------
    box : object
    width, height : int
        Of its picture, pixels.
    """
    sides: Any = box
    if not isinstance(box, list) or len(sides) != 4 or not all(map(is_number, sides)):
        return f"the box {str(sides)[:60]}: accepted are four numbers, [left, top, width, height]"
    left, top, wide, high = sides
    if wide <= 0 or high <= 0:
        return f"the empty box {sides}: accepted are a width and a height above 0"
    if left >= width or top >= height or left + wide <= 0 or top + high <= 0:
        return f"the box {sides} outside the picture of {width} x {height}"
    return ""


def clipped(box: Box, width: int, height: int) -> Box:
    """Clip left, top, right and bottom to a picture."""
    left, top, right, bottom = box
    return max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))


def reaches_beyond(box: Box, inside: Box) -> bool:
    """Tell whether clipping took more from a box than rounding explains."""
    return any(abs(a - b) > _OVERHANG for a, b in zip(box, inside, strict=True))


def _area(mask: Any, height: int, width: int) -> float:
    return float(need("pycocotools.mask").area(to_rle(mask, height, width)))


def is_number(value: object) -> TypeGuard[float]:
    """Tell whether a value of JSON is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: object, least: float = -math.inf) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
