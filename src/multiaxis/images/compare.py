"""One picture that shows people what a restoration changed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from multiaxis.errors import ShapeError
from multiaxis.images.convert import from_unit, grey_to_rgb, to_unit
from multiaxis.images.picture import Metadata, Picture
from multiaxis.images.profile import deciding_profile, profile_space

_GAP = 6  # pixels between the panels
_WIDEST, _TALLEST, _NARROWEST = 797, 1400, 320  # of one frame: two and the gap make 1600
_ZOOM = 3  # source pixels are shown that large below
_ASPECT = 9 / 16  # of the enlarged crops
_DARK, _LIGHT, _FRAME = (22, 22, 24), (245, 245, 245), (255, 196, 0)

Box = tuple[int, int, int, int]  # left, upper, right, lower


def side_by_side(
    before: Picture, after: Picture, *, labels: tuple[str, str] = ("before", "after")
) -> Picture:
    """Show two states of a picture beside each other, and enlarged where they differ most.

    Parameters
    ----------
    before, after : Picture
        Of one size; any depth, grey or RGB. Transparent parts are shown on mid grey.
    labels : tuple of str
        Captions of the two columns.

    Returns
    -------
    Picture
        8-bit RGB, about 1600 pixels wide at most; large pictures are scaled down, but the crops
        below show source pixels three times enlarged.

    Raises
    ------
    ShapeError
        If the sizes differ.
    """
    if before.pixels.shape[:2] != after.pixels.shape[:2]:
        raise ShapeError(
            f"before is {before.width}x{before.height} and after {after.width}x{after.height}: "
            "wanted one size"
        )
    frames = [_visible(before), _visible(after)]
    width, height = _shown_size(before.width, before.height)
    crop = _place_of_change(frames[0], frames[1], _crop_size(before.width, before.height, width))
    detail = round(width * (crop[3] - crop[1]) / (crop[2] - crop[0]))

    canvas = Image.new("RGB", (2 * width + _GAP, height + _GAP + detail), _DARK)
    draw = ImageDraw.Draw(canvas)
    scale = width / before.width
    for column, (frame, label) in enumerate(zip(frames, labels, strict=True)):
        left = column * (width + _GAP)
        image = Image.fromarray(frame)
        canvas.paste(image.resize((width, height), Image.Resampling.LANCZOS), (left, 0))
        enlarged = image.resize((width, detail), Image.Resampling.BICUBIC, box=crop)
        canvas.paste(enlarged, (left, height + _GAP))
        _outline(draw, crop, scale, (left, left + width - 1, height - 1))
        _caption(draw, label, left, width)
    # Both frames are shown as samples of the first one's profile: it travels along.
    icc = deciding_profile(before.metadata)
    icc = icc if icc and profile_space(icc) == "RGB" else None
    return Picture(np.array(canvas), metadata=Metadata(icc=icc))


def _visible(picture: Picture) -> NDArray[np.uint8]:
    unit = to_unit(grey_to_rgb(picture.pixels))
    if picture.alpha is not None:
        opacity = to_unit(picture.alpha)[..., None]
        unit = unit * opacity + np.float32(0.5) * (1 - opacity)
    return from_unit(unit, np.uint8)


def _shown_size(width: int, height: int) -> tuple[int, int]:
    """Scale large frames down and tiny ones up, keeping their proportions."""
    largest = min(_WIDEST / width, _TALLEST / height)
    scale = min(largest, max(1.0, _NARROWEST / width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _crop_size(width: int, height: int, shown: int) -> tuple[int, int]:
    wanted = max(8, round(shown / _ZOOM))
    return min(width, wanted), min(height, round(wanted * _ASPECT))


def _place_of_change(
    before: NDArray[np.uint8], after: NDArray[np.uint8], size: tuple[int, int]
) -> Box:
    """Find the window where the change varies most.

    Its variance, not its sum: a picture that only became brighter would show its empty sky.
    """
    rows, columns = before.shape[:2]
    step = max(1, max(rows, columns) // 1500)  # the sums of a large picture need no finer look
    thin = (slice(None, None, step),) * 2
    change = (before[thin].astype(np.int16) - after[thin]).sum(axis=-1, dtype=np.int64)
    window = [max(1, side // step) for side in size]
    mean, square = (_box_means(values, *window) for values in (change, change**2))
    spread = square - mean**2
    upper, left = np.unravel_index(spread.argmax(), spread.shape)
    x = min(int(left) * step, columns - size[0])
    y = min(int(upper) * step, rows - size[1])
    return x, y, x + size[0], y + size[1]


def _box_means(values: NDArray[np.int64], width: int, height: int) -> NDArray[np.float64]:
    """Average over every window, by one integral picture."""
    total: NDArray[Any] = np.pad(values, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    sums = (
        total[height:, width:]
        - total[:-height, width:]
        - total[height:, :-width]
        + total[:-height, :-width]
    )
    return sums / (width * height)


def _outline(
    draw: ImageDraw.ImageDraw, crop: Box, scale: float, limits: tuple[int, int, int]
) -> None:
    """Mark in the frame where the crop below it was taken."""
    left, right, bottom = limits
    x0, y0, x1, y1 = (round(value * scale) for value in crop)
    box = (left + x0, y0, min(left + x1, right), min(y1, bottom))
    draw.rectangle(box, outline=_FRAME, width=2)


def _caption(draw: ImageDraw.ImageDraw, label: str, left: int, width: int) -> None:
    """Write a label on a dark plate in the upper left corner, readable on any picture."""
    size = max(14, width // 40)
    font = ImageFont.load_default(size)
    margin = size // 2
    x, y = left + margin * 2, margin * 2
    right = x + draw.textlength(label, font=font)
    plate = (x - margin, y - margin // 2, right + margin, y + size + margin)
    draw.rounded_rectangle(plate, radius=margin, fill=_DARK)
    draw.text((x, y + size), label, font=font, fill=_LIGHT, anchor="ls")  # labels share a line
