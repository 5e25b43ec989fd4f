"""``multiaxis degrade``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from multiaxis.cli.batch import DEFAULT_BATCH, BatchOptions, run_batch
from multiaxis.cli.options import Flag

if TYPE_CHECKING:
    from multiaxis.batch import Result


def degrade(
    input: str,
    output: str,
    /,
    *,
    chain: Annotated[list[str], Parameter(name="--with", negative=())],
    seed: int = 0,
    overwrite: Flag = False,
    files: BatchOptions = DEFAULT_BATCH,
    quiet: Annotated[Flag, Parameter(alias="-q")] = False,
) -> int:
    """Spoil pictures on purpose: noise, blur, rain, haze, darkness, JPEG.

    The command prints what it drew for each picture, in words that --with accepts. A picture that
    fails is reported at the end, and the others are done.

    Parameters
    ----------
    input
        A picture, a folder, a pattern such as "*.png", or an address.
    output
        A file for a single picture, else a folder. It is created if it does not exist.
    chain
        What to do, such as rain, motion-blur:length=20, or gaussian-noise:sigma=10..50 (drawn anew
        for each picture). Separate several with commas, or repeat --with. Choose from
        gaussian-noise, poisson-noise, sensor-noise, camera-noise, motion-blur, defocus, rain,
        drops, haze, low-light, jpeg, levels and shrink.
    seed
        A number of 0 or more. The same seed gives the same pictures.
    overwrite
        Replace outputs that exist. By default they are reported and left alone.
    quiet
        Print what was drawn, and errors, only.
    """
    from multiaxis.degrade import parse_chain
    from multiaxis.tasks.degrade.verb import Degrade

    verb = Degrade(parse_chain(",".join(chain)), seed)
    request = files.request([input], output, overwrite=overwrite)
    return run_batch(verb, request, dry_run=files.dry_run, quiet=quiet, lines=_drawn)


def _drawn(result: Result) -> list[str]:
    return [f"{result.job.output}: {result.record['degradations']}"]
