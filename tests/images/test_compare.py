"""The comparison shows both frames, marked, and the place that changed."""

from __future__ import annotations

import numpy as np
import pytest

from multiaxis.errors import ShapeError
from multiaxis.images import Picture, side_by_side


@pytest.mark.thorough
@pytest.mark.parametrize(
    "size", [(1, 1), (3, 200), (200, 3), (32, 48), (480, 640), (900, 3000), (3000, 700)]
)
def test_any_size(size, noise):
    before = Picture(noise(*size, 3))
    result = side_by_side(before, before.with_pixels(255 - before.pixels))
    assert result.depth == "uint8"
    assert result.pixels.shape[2] == 3
    assert result.width <= 1600
    assert result.height <= 2000


@pytest.mark.parametrize("depth", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_kind(depth, channels, noise):
    picture = Picture(noise(60, 90, channels, depth=depth), noise(60, 90, depth=depth))
    assert side_by_side(picture, picture).pixels.shape[2] == 3


def test_the_crop_shows_the_greatest_change():
    before = np.full((400, 600, 3), 100, np.uint8)
    after = before.copy()
    after[300:320, 500:520] = (0, 0, 255)
    result = side_by_side(Picture(before), Picture(after)).pixels
    below = result[406:].astype(int)
    blue = (below[..., 2] > 200) & (below[..., 0] < 60)
    assert blue.sum() > 0.8 * (20 * 3) ** 2
    assert not blue[:, :600].any()  # the left column shows the state before


def test_captions_are_drawn():
    plain = Picture(np.full((200, 300, 3), 128, np.uint8))
    named, other = (side_by_side(plain, plain, labels=("x", name)) for name in ("one", "two"))
    different = (named.pixels != other.pixels).any(-1)
    assert different.any()
    assert not different[:, : named.width // 2].any()


def test_sizes_must_agree(noise):
    with pytest.raises(ShapeError, match="5x4 and after 4x5"):
        side_by_side(Picture(noise(4, 5, 3)), Picture(noise(5, 4, 3)))
