"""Writing files of several pictures: pages as TIFF, frames as PNG or WebP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from multiaxis.errors import ImageError
from multiaxis.images.formats import Target, check_holds, format_of
from multiaxis.images.join import Frame, JoinError, join_png, join_tiff, join_webp
from multiaxis.images.several import Several
from multiaxis.images.write import put_file

_HOLDS = {"pages": {"TIFF": ".tif"}, "frames": {"PNG": ".png", "WebP": ".webp"}}


def check_several(target: Target, several: Several, *, depth: str | None = None) -> None:
    """Refuse a format that cannot hold several pictures, or one of these.

    Parameters
    ----------
    target : PurePath or Remote
        As in `encode_picture`; no file is touched.
    several : Several
    depth : str, optional
        What the pictures will have; by default what they have.

    Raises
    ------
    ImageError
    """
    kind, holds = format_of(target), _HOLDS[several.kind]
    if kind.name not in holds:
        raise ImageError(
            f"cannot write {target}: {kind.name} cannot hold the {several.count} {several.kind} of "
            f"{several.name}; use {' or '.join(holds.values())}"
        )
    for probe in several.probes:
        check_holds(
            target,
            depth=depth or probe.depth,
            alpha=probe.alpha,
            height=probe.height,
            width=probe.width,
            extra=probe.extra,
            hdr=probe.hdr,
        )


def write_several(
    path: Path,
    frames: Sequence[Frame],
    several: Several,
    *,
    overwrite: bool = False,
    before_publishing: Callable[[bytes], None] | None = None,
) -> tuple[str, ...]:
    """Join encoded pictures to one file, and write it.

    Parameters
    ----------
    path : Path
        As in `write_picture`.
    frames : sequence of Frame
        Encoded in the format of the path.
    several : Several
        Where they come from.
    overwrite, before_publishing
        As in `write_picture`.

    Returns
    -------
    tuple of str
        What the format could not hold: the still picture that some animated PNG files have.

    Raises
    ------
    ImageError
        As in `write_picture`, and if the file would be larger than its format allows.
    """
    data, missing = encode_several(path, frames, several)
    put_file(path, data, overwrite=overwrite, before_publishing=before_publishing)
    return missing


def encode_several(
    target: Target, frames: Sequence[Frame], several: Several
) -> tuple[bytes, tuple[str, ...]]:
    """Join encoded pictures to one file; as `write_several`, without touching a file.

    Returns
    -------
    bytes
        The whole file.
    tuple of str
        As of `write_several`.
    """
    name, lost = format_of(target).name, ()
    try:
        if name == "TIFF":
            data = join_tiff([frame.data for frame in frames])
        elif name == "PNG":
            data = join_png(frames, several.plays)
        else:
            shown = [frame for frame in frames if frame.seconds is not None]
            lost = ("still picture",) if len(shown) < len(frames) else ()
            data = join_webp(shown, several.plays)
    except JoinError as error:
        raise ImageError(
            f"cannot write {target}: {error}; split {several.name} into files of its own first"
        ) from error
    return data, lost
