"""Pillow images to pictures and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageOps

from multiaxis.errors import ImageError
from multiaxis.images.convert import rgb_to_grey
from multiaxis.images.orient import upright_exif, upright_xmp
from multiaxis.images.picture import Metadata, Picture
from multiaxis.images.profile import deciding_profile
from multiaxis.images.space import SRGB_PRIMARIES, Colour

_GREY = ("1", "L", "LA", "I;16", "I;16L", "I;16B")
_MODES = (*_GREY, "P", "RGB", "RGBA")


def from_pillow(image: Image.Image) -> Picture:
    """Turn a Pillow image into an upright picture.

    Parameters
    ----------
    image : PIL.Image.Image
        Mode 1, L, LA, P, RGB, RGBA or I;16, transparency as a colour key included. Pillow itself
        opens 16-bit colour files as 8 bit: use `read_picture` for those.

    Raises
    ------
    ImageError
        If the mode is another one.
    """
    if image.mode not in _MODES:
        raise ImageError(
            f"Pillow image of mode {image.mode}: accepted are {', '.join(_MODES)}; "
            "call its convert('RGB') first"
        )
    exif = image.getexif()
    block = image.info.get("exif") or (exif.tobytes() if exif else None)
    xmp = image.info.get("xmp")
    metadata = Metadata(
        icc=image.info.get("icc_profile") or None,
        exif=upright_exif(block) if block else None,
        xmp=upright_xmp(xmp) if isinstance(xmp, bytes) else None,
        colour=_colour(image.info),
    )
    samples = _samples(ImageOps.exif_transpose(image))
    colours = 1 if samples.shape[2] < 3 else 3
    alpha = np.ascontiguousarray(samples[..., -1]) if samples.shape[2] in (2, 4) else None
    return Picture(np.ascontiguousarray(samples[..., :colours]), alpha, metadata)


def to_pillow(picture: Picture, like: Image.Image | None = None) -> Image.Image:
    """Turn a picture into a Pillow image.

    Parameters
    ----------
    picture : Picture
        8 bits, or grey of 16 bits without alpha: Pillow holds no other depths exactly.
    like : PIL.Image.Image, optional
        The source: a grey one asks for a grey result, and its `info` is taken over (colour
        profile, EXIF with orientation 1, density).

    Returns
    -------
    PIL.Image.Image
        Mode L, LA, RGB, RGBA or I;16.

    Raises
    ------
    ImageError
        If Pillow has no mode for the picture.
    """
    pixels = picture.pixels
    if like is not None and like.mode in _GREY:
        pixels = rgb_to_grey(pixels)
    check_pillow(picture.depth, pixels.shape[2], alpha=picture.has_alpha)
    if picture.alpha is not None:
        pixels = np.dstack([pixels, picture.alpha])
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.info = _info(picture.metadata, like, grey=picture.pixels.shape[2] == 1)
    return image


def check_pillow(depth: str, bands: int, *, alpha: bool) -> None:
    """Refuse a picture that Pillow has no mode for.

    Parameters
    ----------
    depth : str
        ``"uint8"``, ``"uint16"`` or ``"float32"``.
    bands : int
        1 (grey) or 3 (RGB), alpha not counted.
    alpha : bool
        Whether there is transparency.

    Raises
    ------
    ImageError
        Says what Pillow cannot hold.
    """
    if depth == "uint8" or (depth == "uint16" and bands == 1 and not alpha):
        return
    kind = f"{depth} {'grey' if bands == 1 else 'RGB'}{' with alpha' if alpha else ''}"
    raise ImageError(f"Pillow cannot hold {kind}: write it to a file instead, or use 8 bits")


def _samples(image: Image.Image) -> np.ndarray[Any, Any]:
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)[..., None]
    if image.has_transparency_data:
        image = image.convert("LA" if image.mode in _GREY else "RGBA")
    elif image.mode in ("1", "P"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    samples = np.array(image)
    return samples[..., None] if samples.ndim == 2 else samples


def _info(
    metadata: Metadata, like: Image.Image | None, *, grey: bool
) -> dict[str | tuple[int, int], Any]:
    info = dict(like.info) if like is not None else {}
    info.pop("transparency", None)  # it is alpha by now
    # Pillow writes no chunks of colour: a picture that had some gets the equivalent profile.
    icc = deciding_profile(metadata, grey=grey) or metadata.icc
    found = {"icc_profile": icc, "exif": metadata.exif, "xmp": metadata.xmp}
    info.update({key: blob for key, blob in found.items() if blob})
    if isinstance(info.get("exif"), bytes):
        info["exif"] = upright_exif(info["exif"])
    return info


def _colour(info: dict[str | tuple[int, int], Any]) -> Colour | None:
    """Read what Pillow says of a PNG's sRGB, gAMA and cHRM chunks; of cICP it says nothing."""
    intent, gamma, points = (info.get(key) for key in ("srgb", "gamma", "chromaticity"))
    if intent is None and not gamma and not points:
        return None
    known = isinstance(points, tuple) and len(points) == len(SRGB_PRIMARIES)
    return Colour(intent=intent, gamma=gamma or None, chromaticities=points if known else None)
