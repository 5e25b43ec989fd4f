"""``multiaxis rate compare``."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from multiaxis.cli import console
from multiaxis.cli.codes import OK, SOME_FAILED
from multiaxis.cli.options import Flag
from multiaxis.errors import ConfigError, MultiaxisError, say_why


def compare(
    reference: Path,
    pictures: list[Path],
    /,
    *,
    weights: Annotated[str | None, Parameter(alias="-w")] = None,
    device: str = "auto",
    dtype: str = "float32",
    as_json: Annotated[Flag, Parameter(name="--json")] = False,
) -> int:
    """Tell which of several versions of a picture people would find nearest to the original.

    For each version, the nearest first: its distance from the original, and how likely people
    prefer it to the next one.

    Parameters
    ----------
    reference
        The original.
    pictures
        Versions of it, of the same size: two or more to compare, one to see its distance.
    weights
        A rater that learnt from choices with a reference, by "multiaxis rate learn PICTURES
        --ratings CHOICES.csv". By default the small one that comes with multiaxis.
    device
        Where to compute: cpu, cuda, cuda:N, mps, or auto (a GPU if there is one).
    dtype
        Precision: float32, bfloat16, float16 or auto.
    as_json
        Print one line of JSON for each picture.
    """
    from multiaxis.images import read_picture
    from multiaxis.tasks.rate.rater import Rater

    if weights is not None and not Path(weights).is_file():
        raise ConfigError(f"--weights is {weights}, which is no file: name a rater's")
    rater = (
        Rater.for_comparing(device=device, dtype=dtype)
        if weights is None
        else Rater(weights, device=device, dtype=dtype)
    )
    original = read_picture(reference)
    found: list[tuple[float, Path]] = []
    failed: list[str] = []
    for path in pictures:
        try:
            found.append((rater.distance(original, path), path))
        except ConfigError:
            raise
        except MultiaxisError as error:
            failed.append(say_why(path, error))
    found.sort(key=lambda pair: pair[0])
    for place, (distance, path) in enumerate(found):
        following = found[place + 1][0] if place + 1 < len(found) else None
        likely = None if following is None else 1 / (1 + math.exp(max(distance - following, -700)))
        if as_json:
            row = {"input": str(path), "distance": distance, "preferred_to_next": likely}
            console.say(json.dumps(row))
        else:
            over = "" if likely is None else f"  preferred to the next by {100 * likely:.0f} %"
            console.say(f"{distance:9.4f}  {path}{over}")
    for reason in failed:
        console.complain(reason)
    return SOME_FAILED if failed else OK
