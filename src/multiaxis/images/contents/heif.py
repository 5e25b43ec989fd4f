"""AVIF and HEIC items: what is read from them. Libvips writes what can be kept."""

from __future__ import annotations

from multiaxis.images.contents.content import EXIF_MARK, Found, plain
from multiaxis.images.contents.xmp import Kept, mend_xmp
from multiaxis.images.structure import Items, boxes, read_items

_XMP = "application/rdf+xml"
_PIXELS = {"av01", "hvc1", "grid", "iden", "iovl", "avc1", "jpeg", "unci", "j2k1", "hvt1"}
_BOXES = {"ftyp", "styp", "meta", "mdat", "free", "skip", "wide", "moov", "moof", "mfra", "sidx"}
# How samples lie and how they are shown: used while decoding, or written anew; and colour.
_PROPERTIES = {
    "ispe", "pixi", "av1C", "hvcC", "irot", "imir", "clap", "auxC", "colr", "a1op", "a1lx",
    "lsel", "rloc", "tols", "clli", "mdcv", "cclv", "amve", "grpl", "pasp", "lhvC", "vvcC", "free",
}  # fmt: skip
_AUXILIARY = {"alpha": "", "hdrgainmap": "gain map", "depth": "depth map", "matte": "matte"}


def read_heif(data: bytes) -> Found:
    """Read what an AVIF or HEIC file holds beside the samples of its first picture.

    Notes
    -----
    Second pictures (gain and depth maps, thumbnails) are not taken over: they belong to samples
    that a restoration changes.
    """
    found, items = Found(), read_items(data)
    for box in boxes(data):
        if box.name == "mpvd":
            found.lose("film")
        elif box.name not in _BOXES:
            is_signed = box.name == "uuid" and b"c2pa" in data[box.inner : box.inner + 64]
            found.lose("content credentials" if is_signed else f"box {plain(box.name)}")
    _read_blocks(data, items, found)
    _name_pictures(items, found)
    for prop in items.properties.get(items.primary, ()):
        if prop.name == "pasp" and prop.size == 8:
            across, down = (int.from_bytes(prop.body[k : k + 4], "big") for k in (4, 0))
            found.aspect = (across, down) if across != down and across and down else None
        elif prop.name not in _PROPERTIES:
            found.lose(f"property {plain(prop.name)}")
    mended = mend_xmp(found.xmp, Kept()) if found.xmp else None
    if found.xmp and not mended:
        found.lose("xmp")
    found.xmp = mended
    return found


def _read_blocks(data: bytes, items: Items, found: Found) -> None:
    for item, kind in items.types.items():
        mime = items.mimes.get(item, "")
        if kind == "Exif":
            body = items.body(data, item)
            start = 4 + int.from_bytes(body[:4], "big")
            found.offer_exif(body[start:].removeprefix(EXIF_MARK))
        elif mime == _XMP:
            found.offer_xmp(items.body(data, item))
        elif kind == "tmap":
            continue  # it joins the picture and its gain map, which is named
        elif kind not in _PIXELS:
            found.lose(f"item {plain(mime or kind)}")


def _name_pictures(items: Items, found: Found) -> None:
    """Name the pictures that are neither shown nor parts of what is shown."""
    targets: dict[int, list[str]] = {}
    for kind, source, others in items.references:
        if kind in ("thmb", "auxl", "prem"):
            targets.setdefault(source, []).append(kind)
        if kind == "dimg":  # parts of a grid are no pictures of their own
            for other in others:
                targets.setdefault(other, []).append(items.types.get(source, kind))
    for item in items.types:
        kinds = targets.get(item, [])
        if "thmb" in kinds:
            found.lose("thumbnail")
        elif "auxl" in kinds:
            found.lose(*filter(None, [_auxiliary(items, item)]))
        elif "tmap" in kinds and item != items.primary:
            found.lose("gain map")


def _auxiliary(items: Items, item: int) -> str:
    prop = items.property(item, "auxC")
    kind = prop.body[4:].partition(b"\0")[0].decode("latin-1") if prop else ""
    for word, name in _AUXILIARY.items():
        if word in kind.lower() or (word == "depth" and kind.endswith(":auxid:2")):
            return name
    return "" if kind.endswith(":auxid:1") else f"auxiliary picture {plain(kind)}".strip()
