"""Restoring a file of several pictures: one after the other, so that one is in memory at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from multiaxis.images import Frame, Picture, Several, encode_picture
from multiaxis.images.formats import Target
from multiaxis.models.maxim.streaming.streamed import OnFraction
from multiaxis.restoration.ensemble import fraction_of

Restore = Callable[[Picture, OnFraction | None], Picture]


@dataclass(frozen=True)
class RestoredSeveral:
    """What becomes of a file of several pictures.

    Attributes
    ----------
    frames : list of Frame
        For `write_several`.
    lost : tuple of str
        Metadata that the format could not hold.
    remarks : tuple of str
        The pictures', each once.
    """

    frames: list[Frame]
    lost: tuple[str, ...]
    remarks: tuple[str, ...]


def restore_several(
    restore: Restore,
    several: Several,
    target: Target,
    *,
    quality: int | None = None,
    on_progress: OnFraction | None = None,
) -> RestoredSeveral:
    """Restore picture after picture, and encode each.

    Parameters
    ----------
    restore : callable
        Gives the restored picture.
    several : Several
    target, quality
        As in `encode_picture`.
    on_progress : callable, optional
        Receives the finished fraction of all.
    """
    frames, lost, remarks = list[Frame](), dict[str, None](), dict[str, None]()
    for index, (picture, seconds) in enumerate(several.pictures()):
        restored = restore(picture, fraction_of(on_progress, index, several.count))
        data, missing = encode_picture(target, restored, quality=quality)
        frames.append(Frame(data, seconds))
        lost |= dict.fromkeys(missing)
        remarks |= dict.fromkeys(restored.remarks)
    return RestoredSeveral(frames, tuple(lost), tuple(remarks))
