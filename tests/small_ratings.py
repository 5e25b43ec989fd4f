"""Rated photographs of nothing in particular: the lighter, the more stars; and a tiny backbone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from multiaxis import create_model

SMALL_BACKBONE = {
    "stem_widths": (4, 8),
    "depths": (1, 1),
    "widths": (8, 8),
    "head_dim": 8,
    "window_size": 2,
    "grid_size": 2,
    "num_classes": 0,
    "start": "scaled",
}
_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
    'syntax-ns#"><rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
    'xmp:Rating="{}"/></rdf:RDF></x:xmpmeta>'
)


def xmp(stars: object) -> bytes:
    return _XMP.format(stars).encode()


def save_backbone(path: Path) -> Path:
    torch.manual_seed(0)
    create_model("maxvit", **SMALL_BACKBONE).save(path)  # pyright: ignore[reportArgumentType]
    return path


def photograph(light: float, seed: int, size: tuple[int, int] = (40, 52)) -> Image.Image:
    """Noise on coarse patches, around a brightness from 0 to 1."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8))
    patches = np.asarray(coarse.resize(size[::-1], Image.Resampling.NEAREST), np.float64)
    pixels = 40 + 150 * light + 0.25 * (patches - 128) + rng.normal(0, 4, patches.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def stars_of(k: int) -> int:
    return k % 5 + 1


def make_rated(folder: Path, count: int = 30) -> Path:
    """Photographs with stars inside, as JPEG."""
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(count):
        stars = stars_of(k)
        photograph(stars / 5, k).save(folder / f"{k:02}.jpg", quality=95, xmp=xmp(stars))
    return folder
