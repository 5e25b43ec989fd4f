"""Pictures with boxes and masks to learn from: a folder and a file of annotations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np

from multiaxis.data.limits import check_limits
from multiaxis.data.pictures import Pictures
from multiaxis.data.source import Arrays, Data, Source
from multiaxis.errors import ConfigError, DataError
from multiaxis.tasks.detect.annotations import read_annotations, with_pictures
from multiaxis.tasks.detect.augment import Scene, coloured, cut, jittered, turned, whole
from multiaxis.tasks.detect.masks import decode
from multiaxis.tasks.detect.truth import Annotated, Category, Truth

FIELDS = ("picture", "boxes", "labels", "crowd", "item")
_RAGGED = frozenset({"picture", "boxes", "labels", "crowd", "masks"})
_WAYS = {"none": 1, "horizontal": 2, "any": 8}  # how many of the eight ways of `turned`


@runtime_checkable
class Annotations(Protocol):
    """What knows the truth of its pictures.

    Attributes
    ----------
    truth : Truth
    """

    truth: Truth


@dataclass(frozen=True, kw_only=True)
class AnnotatedFolder(Data):
    """A folder of pictures, and annotations of them in COCO's or VOC's form.

    Attributes
    ----------
    folder : str
        Of the pictures.
    annotations : str
        A ``.json`` file of COCO's instances, or a folder of VOC's ``.xml`` files.
    size : int
        Pixels of the side of the squares that pictures lie on; whole ones fill the longer side.
    train : bool
        Random parts and the changes below; otherwise whole pictures.
    masks : bool
        Whether samples hold masks.
    scale : tuple of float
        Least and greatest factor of large-scale jitter; with 1 a picture fills the square.
    flip : str
        ``none``, ``horizontal``, or ``any`` of the eight ways that a square can lie, for pictures
        without an upside.
    colour : float
        Strength of changes of brightness, contrast and saturation, from 0 to 1.
    drawn : str
        On what pictures with an orientation tag the boxes were drawn, where sizes do not tell:
        ``upright`` ones, as most tools show them, or as they are ``stored``.
    strict : bool
        Whether faulty annotations are refused, or left out and told.
    keep : bool
        Keep decoded pictures in memory.
    """

    fields: ClassVar[tuple[str, ...]] = FIELDS
    folder: str
    annotations: str
    size: int = 640
    train: bool = True
    masks: bool = False
    scale: tuple[float, float] = (0.1, 2.0)
    flip: Literal["none", "horizontal", "any"] = "horizontal"
    colour: float = 0.0
    drawn: Literal["upright", "stored"] = "upright"
    strict: bool = True
    keep: bool = False

    def __post_init__(self) -> None:
        check_limits("data", self, {"size": (32, 65536), "scale": (0.01, 100), "colour": (0, 1)})
        if self.scale[0] > self.scale[1]:
            raise ConfigError(
                f"data.scale is {self.scale}: accepted is the least factor, then the greatest"
            )

    def open(self) -> AnnotatedSource:
        """Read the annotations, and look for their pictures.

        Raises
        ------
        DataError
            If there are faults: before anything is trained.
        """
        truth = read_annotations(self.annotations, strict=self.strict)
        truth = with_pictures(truth, self.folder, drawn=self.drawn, strict=self.strict)
        if self.masks and (bare := truth.without_mask()):
            raise DataError(
                f"{truth.source} has things without a mask, such as {bare}, and masks are asked "
                "for: add them, or train a network of boxes (--set data.masks=false --set "
                "model.name=maxvit_pico_retinanet)"
            )
        return AnnotatedSource(self, truth)

    def held_out(self) -> AnnotatedFolder:
        """Give whole pictures of another folder."""
        return replace(self, folder="", annotations="", train=False)

    def made_up(self, config: Mapping[str, Any]) -> MadeUpScenes:
        """Give noise of the same size with boxes."""
        del config
        return MadeUpScenes(size=self.size, masks=self.masks)


class AnnotatedSource(Source):
    """Opened `AnnotatedFolder`: a `multiaxis.data.source.Source`.

    Attributes
    ----------
    truth : Truth
    """

    ragged = _RAGGED

    def __init__(self, about: AnnotatedFolder, truth: Truth) -> None:
        self.about, self.truth, self.left_out = about, truth, truth.remarks
        self.is_fixed = not about.train
        root = Path(about.folder).expanduser()
        self._pictures = Pictures([root / p.name for p in truth.pictures], keep=about.keep)

    def __len__(self) -> int:
        return len(self.truth.pictures)

    def name(self, index: int) -> str:
        """Name the file."""
        return str(self._pictures.paths[index])

    def sample(self, index: int, rng: np.random.Generator) -> Arrays:
        """Cut and change a picture, and what is in it.

        Returns
        -------
        mapping
            ``picture`` (height, width, 3) uint8; ``boxes`` (things, 4) of left, top, right,
            bottom; ``labels`` from 1 on; ``crowd``; ``masks`` where asked for; ``item``, the index.
        """
        about, picture = self.about, self._pictures.read(index)
        scene = _scene(self.truth.pictures[index], picture, masks=about.masks)
        if not about.train:
            return _arrays(cut(scene, whole(scene.size, about.size)), index)
        scene = cut(scene, jittered(scene.size, about.size, about.scale, rng))
        scene = turned(scene, int(rng.integers(_WAYS[about.flip])))
        if about.colour:
            scene = replace(scene, picture=coloured(scene.picture, about.colour, rng))
        return _arrays(scene, index)


@dataclass(frozen=True, kw_only=True)
class MadeUpScenes(Data):
    """Noise with a few boxes, for rehearsals.

    Attributes
    ----------
    size : int
        Side of the squares, pixels.
    masks : bool
    classes : int
    """

    fields: ClassVar[tuple[str, ...]] = FIELDS
    size: int
    masks: bool = False
    classes: int = 3

    def open(self) -> MadeUpSource:
        """Give the source."""
        return MadeUpSource(self)


class MadeUpSource(Source):
    """Opened `MadeUpScenes`: a `multiaxis.data.source.Source`.

    Attributes
    ----------
    truth : Truth
        Of classes alone.
    """

    ragged = _RAGGED

    def __init__(self, about: MadeUpScenes) -> None:
        self.about = about
        named = tuple(Category(k + 1, f"class {k + 1}") for k in range(about.classes))
        self.truth = Truth("made-up scenes", named, ())

    def __len__(self) -> int:
        return 1000

    def name(self, index: int) -> str:
        """Name the sample."""
        return f"made-up sample {index}"

    def sample(self, index: int, rng: np.random.Generator) -> Arrays:
        """Make noise, and a few boxes in it."""
        side, count = self.about.size, 4
        low = rng.uniform(0, 0.6 * side, (count, 2))
        boxes = np.concatenate([low, low + rng.uniform(0.1 * side, 0.4 * side, (count, 2))], 1)
        scene = Scene(
            rng.integers(0, 256, (side, side, 3), np.uint8),
            boxes.astype(np.float32),
            rng.integers(0, self.about.classes, count),
            np.zeros(count, np.bool_),
            _filled(boxes, side) if self.about.masks else None,
        )
        return _arrays(scene, index)


def _filled(boxes: np.ndarray[Any, Any], side: int) -> np.ndarray[Any, Any]:
    masks = np.zeros((len(boxes), side, side), np.bool_)
    for mask, (left, top, right, bottom) in zip(masks, boxes.astype(int), strict=True):
        mask[top:bottom, left:right] = True
    return masks


def _scene(about: Annotated, picture: np.ndarray[Any, Any], *, masks: bool) -> Scene:
    height, width = picture.shape[:2]
    if (height, width) != (about.height, about.width):
        raise DataError(
            f"{about.name} has {width} x {height} pixels now, and had {about.width} x "
            f"{about.height} before: start the training again"
        )
    things = about.instances
    arrays = None
    if masks:
        arrays = np.zeros((len(things), height, width), np.bool_)
        for array, thing in zip(arrays, things, strict=True):
            if thing.mask is not None:
                array[:] = decode(thing.mask, height, width)
    return Scene(
        picture,
        np.array([t.box for t in things], np.float32).reshape(-1, 4),
        np.array([t.label for t in things], np.int64),
        np.array([t.crowd for t in things], np.bool_),
        arrays,
    )


def _arrays(scene: Scene, index: int) -> Arrays:
    found: dict[str, Any] = {
        "picture": scene.picture,
        "boxes": scene.boxes,
        "labels": scene.labels + 1,
        "crowd": scene.crowd,
        "item": np.asarray(index, np.int64),
    }
    return found if scene.masks is None else {**found, "masks": scene.masks}
