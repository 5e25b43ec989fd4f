"""Time codes of SMPTE ST 12-1: the hour, minute, second and number of a frame."""

from __future__ import annotations

import re
from fractions import Fraction

_CODE = re.compile(r"(\d+):(\d+):(\d+)([:;.,])(\d+)")
_DAY = 24 * 60


def advance(code: str, frames: int, rate: Fraction) -> str:
    """Move a time code on; one that is not understood stays as it is.

    Parameters
    ----------
    code : str
        ``"01:02:03:04"``; with another mark before the frames, numbers are dropped: the first two
        (at 60 frames, four) of each minute but every tenth.
    frames : int
    rate : Fraction
        Frames in a second.

    Examples
    --------
    >>> advance("00:00:59;29", 1, Fraction(30000, 1001))
    '00:01:00;02'
    >>> advance("23:59:59:24", 1, Fraction(25))
    '00:00:00:00'
    """
    if not (found := _CODE.fullmatch(code.strip())):
        return code
    hours, minutes, seconds, number = (int(found[k]) for k in (1, 2, 3, 5))
    whole, mark = max(1, round(rate)), found[4]
    dropped = 2 * round(whole / 30) if mark != ":" else 0
    minute = hours * 60 + minutes
    count = (minute * 60 + seconds) * whole + number - dropped * (minute - minute // 10)
    count = (count + frames) % (_DAY * 60 * whole - dropped * (_DAY - _DAY // 10))
    ten = 600 * whole - 9 * dropped  # frames of ten minutes
    tens, rest = divmod(count, ten)
    if rest >= 60 * whole:  # the first minute drops none
        rest += dropped * (1 + (rest - 60 * whole) // (60 * whole - dropped))
    seconds, number = divmod(rest, whole)
    minute = tens * 10 + seconds // 60
    return f"{minute // 60:02}:{minute % 60:02}:{seconds % 60:02}{mark}{number:02}"
