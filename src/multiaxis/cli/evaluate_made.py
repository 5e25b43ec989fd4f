"""``multiaxis evaluate --task generate``."""

from __future__ import annotations

from pathlib import Path

from multiaxis.cli import console
from multiaxis.cli.codes import OK, SOME_FAILED
from multiaxis.cli.options import ModelOptions
from multiaxis.cli.tables import prepare_tables


def evaluate_made(
    model: ModelOptions, made: Path, real: Path, table: Path, *, overwrite: bool
) -> int:
    """Compare made pictures with real ones as sets, print the scores, and write the table."""
    prepare_tables(table.parent, [table], overwrite=overwrite)

    from multiaxis.tasks.generate.evaluate import evaluate

    extractor = model.weights or "random"
    with console.progress("pictures") as show:
        found = evaluate(made, real, extractor=extractor, on_progress=show)
    console.say(f"{found.made} made and {found.real} real pictures, as {extractor} sees them")
    for name, value in found.scores().items():
        console.say(f"  {name:<12} {value:.6g}")
    found.write_csv(table)
    console.say(f"wrote {table}")
    for name, reason in found.failed:
        console.complain(f"left out {name}: {reason}")
    return SOME_FAILED if found.failed else OK
