"""``multiaxis evaluate --task generate``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from multiaxis.cli import console
from multiaxis.cli.codes import OK, SOME_FAILED
from multiaxis.cli.options import ModelOptions
from multiaxis.cli.tables import prepare_tables
from multiaxis.images import Picture, check_write, write_picture


def evaluate_made(
    model: ModelOptions,
    places: tuple[Path, Path],
    table: Path,
    nearest: Path | None = None,
    *,
    overwrite: bool,
) -> int:
    """Compare made pictures with real ones as sets; print, and write what was asked for.

    Parameters
    ----------
    model : ModelOptions
        Its weights are what looks at both.
    places : (Path, Path)
        Folders of made and of real pictures.
    table : Path
        Of the scores.
    nearest : Path, optional
        A picture of the first made ones above the nearest real ones.
    overwrite : bool
        Whether files that exist are replaced.
    """
    prepare_tables(table.parent, [table], overwrite=overwrite)
    if nearest is not None:
        check_write(nearest, Picture(np.zeros((1, 1, 3), np.uint8)), overwrite=overwrite)

    from multiaxis.tasks.generate.evaluate import evaluate
    from multiaxis.tasks.generate.neighbours import draw_pairs

    extractor = model.weights or "random"
    with console.progress("pictures") as show:
        found = evaluate(*places, extractor=extractor, on_progress=show)
    console.say(f"{found.made} made and {found.real} real pictures, as {extractor} sees them")
    for name, value in found.scores().items():
        console.say(f"  {name:<12} {value:.6g}")
    near = found.neighbours
    console.say(
        f"  {'distinct':<12} {near.distinct} of {near.compared} "
        f"(real pictures: {near.distinct_real} of {near.compared})"
    )
    console.say(
        f"  {'copies':<12} {near.copies} of {found.made} (other real pictures: about 1 in 20)"
    )
    found.write_csv(table)
    console.say(f"wrote {table}")
    if nearest is not None:
        drawn = draw_pairs(near, found.size)
        write_picture(nearest, Picture(drawn), overwrite=overwrite)
        console.say(f"wrote {nearest}")
    for name, reason in found.failed:
        console.complain(f"left out {name}: {reason}")
    return SOME_FAILED if found.failed else OK
