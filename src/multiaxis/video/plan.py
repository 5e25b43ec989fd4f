"""What is to be done with a clip, and what will become of it, found out before the work."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from multiaxis.errors import ConfigError, ImageError
from multiaxis.video.clip import Clip, look_ahead, open_clip, probe
from multiaxis.video.containers import format_of
from multiaxis.video.encoding import Encoding
from multiaxis.video.folder import why
from multiaxis.video.outline import Window
from multiaxis.video.rehearse import rehearse
from multiaxis.video.whole import is_cut

_CUT = "the file ends before its container does: it was cut short, and what is there is restored"


@dataclass(frozen=True)
class ClipPlan:
    """A clip to restore.

    Attributes
    ----------
    source, target : Path
    start, end : float
        Seconds from the clip's start; `end` may be None.
    clip : Clip
    encoding : Encoding
    window : Window
    kept : frozenset of int
        Indices of the source's other streams that are copied.
    remarks : tuple of str
        What becomes different from the source.
    """

    source: Path
    target: Path
    start: float
    end: float | None
    clip: Clip
    encoding: Encoding
    window: Window
    kept: frozenset[int]
    remarks: tuple[str, ...]


def plan_clip(
    source: Path,
    target: Path,
    *,
    start: float = 0.0,
    end: float | None = None,
    codec: str | None = None,
    crf: int | None = None,
    overwrite: bool = False,
) -> ClipPlan:
    """Find out what a restoration will keep, without restoring a frame.

    Parameters
    ----------
    source, target : Path
        The target's suffix names the container.
    start, end : float
        Seconds from the clip's start; `end` may be None.
    codec : str, optional
        FFmpeg's name of an encoder; by default the source's kind.
    crf : int, optional
        Constant quality of that encoder.
    overwrite : bool
        Whether the target may be replaced.

    Returns
    -------
    ClipPlan

    Raises
    ------
    ConfigError
        If a number or the encoder makes no sense, or the target's suffix names no container.
    ImageError
        If the clip cannot be read, or its film, sound or subtitles do not fit into the container.
    """
    if not (math.isfinite(start) and start >= 0 and (end is None or end > start)):
        shown = "the end" if end is None else f"{end:g} s"
        raise ConfigError(f"from {start:g} s to {shown}: accepted is a start before the end")
    end = None if end is None or math.isinf(end) else end
    if crf is not None and crf < 0:
        raise ConfigError(f"crf is {crf}: accepted is 0 or more")
    format_of(target)
    if os.path.realpath(source) == os.path.realpath(target):
        raise ImageError(f"the output {target} is the input: originals are never replaced")
    if os.path.lexists(target) and not overwrite:
        raise ImageError(f"the output {target} exists: pass --overwrite, or choose another with -o")
    try:
        target.lstat()
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:  # too long a name, a file for a folder
        raise ImageError(f"cannot write {target}: {why(error)}; choose another with -o") from error
    clip = probe(source, start)
    look_ahead(source, start, end)
    encoding = Encoding.choose(clip, codec, crf, target)
    with open_clip(source) as given:
        window = Window.of(given, clip, start, end)
    kept, remarks = rehearse(source, target, clip, encoding, window)
    cut = (_CUT,) if end is None and is_cut(source) else ()
    return ClipPlan(
        source, target, start, end, clip, encoding, window, kept, cut + encoding.remarks + remarks
    )
