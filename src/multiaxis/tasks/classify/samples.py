"""Labelled pictures: one folder for each class, or shards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from multiaxis.data.augment import erase, rand_augment
from multiaxis.data.limits import check_limits
from multiaxis.data.pictures import Pictures, find_pictures, tell_others
from multiaxis.data.shards import Raw, Shards, read_shard_picture, sample_key
from multiaxis.data.source import Arrays, Data, Source
from multiaxis.errors import DataError
from multiaxis.images import READABLE_SUFFIXES

FIELDS = ("picture", "label")
AREA, ASPECT = (0.08, 1.0), (3 / 4, 4 / 3)  # of Inception's crop, which the authors' code uses

_DIGITS = 9  # of a class in a shard
_KEPT = ("size", "train", "crop", "flip", "layers", "magnitude", "erase")


@runtime_checkable
class Labelled(Protocol):
    """What knows its classes.

    Attributes
    ----------
    classes : list of str
        In the order of their numbers.
    """

    classes: list[str]


@dataclass(frozen=True, kw_only=True)
class ClassFolders(Data):
    """A folder with a folder of pictures for each class; classes are in the order of their names.

    Folders inside a class's folder belong to the class.

    Attributes
    ----------
    folder : str
    size : int
        Side of the squares that the model sees, pixels.
    train : bool
        Random crops and the augmentations below; otherwise the whole picture's middle.
    crop : str
        ``inception``: a random part of random area and aspect; ``pad``: a square of the same size
        from the picture with a border of an eighth, for pictures that are small already.
    flip : bool
        Half of the pictures mirrored.
    layers, magnitude : int
        RandAugment's.
    erase : float
        Probability of filling a random part with noise.
    keep : bool
        Keep decoded pictures in memory.
    """

    fields: ClassVar[tuple[str, ...]] = FIELDS
    folder: str
    size: int = 224
    train: bool = True
    crop: Literal["inception", "pad"] = "inception"
    flip: bool = True
    layers: int = 0
    magnitude: int = 0
    erase: float = 0.0
    keep: bool = False

    def __post_init__(self) -> None:
        limits = {"size": (8, 65536), "layers": (0, 16), "magnitude": (0, 30), "erase": (0, 1)}
        check_limits("data", self, limits)

    def open(self) -> ClassSource:
        """Find classes and pictures.

        Raises
        ------
        DataError
            If there are no classes, or one has no picture.
        """
        root = Path(self.folder).expanduser()
        if not root.is_dir():
            raise DataError(f"{root} is not a folder: name one that has a folder for each class")
        try:
            inside = sorted(p for p in root.iterdir() if not p.name.startswith("."))
        except OSError as error:
            raise DataError(f"cannot list {root}: {error.strerror}") from error
        classes = [path for path in inside if path.is_dir()]
        if not classes:
            raise DataError(f"{root} holds no folders: it needs one for each class")
        found = [find_pictures(path) for path in classes]
        items = [(path, k) for k, of_class in enumerate(found) for path in of_class.paths]
        left_out = tell_others(*found)
        stray = [p for p in inside if p.suffix.lower() in READABLE_SUFFIXES and not p.is_dir()]
        if stray:
            left_out += (f"{len(stray)} pictures beside the classes' folders, such as {stray[0]}",)
        return ClassSource(self, [c.name for c in classes], items, left_out)

    def in_shards(self, config: Mapping[str, Any]) -> ClassShards:
        """Give the same cuts and changes of pictures out of shards."""
        classes = _classes_of(config)
        return ClassShards(urls="", classes=classes, **{n: getattr(self, n) for n in _KEPT})

    def held_out(self) -> ClassFolders:
        """Give whole pictures of another folder."""
        return ClassFolders(folder="", size=self.size, train=False)

    def made_up(self, config: Mapping[str, Any]) -> MadeUpPictures:
        """Give noise of the same size, of as many classes as the model tells apart."""
        return MadeUpPictures(size=self.size, classes=_classes_of(config))


@dataclass(frozen=True, kw_only=True)
class ClassShards(Data):
    """Tar files with ``NAME.jpg`` (or png, tif, ...) and ``NAME.cls``, the class's number in text.

    Attributes
    ----------
    urls : str
        Files or addresses, with braces for ranges: ``train-{000..099}.tar``.
    classes : int
        How many there are.
    shuffle : int
        Samples that wait for their turn, out of order; their files stay in memory undecoded.
    size, train, crop, flip, layers, magnitude, erase
        As in `ClassFolders`.
    """

    fields: ClassVar[tuple[str, ...]] = FIELDS
    is_stream: ClassVar[bool] = True
    urls: str
    classes: int
    shuffle: int = 2048
    size: int = 224
    train: bool = True
    crop: Literal["inception", "pad"] = "inception"
    flip: bool = True
    layers: int = 0
    magnitude: int = 0
    erase: float = 0.0

    def __post_init__(self) -> None:
        check_limits("data", self, {"classes": (1, 10**7), "shuffle": (1, 10**6)})
        _ = self.augmentation  # checks the rest

    @property
    def augmentation(self) -> ClassFolders:
        """How a picture is cut and changed."""
        return ClassFolders(folder="", **{name: getattr(self, name) for name in _KEPT})

    def open(self) -> LabelledShards:
        """Expand the names."""
        return LabelledShards(self)

    def held_out(self) -> ClassFolders:
        """Give whole pictures of folders, which can be read in any order."""
        return ClassFolders(folder="", size=self.size, train=False)

    def made_up(self, config: Mapping[str, Any]) -> MadeUpPictures:
        """Give noise of the same size, of as many classes."""
        del config
        return MadeUpPictures(size=self.size, classes=self.classes)

    def decode(self, raw: Raw, rng: np.random.Generator) -> Arrays:
        """Make a picture and its class out of files."""
        text = raw.get("cls", b"").decode("ascii", "replace").strip()
        if not text.isdigit() or len(text) > _DIGITS or int(text) >= self.classes:
            raise DataError(
                f"{sample_key(raw)} has the class {text[:20]!r}: wanted is 0 to {self.classes - 1}"
            )
        picture = augment(Image.fromarray(read_shard_picture(raw, "")), self.augmentation, rng)
        return {"picture": picture, "label": np.asarray(int(text), np.int64)}


@dataclass(frozen=True, kw_only=True)
class MadeUpPictures(Data):
    """Noise, for rehearsals.

    Attributes
    ----------
    size : int
        Side of the squares, pixels.
    classes : int
    """

    fields: ClassVar[tuple[str, ...]] = FIELDS
    size: int
    classes: int

    def open(self) -> MadeUpSource:
        """Give the source."""
        return MadeUpSource(self)


class ClassSource(Source):
    """Opened `ClassFolders`: a `multiaxis.data.source.Source`.

    Attributes
    ----------
    classes : list of str
    """

    def __init__(
        self,
        config: ClassFolders,
        classes: list[str],
        items: list[tuple[Path, int]],
        left_out: tuple[str, ...] = (),
    ) -> None:
        self.config, self.classes, self.left_out = config, classes, left_out
        self.is_fixed = not config.train
        self._pictures = Pictures([path for path, _ in items], keep=config.keep)
        self._labels = [label for _, label in items]

    def __len__(self) -> int:
        return len(self._labels)

    def name(self, index: int) -> str:
        """Name the file."""
        return str(self._pictures.paths[index])

    def sample(self, index: int, rng: np.random.Generator) -> Arrays:
        """Cut and change a picture; values in [-1, 1], as MaxViT takes them."""
        picture = augment(Image.fromarray(self._pictures.read(index)), self.config, rng)
        return {"picture": picture, "label": np.asarray(self._labels[index], np.int64)}


class LabelledShards(Shards):
    """Opened `ClassShards`: a `multiaxis.data.source.Stream`.

    Attributes
    ----------
    classes : list of str
        Their numbers: shards do not name them.
    """

    def __init__(self, config: ClassShards) -> None:
        super().__init__(config.urls, config.decode, shuffle=config.shuffle)
        self.classes = [str(k) for k in range(config.classes)]


class MadeUpSource(Source):
    """Opened `MadeUpPictures`: a `multiaxis.data.source.Source`.

    Attributes
    ----------
    classes : list of str
    """

    def __init__(self, config: MadeUpPictures) -> None:
        self.config, self.classes = config, [str(k) for k in range(config.classes)]

    def __len__(self) -> int:
        return 1000

    def name(self, index: int) -> str:
        """Name the sample."""
        return f"made-up sample {index}"

    def sample(self, index: int, rng: np.random.Generator) -> Arrays:
        """Make noise."""
        side = self.config.size
        label = np.asarray(index % len(self.classes), np.int64)
        return {"picture": rng.random((side, side, 3), np.float32), "label": label}


def _classes_of(config: Mapping[str, Any]) -> int:
    return config.get("num_classes", 1000)


def augment(
    picture: Image.Image, config: ClassFolders, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Cut and change a picture as the settings say: (size, size, 3), values in [-1, 1]."""
    if not config.train:
        shown = np.asarray(_middle(picture, config.size))
    else:
        cut = _inception if config.crop == "inception" else _padded
        part = cut(picture, config.size, rng)
        if config.flip and rng.random() < 0.5:
            part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        shown = np.asarray(rand_augment(part, config.layers, config.magnitude, rng))
        if rng.random() < config.erase:
            shown = erase(shown, rng)
    return shown.astype(np.float32) / np.float32(127.5) - 1


def _middle(picture: Image.Image, size: int) -> Image.Image:
    width, height = picture.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    box = (left, top, left + side, top + side)
    return picture.resize((size, size), Image.Resampling.BICUBIC, box=box)


def _inception(picture: Image.Image, size: int, rng: np.random.Generator) -> Image.Image:
    width, height = picture.size
    for _ in range(10):
        area = width * height * rng.uniform(*AREA)
        aspect = np.exp(rng.uniform(*np.log(ASPECT)))
        w, h = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, top = rng.integers(width - w + 1), rng.integers(height - h + 1)
            box = (int(left), int(top), int(left) + w, int(top) + h)
            return picture.resize((size, size), Image.Resampling.BICUBIC, box=box)
    return _middle(picture, size)


def _padded(picture: Image.Image, size: int, rng: np.random.Generator) -> Image.Image:
    border = size // 8
    small = np.asarray(_middle(picture, size))
    wide = np.pad(small, [(border, border), (border, border), (0, 0)], mode="reflect")
    top, left = rng.integers(2 * border + 1, size=2)
    return Image.fromarray(wide[top : top + size, left : left + size])
