"""Changes to a picture that its boxes and masks follow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from multiaxis.tasks.detect.masks import bounds

FILL = (128, 128, 128)  # what comes in from outside: grey, which normalising makes zero
_LEAST = 1.0  # pixels of a side that have to be left of a box


@dataclass(frozen=True)
class Scene:
    """A picture and what is in it.

    Attributes
    ----------
    picture : array of uint8, shape (height, width, 3)
    boxes : array of float32, shape (things, 4)
        Left, top, right, bottom in pixels.
    labels : array of int64, shape (things,)
    crowd : array of bool, shape (things,)
    masks : array of bool, shape (things, height, width), or None
    """

    picture: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    masks: NDArray[np.bool_] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, pixels."""
        return self.picture.shape[0], self.picture.shape[1]

    def keep(self, chosen: NDArray[Any]) -> Scene:
        """Give the same picture with some of its things."""
        masks = None if self.masks is None else self.masks[chosen]
        return replace(
            self,
            boxes=self.boxes[chosen],
            labels=self.labels[chosen],
            crowd=self.crowd[chosen],
            masks=masks,
        )


@dataclass(frozen=True)
class Frame:
    """The part of a scaled picture that is seen, and where it lies on a canvas.

    Attributes
    ----------
    scaled : tuple of int
        Height and width of the whole picture when it is scaled.
    window : tuple of int
        Left, top, right, bottom of the part that is seen, in the scaled picture.
    place : tuple of int
        Left and top of that part on the canvas.
    canvas : tuple of int
        Height and width.
    """

    scaled: tuple[int, int]
    window: tuple[int, int, int, int]
    place: tuple[int, int]
    canvas: tuple[int, int]


def whole(size: tuple[int, int], side: int) -> Frame:
    """Frame a whole picture at the left and top of a square, whose side its longer one fills.

    Networks see pictures on squares of that side in training, so windows fall as they learnt them.
    """
    scale = side / max(size)
    height, width = (max(1, round(n * scale)) for n in size)
    return Frame((height, width), (0, 0, width, height), (0, 0), (side, side))


def jittered(
    size: tuple[int, int], side: int, scale: tuple[float, float], rng: np.random.Generator
) -> Frame:
    """Frame a random part of a randomly scaled picture on a square.

    Parameters
    ----------
    size : tuple of int
        Height and width of the picture.
    side : int
        Of the square, pixels.
    scale : tuple of float
        Least and greatest factor; with 1 the longer side fills the square.
    rng : Generator

    Notes
    -----
    Source: Ghiasi et al., Simple Copy-Paste (2021), large-scale jittering, as MaxViT's detection
    recipes use it. What is smaller than the square lies at a random place of it.
    """
    factor = rng.uniform(*scale) * side / max(size)
    height, width = (max(1, round(n * factor)) for n in size)
    spans = [_span(n, side, rng) for n in (width, height)]
    (left, right, x), (top, bottom, y) = spans
    return Frame((height, width), (left, top, right, bottom), (x, y), (side, side))


def _span(length: int, side: int, rng: np.random.Generator) -> tuple[int, int, int]:
    """Choose what is seen of a length, and where it lies on a side."""
    if length <= side:
        return 0, length, int(rng.integers(side - length + 1))
    first = int(rng.integers(length - side + 1))
    return first, first + side, 0


def cut(scene: Scene, frame: Frame) -> Scene:
    """Scale and cut a scene; what is out of sight, or a sliver, is left out.

    Boxes are clipped to what is seen; where a cut thing has a mask, its box fits what is left.
    """
    left, top, right, bottom = frame.window
    factors = np.array([frame.scaled[1] / scene.size[1], frame.scaled[0] / scene.size[0]] * 2)
    moved = scene.boxes * factors - np.array([left, top] * 2)
    seen = np.clip(moved, 0, np.array([right - left, bottom - top] * 2))
    x, y = frame.place
    source = _source(scene.size, frame)
    picture = shown(scene.picture, frame)
    masks = None
    if scene.masks is not None:
        masks = np.zeros((len(seen), *frame.canvas), np.bool_)
        for mask, given in zip(masks, scene.masks, strict=True):
            part = _resize(given.astype(np.uint8) * 255, (right - left, bottom - top), source)
            mask[y : y + bottom - top, x : x + right - left] = part >= 128
    is_cut = np.abs(seen - moved).max(axis=1, initial=0) > 0
    boxes = (seen + np.array([x, y] * 2)).astype(np.float32)
    found = Scene(picture, boxes, scene.labels, scene.crowd, masks)
    return _without_slivers(found, is_cut)


