"""Pictures with label pictures: two folders, whose files belong together by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from multiaxis.data.limits import check_limits
from multiaxis.data.pictures import Pictures, find_pictures, tell_others
from multiaxis.data.source import Arrays, Data, Source
from multiaxis.errors import ConfigError, DataError
from multiaxis.images import probe_picture
from multiaxis.tasks.segment.augment import mirrored, recoloured, rescaled_part
from multiaxis.tasks.segment.classes import Classes, Numbers, named, read_classes
from multiaxis.tasks.segment.labels import label_size, read_labels

FIELDS = ("picture", "labels")
_TRIED = 500  # labels that are read before a training, spread over the folder


@runtime_checkable
class Labelled(Protocol):
    """What knows its classes.

    Attributes
    ----------
    classes : Classes
    numbers : Numbers
    """

    classes: Classes
    numbers: Numbers


@dataclass(frozen=True, kw_only=True)
class LabelFolders(Data):
    """A folder of pictures and one of label pictures with the same names.

    Attributes
    ----------
    pictures, labels : str
        Folders, with those inside. ``pictures/a/1.jpg`` belongs to ``labels/a/1.png``.
    split : str
        A text file that names the pictures that count, one a line, without suffix; by default all.
    classes : str
        Names with commas between, or a text file of one a line; with colours, such as
        ``road #804080``, where labels show these instead of numbers. By default the file
        ``classes.txt`` in the folder of labels, or beside it.
    values : tuple of int or None
        Numbers of the classes in label files; by default 0, 1, 2 ...
    ignore : tuple of int
        Numbers of pixels that do not count.
    crop : (int, int)
        Rows and columns that the model sees while it is trained, pixels.
    train : bool
        Random parts and the changes below; otherwise whole pictures.
    scale : (float, float)
        Least and greatest factor by which a picture is resized before it is cut.
    flip : bool
        Half of the pictures mirrored.
    colour : float
        Most change of brightness, contrast and saturation, as a share.
    keep : bool
        Keep decoded pictures in memory, at 3 bytes a pixel.
    """

    fields: ClassVar[tuple[str, ...]] = FIELDS
    pictures: str
    labels: str
    split: str = ""
    classes: str = ""
    values: tuple[int, ...] | None = None
    ignore: tuple[int, ...] = (255,)
    crop: tuple[int, int] = (512, 512)
    train: bool = True
    scale: tuple[float, float] = (0.5, 2.0)
    flip: bool = True
    colour: float = 0.0
    keep: bool = False

    def __post_init__(self) -> None:
        limits = {"crop": (8, 65536), "scale": (0.01, 100), "colour": (0, 1)}
        check_limits("data", self, limits)
        if self.scale[0] > self.scale[1]:
            raise ConfigError(f"data.scale is {self.scale}: accepted is the least, then the most")

    def open(self) -> LabelSource:
        """Find the pairs, and look at the headers of all and the labels of some.

        Raises
        ------
        DataError
            If a partner is missing or differs in size, or labels hold what is no class.
        ConfigError
            If no classes are named.
        """
        return LabelSource(self)

    def held_out(self) -> LabelFolders:
        """Give whole pictures of other folders."""
        return replace(self, pictures="", labels="", split="", train=False)

    def made_up(self, config: Mapping[str, Any]) -> MadeUpLabels:
        """Give noise of the same size; of as many classes as are named, or 21."""
        del config
        is_known = "," in self.classes or Path(self.classes).expanduser().is_file()
        return MadeUpLabels(
            crop=self.crop, count=len(read_classes(self.classes)) if is_known else 21
        )


@dataclass(frozen=True, kw_only=True)
class MadeUpLabels(Data):
    """Noise, for rehearsals.

    Attributes
    ----------
    crop : (int, int)
        Rows and columns, pixels.
    count : int
        Classes.
    """

    fields: ClassVar[tuple[str, ...]] = FIELDS
    crop: tuple[int, int]
    count: int

    def open(self) -> MadeUpSource:
        """Give the source."""
        return MadeUpSource(self)


class LabelSource(Source):
    """Opened `LabelFolders`: a `multiaxis.data.source.Source`.

    Attributes
    ----------
    classes : Classes
    numbers : Numbers
    paths : list of (Path, Path)
        Pictures and their labels.
    """

    def __init__(self, about: LabelFolders) -> None:
        self.about = about
        self.classes = read_classes(about.classes.strip() or _classes_file(about.labels))
        values = tuple(range(len(self.classes))) if about.values is None else about.values
        if len(values) != len(self.classes):
            raise ConfigError(
                f"data.values has the numbers {values} for {len(self.classes)} classes: accepted "
                "is one for each"
            )
        self.numbers = Numbers(values, about.ignore)
        self.ragged = frozenset() if about.train else frozenset(FIELDS)
        self.paths, self.left_out = pair_folders(about.pictures, about.labels, about.split)
        self._labels = [labels for _, labels in self.paths]
        self._pictures = Pictures([picture for picture, _ in self.paths], keep=about.keep)
        self._check()

    def __len__(self) -> int:
        return len(self._labels)

    def name(self, index: int) -> str:
        """Name the picture."""
        return str(self._pictures.paths[index])

    def truth(self, index: int) -> NDArray[np.int32]:
        """Read the labels of a picture: (height, width), -1 where a pixel does not count."""
        return read_labels(self._labels[index], self.classes, self.numbers)

    def sample(self, index: int, rng: np.random.Generator) -> Arrays:
        """Cut and change a picture with its labels; values in [-1, 1], as MaxViT takes them."""
        picture, labels = self._pictures.read(index), self.truth(index)
        if picture.shape[:2] != labels.shape:
            raise DataError(_differs(self.name(index), picture.shape, self._labels[index], labels))
        about = self.about
        if not about.train:
            shown = _scaled(picture).transpose(2, 0, 1)  # ragged fields stay as they are
            return {"picture": shown, "labels": labels}
        factor = float(np.exp(rng.uniform(*np.log(about.scale))))
        picture, labels = rescaled_part(picture, labels, factor, about.crop, rng)
        if about.flip and rng.random() < 0.5:
            picture, labels = mirrored(picture, labels)
        if about.colour:
            picture = recoloured(np.ascontiguousarray(picture), about.colour, rng)
        return {"picture": _scaled(picture), "labels": labels}

    def _check(self) -> None:
        """Compare sizes by headers, and read some labels: hours before they are met."""
        step = max(1, len(self) // _TRIED)
        seen = np.zeros(len(self.classes), bool)
        for index, (picture, labels) in enumerate(self.paths):
            probe, size = probe_picture(picture), label_size(labels, self.classes)
            if (probe.height, probe.width) != size:
                raise DataError(_differs(picture, (probe.height, probe.width), labels, size))
            if index % step == 0:
                found = np.unique(self.truth(index))
                seen[found[found >= 0]] = True
        if self.about.train and len(seen) > 1 and seen.sum() < 2:
            only = [self.classes.names[k] for k in np.flatnonzero(seen)] or ["none"]
            raise DataError(
                f"the labels in {self.about.labels} show one class, {only[0]}, of {len(seen)}: "
                "nothing can be learnt from them. Masks of 0 and 255 need data.values=0,255"
            )


class MadeUpSource(Source):
    """Opened `MadeUpLabels`: a `multiaxis.data.source.Source`.

    Attributes
    ----------
    classes : Classes
    numbers : Numbers
    """

    def __init__(self, about: MadeUpLabels) -> None:
        self.about = about
        self.classes = named([f"class {k}" for k in range(about.count)])
        self.numbers = Numbers(tuple(range(about.count)), ())

    def __len__(self) -> int:
        return 1000

    def name(self, index: int) -> str:
        """Name the sample."""
        return f"made-up sample {index}"

    def sample(self, index: int, rng: np.random.Generator) -> Arrays:  # noqa: ARG002 (all alike)
        """Make noise."""
        crop, count = self.about.crop, len(self.classes)
        labels = rng.integers(0, count, crop, np.int32)
        return {"picture": rng.random((*crop, 3), np.float32) * 2 - 1, "labels": labels}


def pair_folders(
    pictures: str, labels: str, split: str = ""
) -> tuple[list[tuple[Path, Path]], tuple[str, ...]]:
    """Pair pictures with label pictures by name.

    Parameters
    ----------
    pictures, labels, split
        As in `LabelFolders`.

    Returns
    -------
    pairs : list of (Path, Path)
    left_out : tuple of str
        What of the folders is in no pair, in a sentence each.

    Raises
    ------
    DataError
        If a folder or a partner is missing, or the split names what is not there.
    """
    found = find_pictures(pictures, but=labels)
    others = find_pictures(labels, but=pictures)
    shown, truths = found.by_name(), others.by_name()
    left_out = tell_others(found, others)
    if split:
        names = _split(split)
        missing = [name for name in names if name not in shown]
        if missing:
            raise DataError(
                f"{split} names {missing[0]!r}, which {found.folder} does not have: accepted are "
                "names of its pictures, without suffix"
            )
        shown = {name: shown[name] for name in names}
    for name, path in shown.items():
        if name not in truths:
            raise DataError(
                f"{path} has no labels: accepted is {others.folder / name}.png; "
                f"{sum(n not in truths for n in shown)} of {len(shown)} pictures have none"
            )
    unused = sorted(set(truths) - set(shown))
    if unused and not split:
        left_out += (f"{len(unused)} labels without a picture, such as {truths[unused[0]]}",)
    return [(path, truths[name]) for name, path in shown.items()], left_out


def _split(path: str) -> list[str]:
    try:
        lines = Path(path).expanduser().read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise DataError(f"cannot read the split {path}: {why}") from error
    names = [line.strip() for line in lines if line.strip()]
    if not names or len(set(names)) != len(names):
        what = "names some pictures twice" if names else "names no picture"
        raise DataError(f"the split {path} {what}: accepted is a name a line")
    return names


def _differs(picture: object, size: object, labels: object, other: Any) -> str:
    shape = getattr(other, "shape", other)
    (h, w), (rows, columns) = tuple(size)[:2], tuple(shape)[:2]  # pyright: ignore[reportArgumentType]
    return (
        f"{picture} has {w} x {h} pixels, upright, and its labels {labels} have {columns} x "
        f"{rows}: give both one size"
    )


def _scaled(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    return picture.astype(np.float32) / np.float32(127.5) - 1


def _classes_file(labels: str) -> str:
    folder = Path(labels).expanduser()
    for path in (folder / "classes.txt", folder.parent / "classes.txt"):
        if path.is_file():
            return str(path)
    raise ConfigError(
        f"data.classes is empty, and there is no {folder / 'classes.txt'}: name the classes in the "
        "order of their numbers, such as data.classes=sky,road,car, or write that file, one a line"
    )
