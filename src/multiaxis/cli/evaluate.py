"""``multiaxis evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from multiaxis.cli import console
from multiaxis.cli.options import DEFAULT_MODEL, Flag, ModelOptions, check_task, load_restorer
from multiaxis.errors import ConfigError

if TYPE_CHECKING:
    from multiaxis.score import Pair, Protocol, Score, ScoreRow


def evaluate(
    *,
    task: str,
    input: Path,
    target: Path,
    protocol: Annotated[list[str] | None, Parameter(negative=())] = None,
    csv: Path = Path(),
    overwrite: Flag = False,
    model: ModelOptions = DEFAULT_MODEL,
) -> None:
    """Restore a folder of pictures and score it against a folder of targets.

    Parameters
    ----------
    task
        denoise, deblur, derain, dehaze-indoor, dehaze-outdoor, enhance or retouch.
    input
        Folder of degraded pictures.
    target
        Folder of targets under the same names (or, as in SOTS, the names up to the first "_").
    protocol
        How to score: authors, rgb, rgb-volume, y, y-unrounded, y-opencv or rgb-uniform; rgb by
        default. May be given several times; every picture is restored once.
    csv
        Folder for the tables TASK-PROTOCOL.csv.
    overwrite
        Replace tables that exist.
    """
    from multiaxis.score import get_protocol, pair_folders

    check_task(task)
    rules = [get_protocol(name) for name in protocol or ["rgb"]]
    tables = [csv / f"{task}-{rule.name}.csv" for rule in rules]
    if not csv.is_dir():
        raise ConfigError(f"there is no folder {csv} for the tables: make it first")
    for path in tables:
        if path.exists() and not overwrite:
            raise ConfigError(f"the table {path} exists: pass --overwrite, or --csv FOLDER")
    count = len(pair_folders(input, target))
    restorer = load_restorer(task, model)
    for rule in rules:
        console.say(f"protocol {rule.name}: {rule.summary}. Source: {rule.source}")

    def print_row(pair: Pair, rows: list[ScoreRow]) -> None:
        console.say(f"{pair.name:<24} {_columns(rules, [row.score for row in rows])}")

    from multiaxis.tasks.evaluate import evaluate as run

    names = [rule.name for rule in rules]
    with console.progress("pictures") as show:
        results = run(restorer, input, target, protocols=names, on_pair=print_row, on_progress=show)
    mean = f"mean of {count}"
    console.say(f"{mean:<24} {_columns(rules, [table.means for table in results])}")
    for path, table in zip(tables, results, strict=True):
        table.write_csv(path)
        console.say(f"wrote {path}")


def _columns(rules: list[Protocol], scores: list[Score]) -> str:
    return "   ".join(
        f"{rule.name}: {score.psnr:7.3f} dB {score.ssim:.4f}"
        for rule, score in zip(rules, scores, strict=True)
    )