def shown(picture: NDArray[np.uint8], frame: Frame) -> NDArray[np.uint8]:
    """Give what a network sees of a picture: its canvas."""
    left, top, right, bottom = frame.window
    x, y = frame.place
    canvas = np.full((*frame.canvas, 3), FILL, np.uint8)
    source = _source((picture.shape[0], picture.shape[1]), frame)
    part = _resize(picture, (right - left, bottom - top), source)
    canvas[y : y + bottom - top, x : x + right - left] = part
    return canvas


def _source(size: tuple[int, int], frame: Frame) -> tuple[float, ...]:
    """Give left, top, right and bottom of what is seen, in the picture before it is scaled."""
    factors = np.array([frame.scaled[1] / size[1], frame.scaled[0] / size[0]] * 2)
    return tuple((np.array(frame.window) / factors).tolist())


def _without_slivers(scene: Scene, is_cut: NDArray[np.bool_]) -> Scene:
    boxes = scene.boxes.copy()
    if scene.masks is not None:
        for k, mask in enumerate(scene.masks):
            tight = bounds(mask)
            if tight is None:
                boxes[k, 2:] = boxes[k, :2]
            elif is_cut[k]:
                boxes[k] = tight
    sides = boxes[:, 2:] - boxes[:, :2]
    return replace(scene, boxes=boxes).keep(np.flatnonzero(sides.min(axis=1) >= _LEAST))


def _resize(
    samples: NDArray[np.uint8], size: tuple[int, int], box: tuple[float, ...]
) -> NDArray[np.uint8]:
    width, height = samples.shape[1], samples.shape[0]
    if size == (width, height) and box == (0, 0, width, height):
        return samples
    inside = (max(box[0], 0), max(box[1], 0), min(box[2], width), min(box[3], height))
    image = Image.fromarray(samples)
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR, box=inside))


def turned(scene: Scene, way: int) -> Scene:
    """Flip a scene, or turn it by right angles: one of eight ways.

    Parameters
    ----------
    scene : Scene
    way : int
        The sum of 1 (left and right are exchanged), 2 (top and bottom) and 4 (then rows and
        columns).
    """
    boxes, masks, picture = scene.boxes, scene.masks, scene.picture
    height, width = scene.size
    if way & 1:
        picture = picture[:, ::-1]
        boxes = np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)
        masks = None if masks is None else masks[:, :, ::-1]
    if way & 2:
        picture = picture[::-1]
        boxes = np.stack([boxes[:, 0], height - boxes[:, 3], boxes[:, 2], height - boxes[:, 1]], 1)
        masks = None if masks is None else masks[:, ::-1]
    if way & 4:
        picture = picture.swapaxes(0, 1)
        boxes = boxes[:, [1, 0, 3, 2]]
        masks = None if masks is None else masks.swapaxes(1, 2)
    return replace(scene, picture=picture, boxes=boxes.astype(np.float32), masks=masks)


def coloured(
    picture: NDArray[np.uint8], strength: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Change brightness, contrast and saturation, each by a factor of 1 - strength to 1 + strength.

    They come in a random order.
    """
    image = Image.fromarray(np.ascontiguousarray(picture))
    enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for place in rng.permutation(len(enhancers)):
        image = enhancers[int(place)](image).enhance(rng.uniform(1 - strength, 1 + strength))
    return np.array(image)
