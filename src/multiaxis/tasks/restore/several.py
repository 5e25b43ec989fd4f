"""Restoring a file of several pictures: one after the other, so that one is in memory at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from multiaxis.images import Frame, Picture, Several, encode_picture
from multiaxis.models.maxim.streaming.streamed import OnFraction
from multiaxis.restoration.ensemble import fraction_of

Restore = Callable[[Picture, OnFraction | None], Picture]


def restore_several(
    restore: Restore,
    several: Several,
    path: Path,
    *,
    quality: int | None = None,
    on_progress: OnFraction | None = None,
) -> tuple[list[Frame], tuple[str, ...]]:
    """Restore picture after picture, and encode each.

    Parameters
    ----------
    restore : callable
        Gives the restored picture.
    several : Several
    path : Path
        What will be written; its suffix names the format.
    quality : int, optional
        As in `write_picture`.
    on_progress : callable, optional
        Receives the finished fraction of all.

    Returns
    -------
    list of Frame
        For `write_several`.
    tuple of str
        Metadata that the format could not hold.
    """
    frames, lost = list[Frame](), dict[str, None]()
    for index, (picture, seconds) in enumerate(several.pictures()):
        restored = restore(picture, fraction_of(on_progress, index, several.count))
        data, missing = encode_picture(path, restored, quality=quality)
        frames.append(Frame(data, seconds))
        lost |= dict.fromkeys(missing)
    return frames, tuple(lost)
