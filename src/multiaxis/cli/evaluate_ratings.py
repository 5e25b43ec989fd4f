"""``multiaxis evaluate --task rate``."""

from __future__ import annotations

from pathlib import Path

from multiaxis.cli import console
from multiaxis.cli.codes import OK
from multiaxis.cli.options import ModelOptions
from multiaxis.cli.tables import prepare_tables
from multiaxis.errors import ConfigError


def evaluate_ratings(
    model: ModelOptions,
    photos: Path,
    ratings: Path,
    protocols: list[str],
    csv: Path,
    *,
    overwrite: bool,
) -> int:
    """Rate photographs, print how the ratings agree with people's, and write a table."""
    if model.weights is None:
        raise ConfigError(
            "rate needs --weights: a rater that multiaxis rate learn or multiaxis train wrote"
        )
    if len(protocols) > 1:
        raise ConfigError(
            f"received the protocols {', '.join(protocols)}: rate takes one at a time"
        )
    table = csv / f"rate-{protocols[0]}.csv"
    prepare_tables(csv, [table], overwrite=overwrite)

    from multiaxis.tasks.rate.evaluate import evaluate
    from multiaxis.tasks.rate.rater import Rater

    rater = Rater(model.weights, device=model.device, dtype=model.dtype)
    with console.progress("pictures") as show:
        found = evaluate(rater, photos, str(ratings), protocol=protocols[0], on_progress=show)
    for text in found.left_out:
        console.note(f"left out: {text}")
    console.say(f"protocol {found.protocol}, {len(found.rows)} rows")
    for name, value in found.scores.items():
        console.say(f"  {name:<12} {value:.4f}")
    found.write_csv(table)
    console.say(f"wrote {table}")
    return OK
