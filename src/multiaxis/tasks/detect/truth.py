"""What is known of the pictures of a set: classes, boxes, masks. No tensors here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from multiaxis.errors import DataError, counted

Box = tuple[float, float, float, float]
_SHOWN = 4  # faults that a message lists


@dataclass(frozen=True)
class Category:
    """A class of things.

    Attributes
    ----------
    id : int
        Its number in the file.
    name : str
    """

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Instance:
    """One thing in a picture.

    Attributes
    ----------
    id : int
        Of the annotation.
    label : int
        Place of its class among `Truth.classes`, from 0.
    box : tuple of float
        Left, top, right and bottom in pixels, inside the picture; the first pixel is from 0 to 1.
    given : tuple of float
        Left, top, width and height as the file has them.
    area : float
        In pixels, of the mask where there is one.
    crowd : bool
        Whether it is a region of many, or of what is hard to tell: neither learnt nor scored.
    mask : object
        As COCO writes it, polygons or run lengths; None where there is none.
    """

    id: int
    label: int
    box: Box
    given: Box
    area: float
    crowd: bool = False
    mask: Any = None


@dataclass(frozen=True, slots=True)
class Annotated:
    """A picture and what is in it.

    Attributes
    ----------
    id : int
    name : str
        Its file, from the folder of pictures on.
    width, height : int
        In pixels, as the annotations have them.
    instances : tuple of Instance
    """

    id: int
    name: str
    width: int
    height: int
    instances: tuple[Instance, ...]


@dataclass(frozen=True)
class Truth:
    """The annotations of a set.

    Attributes
    ----------
    source : str
        Where they were read.
    classes : tuple of Category
    pictures : tuple of Annotated
    remarks : tuple of str
        What was changed or left out, in a sentence each.
    """

    source: str
    classes: tuple[Category, ...]
    pictures: tuple[Annotated, ...]
    remarks: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """Names of the classes, by label."""
        return [category.name for category in self.classes]

    def without_mask(self) -> str | None:
        """Name a thing that is to be learnt and has no mask; None where all have one."""
        each = ((thing, picture) for picture in self.pictures for thing in picture.instances)
        bare = (one for one in each if one[0].mask is None and not one[0].crowd)
        return next((f"annotation {thing.id} of {p.name}" for thing, p in bare), None)

    def map_pictures(self, change: Callable[[Annotated], Annotated]) -> Truth:
        """Give the same set with changed pictures."""
        return replace(self, pictures=tuple(map(change, self.pictures)))

    def as_coco(self) -> dict[str, Any]:
        """Give what pycocotools takes for the truth."""
        annotations = [
            _annotation(picture, thing, self.classes[thing.label].id)
            for picture in self.pictures
            for thing in picture.instances
        ]
        # pycocotools matches by `id`, and takes 0 for unmatched.
        for number, annotation in enumerate(annotations, start=1):
            annotation["id"] = number
        return {
            "info": {},
            "images": [
                {"id": p.id, "file_name": p.name, "width": p.width, "height": p.height}
                for p in self.pictures
            ],
            "categories": [{"id": c.id, "name": c.name} for c in self.classes],
            "annotations": annotations,
        }


def _annotation(picture: Annotated, thing: Instance, category: int) -> dict[str, Any]:
    found = {
        "image_id": picture.id,
        "category_id": category,
        "bbox": list(thing.given),
        "area": thing.area,
        "iscrowd": int(thing.crowd),
    }
    return found if thing.mask is None else {**found, "segmentation": thing.mask}


class Faults:
    """What is wrong with a file of annotations.

    Parameters
    ----------
    source : str
        The file.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.found: list[str] = []
        self._notes = Counter[str]()
        self._examples: dict[str, str] = {}

    def add(self, text: str) -> None:
        """Note a fault of an entry, which is not used."""
        self.found.append(text)

    def note(self, what: str, example: str) -> None:
        """Note what was changed of an entry that is used."""
        self._notes[what] += 1
        self._examples.setdefault(what, example)

    def settle(self, *, strict: bool) -> tuple[str, ...]:
        """Refuse the file for its faults, or give them as remarks.

        Raises
        ------
        DataError
            If there are any, and `strict` is true.
        """
        notes = [
            f"{count} of {self.source}: {what}, such as {self._examples[what]}"
            for what, count in self._notes.items()
        ]
        if not self.found:
            return tuple(notes)
        listed = "; ".join(self.found[:_SHOWN])
        more = f"; and {len(self.found) - _SHOWN} more" if len(self.found) > _SHOWN else ""
        if strict:
            raise DataError(
                f"{self.source} has {counted(len(self.found), 'fault')}: {listed}{more}. Mend the "
                "file, or leave what is faulty out with --set data.strict=false"
            )
        left = f"{counted(len(self.found), 'faulty entry')} of {self.source} left out: "
        return (*notes, left.replace("entrys", "entries") + listed + more)
