"""Annotations in Pascal VOC's XML, a file for each picture, read strictly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

from multiaxis.errors import DataError, ImageError
from multiaxis.files.read import read_bytes
from multiaxis.tasks.detect.coco import CLIPPED, clipped, fault_of_box, reaches_beyond
from multiaxis.tasks.detect.truth import Annotated, Category, Faults, Instance, Truth

_SIDES = ("xmin", "ymin", "xmax", "ymax")
_LARGEST = 1 << 24  # bytes of a file about one picture


class _Thing(NamedTuple):
    name: str
    box: list[float]
    difficult: bool


def read_voc(folder: Path, *, classes: Sequence[str] = (), strict: bool = True) -> Truth:
    """Read the XML files of a folder, one for each picture.

    Parameters
    ----------
    folder : Path
        Or one such file.
    classes : sequence of str
        Names of the classes, in the order of their labels; by default those that are found, in the
        order of the alphabet.
    strict : bool
        Whether faulty entries are refused, or left out and told in the remarks.

    Returns
    -------
    Truth
        Objects marked ``difficult`` are crowds: neither learnt nor scored.

    Raises
    ------
    DataError
        If there are no such files, or they have faults that are not left out.

    Notes
    -----
    VOC counts pixels from 1, and a box includes its last ones: the box of the first pixel alone is
    xmin = xmax = 1, here from 0 to 1 (VOC2012's development kit, section 3.4).
    """
    paths = sorted(folder.glob("*.xml")) if folder.is_dir() else [folder]
    if not paths:
        raise DataError(f"{folder} holds no .xml files: name a folder of VOC annotations")
    faults = Faults(str(folder))
    found = [(path, _read_file(path, faults)) for path in paths]
    names = list(classes)
    if not names:
        names = sorted({thing.name for _, about in found if about for thing in about.things})
    if not names and not faults.found:
        faults.add("it names no object")
    labels = {name: label for label, name in enumerate(names)}
    pictures: dict[str, Annotated] = {}
    count = 0
    for path, about in found:
        if about is None:
            continue
        if about.name in pictures:
            faults.add(f"{path.name} repeats the picture {about.name} of another file")
            continue
        things = tuple(_instances(path, about, labels, count, faults))
        count += len(things)
        number = len(pictures) + 1
        pictures[about.name] = Annotated(number, about.name, about.width, about.height, things)
    remarks = faults.settle(strict=strict)
    categories = tuple(Category(label + 1, name) for label, name in enumerate(names))
    return Truth(str(folder), categories, tuple(pictures.values()), remarks)


class _About(NamedTuple):
    name: str
    width: int
    height: int
    things: list[_Thing]


def _read_file(path: Path, faults: Faults) -> _About | None:
    try:
        root = _parse(path)
        name = _text(root, "filename")
        width, height = (int(_number(root, f"size/{side}")) for side in ("width", "height"))
        if width < 1 or height < 1:
            raise ValueError(f"the size {width} x {height}: accepted is 1 or more")
        things = [
            _Thing(
                _text(entry, "name"),
                [_number(entry, f"bndbox/{side}") for side in _SIDES],
                _is_difficult(entry),
            )
            for entry in root.iter("object")
        ]
    except (ValueError, ImageError) as error:
        faults.add(f"{path.name} has {error}")
        return None
    return _About(name, width, height, things)


def _parse(path: Path) -> ET.Element:
    data = read_bytes(path)
    # Declarations can make a small file expand without end, or reach into others.
    if len(data) > _LARGEST or b"<!ENTITY" in data or b"<!DOCTYPE" in data:
        raise ValueError("a declaration of types, or megabytes: no VOC file has these")
    try:
        root = ET.fromstring(data)  # noqa: S314 (without declarations)
    except ET.ParseError as error:
        raise ValueError(f"no XML ({error})") from None
    if root.tag != "annotation":
        raise ValueError(f"a <{root.tag[:30]}>: accepted is an <annotation>")
    return root


def _text(node: ET.Element, tag: str) -> str:
    text = (node.findtext(tag) or "").strip()
    if not text:
        raise ValueError(f"no <{tag}>")
    return text


def _is_difficult(node: ET.Element) -> bool:
    text = (node.findtext("difficult") or "0").strip()
    if text not in ("0", "1"):
        raise ValueError(f"<difficult> {text[:20]!r}: accepted is 0 or 1")
    return text == "1"


def _number(node: ET.Element, tag: str) -> float:
    text = _text(node, tag)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"<{tag}> {text[:20]!r}: accepted is a number")
    return value


def _instances(
    path: Path, about: _About, labels: dict[str, int], count: int, faults: Faults
) -> list[Instance]:
    made: list[Instance] = []
    for thing in about.things:
        left, top, right, bottom = thing.box
        given = [left - 1, top - 1, right - left + 1, bottom - top + 1]
        fault = fault_of_box(given, about.width, about.height)
        if fault or right <= left or bottom <= top:
            shown = ", ".join(f"{n:g}" for n in thing.box)
            what = fault if "outside" in fault else "an empty box"
            faults.add(f"{path.name} has {what} ({thing.name}: {', '.join(_SIDES)} = {shown})")
        elif thing.name not in labels:
            faults.add(f"{path.name} has the class {thing.name!r}, which is none of {list(labels)}")
        else:
            box = (given[0], given[1], right, bottom)
            inside = clipped(box, about.width, about.height)
            if reaches_beyond(box, inside):
                faults.note(CLIPPED, f"{thing.name} in {path.name}")
            number, label = count + len(made) + 1, labels[thing.name]
            left, top, wide, high = given
            shape = (left, top, wide, high)
            made.append(Instance(number, label, inside, shape, wide * high, thing.difficult))
    return made
