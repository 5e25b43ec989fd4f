"""Kinds of TIFF samples: what the bands mean, and what is not read, told from the header alone."""

from __future__ import annotations

from multiaxis.images.structure import Directory, read_directories

_BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _PLANAR = 258, 259, 262, 277, 284
_TILES, _INKS, _EXTRA, _FORMAT = 322, 332, 338, 339
_WHITE_IS_ZERO, _GREY, _RGB, _PALETTE, _CMYK, _YCBCR, _LAB = 0, 1, 2, 3, 5, 6, 8
_COLOURS = {_WHITE_IS_ZERO: 1, _GREY: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4, _YCBCR: 3, _LAB: 3}
_ALPHA = (1, 2)  # ExtraSamples: multiplied into the colours, or not
_JPEG, _SHORT = 7, 3
# What libvips' own libtiff decodes: none, CCITT, LZW, JPEG, deflate, PackBits and the like.
_READ = (1, 2, 3, 4, 5, 7, 8, 32766, 32771, 32773, 32809, 32946, 50001)
_COMPRESSIONS = {
    6: "old-style JPEG",
    34661: "JBIG",
    34712: "JPEG 2000",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34676: "SGI LogLuv",
    34677: "SGI LogLuv",
    34887: "LERC",
    34925: "LZMA",
    50000: "Zstandard",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
_SPACES = {
    4: "a transparency mask",
    9: "ICC Lab",
    10: "ITU Lab",
    32803: "a camera's mosaic (CFA)",
    32844: "LogL",
    32845: "LogLuv",
    34892: "a camera's linear raw",
    51177: "a depth map",
}
_UNSIGNED, _SIGNED, _FLOAT, _UNTYPED = 1, 2, 3, 4
_DO = "save it as TIFF of 8 or 16 bits, grey or RGB, first"


def tiff_problem(data: bytes) -> str:
    """Say why the first page of a TIFF file is not read; empty as a rule.

    Parameters
    ----------
    data : bytes
        The whole file.

    Returns
    -------
    str
        A phrase that goes on after *cannot read FILE:*.

    Notes
    -----
    Source: TIFF, revision 6.0, and its technical notes; ``tiff.h`` of libtiff.
    """
    page = next(iter(read_directories(data)), None)
    if page is None:
        return ""  # the decoder will say that it is damaged
    lab = _number(page, _PHOTOMETRIC, _GREY) == _LAB  # libvips reads all that it writes itself
    checks = [_compression, _space, _planes, _bands, *([] if lab else [_numbers])]
    return next(filter(None, (check(page) for check in checks)), "")


def extra_bands(data: bytes) -> tuple[int, ...]:
    """List what the bands beyond colour mean in a TIFF file.

    Returns
    -------
    tuple of int
        TIFF's ExtraSamples: 1 and 2 are alpha, 0 and what is not said is unspecified.
    """
    page = next(iter(read_directories(data)), None)
    return _extra(page) if page else ()


def call_alpha_plain(data: bytes) -> bytes:
    """Say that alpha is not multiplied into the colours: libvips would divide, and not round."""
    page = next(iter(read_directories(data)), None)
    entry = page.get(_EXTRA) if page else None
    if page is None or entry is None or entry.type != _SHORT or entry.inner < 0:
        return data
    plain = (2).to_bytes(2, entry.order)
    return data[: entry.inner] + plain + data[entry.inner + 2 :]


def name_extra_bands(data: bytes, count: int) -> bytes:
    """Return a TIFF file whose last bands, said to be alpha, are said to be unspecified."""
    page = next(iter(read_directories(data)), None)
    entry = page.get(_EXTRA) if page and count else None
    if entry is None or entry.type != _SHORT or entry.inner < 0:
        return data
    end = entry.inner + entry.size
    return data[: end - 2 * count] + bytes(2 * count) + data[end:]


def _extra(page: Directory) -> tuple[int, ...]:
    colours = _COLOURS.get(_number(page, _PHOTOMETRIC, _GREY), 1)
    count = max(0, min(_number(page, _SAMPLES, 1), 0xFFFF) - colours)
    found = _numbers_of(page, _EXTRA)[:count]
    return found + (0,) * (count - len(found))


def _compression(page: Directory) -> str:
    found = _number(page, _COMPRESSION, 1)
    if found in _READ:
        return ""
    name = _COMPRESSIONS.get(found, f"number {found}")
    return (
        f"its TIFF compression is {name}, which is not read; save it with LZW, deflate or no "
        "compression first"
    )


def _space(page: Directory) -> str:
    found = _number(page, _PHOTOMETRIC, _GREY)
    if found in _SPACES or found not in _COLOURS:
        name = _SPACES.get(found, f"number {found}")
        return f"its TIFF colour space is {name}, which is not read; {_DO}"
    if found == _YCBCR and _number(page, _COMPRESSION, 1) != _JPEG:
        return f"its TIFF colours are YCbCr outside JPEG, which are not read; {_DO}"
    inks = _number(page, _INKS, 1)
    if found == _CMYK and (inks != 1 or _number(page, _SAMPLES, 1) != 4):
        return f"its TIFF inks are not the four of CMYK, which are not read; {_DO}"
    return ""


def _numbers(page: Directory) -> str:
    """Check how many bits a sample has and what they count."""
    bits, formats = set(_numbers_of(page, _BITS) or (1,)), set(_numbers_of(page, _FORMAT) or (1,))
    space = _number(page, _PHOTOMETRIC, _GREY)
    if len(bits) > 1 or len(formats) > 1:
        widths = ", ".join(map(str, _numbers_of(page, _BITS)))
        return f"its TIFF samples are of several kinds ({widths} bits), which are not read; {_DO}"
    (width,), (kind,) = bits, formats
    single = _number(page, _SAMPLES, 1) == 1
    if kind == _FLOAT:
        inks = space == _CMYK
        if width not in (16, 32) or space == _WHITE_IS_ZERO or inks:
            kinds = f"{width}-bit floats" + (" with white as 0" if space == _WHITE_IS_ZERO else "")
            kinds += " of CMYK" if inks else ""
            return f"its TIFF samples are {kinds}; accepted are 32-bit floats, 0 as black: {_DO}"
        return ""
    if kind not in (_UNSIGNED, _UNTYPED):
        name = "signed" if kind == _SIGNED else "complex"
        return f"its TIFF samples are {name} {width}-bit numbers, which are not read; {_DO}"
    few = width in (1, 2, 4) and single and space in (_WHITE_IS_ZERO, _GREY, _PALETTE)
    if width not in (8, 16) and not few:
        return f"its TIFF samples are unsigned {width}-bit numbers, which are not read; {_DO}"
    return ""


def _planes(page: Directory) -> str:
    """Refuse the planes that libvips reads wrongly: all but RGB's of whole numbers and floats."""
    if _number(page, _PLANAR, 1) != 2 or _number(page, _SAMPLES, 1) == 1:
        return ""
    halves = _number(page, _FORMAT, 1) == _FLOAT and _number(page, _BITS, 1) == 16
    if _number(page, _PHOTOMETRIC, _GREY) == _RGB and not halves and not page.get(_TILES):
        return ""
    return f"its TIFF bands lie in planes of a kind that is not read; {_DO} (without planes)"


def _bands(page: Directory) -> str:
    extra = _extra(page)
    grey = _COLOURS.get(_number(page, _PHOTOMETRIC, _GREY), 1) == 1
    beyond = extra[1:] if extra[:1] and extra[0] in _ALPHA else extra
    if beyond and (grey and len(beyond) > 1):
        return (
            f"it has {1 + len(extra)} TIFF bands of which none is said to be a colour; save those "
            "that make a picture as grey or RGB first"
        )
    if any(meaning in _ALPHA for meaning in beyond):
        return (
            "its TIFF bands mix transparency with others (ExtraSamples "
            f"{', '.join(map(str, extra))}); accepted is one band of transparency, then others"
        )
    return ""


def _number(page: Directory, tag: int, default: int) -> int:
    return next(iter(_numbers_of(page, tag)), default)


def _numbers_of(page: Directory, tag: int) -> tuple[int, ...]:
    entry = page.get(tag)
    return entry.offsets if entry else ()
