"""Writing files of several pictures: pages as TIFF, frames as PNG or WebP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from multiaxis.errors import ImageError
from multiaxis.images.formats import check_holds, format_of
from multiaxis.images.join import Frame, JoinError, join_png, join_tiff, join_webp
from multiaxis.images.several import Several
from multiaxis.images.write import check_place, put_file

_HOLDS = {"pages": {"TIFF": ".tif"}, "frames": {"PNG": ".png", "WebP": ".webp"}}


def check_several(
    path: Path, several: Several, *, depth: str | None = None, overwrite: bool | None = None
) -> None:
    """Refuse a format that cannot hold several pictures, or one of these.

    Parameters
    ----------
    path : Path
        File to write.
    several : Several
    depth : str, optional
        What the pictures will have; by default what they have.
    overwrite : bool, optional
        Whether an existing file gives way. If given, the place is tried too.

    Raises
    ------
    ImageError
    """
    kind, holds = format_of(path), _HOLDS[several.kind]
    if kind.name not in holds:
        raise ImageError(
            f"cannot write {path}: {kind.name} cannot hold the {several.count} {several.kind} of "
            f"{several.path}; use {' or '.join(holds.values())}"
        )
    for probe in several.probes:
        check_holds(
            path,
            depth=depth or probe.depth,
            alpha=probe.alpha,
            height=probe.height,
            width=probe.width,
            extra=probe.extra,
            hdr=probe.hdr,
        )
    if overwrite is not None:
        check_place(path, overwrite=overwrite)


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
    name, lost = format_of(path).name, ()
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
            f"cannot write {path}: {error}; split {several.path} into files of its own first"
        ) from error
    put_file(path, data, overwrite=overwrite, before_publishing=before_publishing)
    return lost
