"""Colour profiles (ICC): what kind one is, how long, and one made of a few numbers."""

from __future__ import annotations

import struct
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from multiaxis.images.picture import Metadata
from multiaxis.images.space import SRGB_PRIMARIES, Colour

_HEADER, _D50 = 128, (0.9642, 1.0, 0.8249)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367],
                      [0.0389, -0.0685, 1.0296]])  # fmt: skip


def profile_space(icc: bytes) -> str:
    """Tell which samples a profile is for, such as ``"RGB"``, ``"GRAY"`` or ``"CMYK"``.

    Returns
    -------
    str
        Empty where the bytes are no profile.
    """
    is_profile = len(icc) > _HEADER and icc[36:40] == b"acsp"
    return icc[16:20].decode("latin-1").strip() if is_profile else ""


def trim_profile(icc: bytes) -> bytes:
    """Cut a profile to the length that it declares: some writers pad, and PNG refuses that."""
    declared = int.from_bytes(icc[:4], "big")
    return icc[:declared] if profile_space(icc) and _HEADER < declared < len(icc) else icc


def deciding_profile(metadata: Metadata, *, grey: bool = False) -> bytes | None:
    """Give the profile that says what a picture's samples mean; None where it is sRGB, or HDR.

    Parameters
    ----------
    metadata : Metadata
    grey : bool
        As in `make_profile`.

    Notes
    -----
    The order is that of PNG, third edition, section 4.3: cICP, profile, sRGB, gAMA and cHRM.
    """
    colour = metadata.colour
    if colour is None or (metadata.icc and colour.cicp is None):
        return metadata.icc
    return None if colour.is_srgb or not colour.is_known else make_profile(colour, grey=grey)


@lru_cache(maxsize=32)
def make_profile(colour: Colour, *, grey: bool = False) -> bytes:
    """Make the profile that says the same as a file's few numbers.

    Parameters
    ----------
    colour : Colour
        One that `is_known`.
    grey : bool
        Whether it is for grey samples, of which only the curve matters.

    Returns
    -------
    bytes
        A display profile of version 4.3: primaries seen from D50, by Bradford's adaptation.

    Notes
    -----
    Source: ICC.1:2010, sections 7.2, 8.3.3, 8.4.3 and 10.
    """
    to_xyz, adaptation = _matrices(colour.primaries)
    curve = _curve(colour.curve)
    tags = [
        (b"desc", _text(f"multiaxis: {_name(colour)}")),
        (b"cprt", _text("No copyright")),
        (b"wtpt", _xyz(_D50)),
        (b"chad", b"sf32\0\0\0\0" + _fixed(adaptation.ravel())),
    ]
    if grey:
        tags.append((b"kTRC", curve))
    else:
        columns = zip((b"rXYZ", b"gXYZ", b"bXYZ"), to_xyz.T, strict=True)
        tags += [(name, _xyz(tuple(column))) for name, column in columns]
        tags += [(name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")]
    return _assembled(tags, b"GRAY" if grey else b"RGB ")


def _matrices(primaries: tuple[float, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the way from linear RGB to XYZ under D50, and its adaptation of the white."""
    points = np.array(primaries).reshape(4, 2)
    xyz = np.column_stack([points, 1 - points.sum(axis=1)]).T
    white = xyz[:, 0] / xyz[1, 0]
    cones, cones_d50 = _BRADFORD @ white, _BRADFORD @ np.array(_D50)
    adaptation = np.linalg.inv(_BRADFORD) @ np.diag(cones_d50 / cones) @ _BRADFORD
    colours = xyz[:, 1:] * np.linalg.solve(xyz[:, 1:], white)
    return adaptation @ colours, adaptation


def _name(colour: Colour) -> str:
    if colour.cicp is not None:
        return "primaries {}, transfer {} of H.273".format(*colour.cicp)
    return f"gamma {1 / colour.curve[0]:.5f}" if len(colour.curve) == 1 else "sRGB curve"


def _curve(curve: tuple[float, ...]) -> bytes:
    kind = 0 if len(curve) == 1 else 3
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + _fixed(curve)


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(values)


def _text(text: str) -> bytes:
    """One text in American English."""
    body = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II4sII", 1, 12, b"enUS", len(body), 28) + body


def _fixed(values: NDArray[np.float64] | tuple[float, ...]) -> bytes:
    return b"".join(struct.pack(">i", round(float(value) * 65536)) for value in values)


def _assembled(tags: list[tuple[bytes, bytes]], space: bytes) -> bytes:
    table, body, places = b"", b"", dict[bytes, int]()
    first = _HEADER + 4 + 12 * len(tags)
    for name, content in tags:
        if content not in places:  # equal curves are stored once
            places[content] = first + len(body)
            body += content + bytes(-len(content) % 4)
        table += struct.pack(">4sII", name, places[content], len(content))
    size = first + len(body)
    date = struct.pack(">6H", 2025, 1, 1, 0, 0, 0)  # always the same: outputs can be compared
    head = struct.pack(">I4s4s4s4s4s12s4s", size, bytes(4), b"\x04\x30\0\0", b"mntr", space,
                       b"XYZ ", date, b"acsp")  # fmt: skip
    rest = bytes(28) + _fixed(_D50)
    return (head + rest).ljust(_HEADER, b"\0") + struct.pack(">I", len(tags)) + table + body


def grey_as_rgb(icc: bytes) -> bytes | None:
    """Give a grey profile's curve to red, green and blue; None where there is no such curve."""
    curve = _tags(icc).get(b"kTRC")
    if profile_space(icc) != "GRAY" or icc[20:24] != b"XYZ " or curve is None:
        return None
    to_xyz, _ = _matrices(SRGB_PRIMARIES)
    columns = zip((b"rXYZ", b"gXYZ", b"bXYZ"), to_xyz.T, strict=True)
    tags = [(name, _xyz(tuple(column))) for name, column in columns]
    tags += [(name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")]
    return _assembled([(b"wtpt", _xyz(_D50)), *tags], b"RGB ")


def _tags(icc: bytes) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    count = min(int.from_bytes(icc[_HEADER : _HEADER + 4], "big"), (len(icc) - _HEADER) // 12)
    for at in range(_HEADER + 4, _HEADER + 4 + 12 * count, 12):
        start, size = struct.unpack(">II", icc[at + 4 : at + 12].ljust(8, b"\0"))
        found[icc[at : at + 4]] = icc[start : start + size]
    return found
