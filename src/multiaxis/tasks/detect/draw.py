"""Drawing what was found: boxes, outlines, names and scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from multiaxis.tasks.detect.found import Found
from multiaxis.tasks.detect.masks import decode

Colour = tuple[int, int, int]
# Okabe and Ito's, without black: people of any colour vision tell them apart.
COLOURS: tuple[Colour, ...] = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178),
    (213, 94, 0), (204, 121, 167),
)  # fmt: skip
_COVER = 0.4  # of a mask over its picture


def draw(pixels: NDArray[np.uint8], found: Found, labels: Sequence[str]) -> NDArray[np.uint8]:
    """Draw what was found onto a copy of a picture.

    Parameters
    ----------
    pixels : array of uint8, shape (height, width, 3)
    found : Found
    labels : sequence of str
        Names of the classes.

    Returns
    -------
    array of uint8, shape (height, width, 3)
        Each class has a colour; the best thing lies on top. Name and score are left out where they
        would cover more than the thing itself.
    """
    drawn = pixels.copy()
    height, width = pixels.shape[:2]
    order = range(len(found.boxes) - 1, -1, -1)
    for k in order if found.masks is not None else ():
        assert found.masks is not None  # noqa: S101 (asked above)
        mask = decode(found.masks[k], height, width)
        colour = np.array(colour_of(int(found.labels[k])))
        drawn[mask] = ((1 - _COVER) * drawn[mask] + _COVER * colour).astype(np.uint8)
        drawn[_edge(mask)] = colour
    image = Image.fromarray(drawn)
    pen = ImageDraw.Draw(image)
    line = max(1, round(max(height, width) / 400))
    font = ImageFont.load_default(max(10, round(max(height, width) / 50)))
    for k in order:
        label, box = int(found.labels[k]), found.boxes[k].tolist()
        _frame(pen, box, f"{labels[label]} {found.scores[k]:.2f}", colour_of(label), line, font)
    return np.array(image)


def colour_of(label: int) -> Colour:
    """Give the colour of a class; after seven they come again."""
    return COLOURS[label % len(COLOURS)]


def _frame(
    pen: ImageDraw.ImageDraw,
    box: Sequence[float],
    text: str,
    colour: Colour,
    line: int,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
) -> None:
    left, top, right, bottom = box[0], box[1], max(box[0], box[2] - 1), max(box[1], box[3] - 1)
    pen.rectangle((left, top, right, bottom), outline=colour, width=line)
    wide, high = pen.textbbox((0, 0), text, font=font)[2:]
    if wide * high > (right - left + 1) * (bottom - top + 1):
        return
    above = top - high - 1 if top > high else top  # inside, where there is no room above
    pen.rectangle((left, above, left + wide + 2, above + high + 1), fill=colour)
    bright = sum(colour) > 380
    pen.text((left + 1, above), text, fill=(0, 0, 0) if bright else (255, 255, 255), font=font)


def _edge(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Give the pixels of a mask that have a neighbour outside."""
    inner = np.pad(mask, 1)
    inside = inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:]
    return mask & ~inside
