"""``multiaxis evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from multiaxis.cli import console
from multiaxis.errors import ConfigError

if TYPE_CHECKING:
    from multiaxis.score import Pair, Protocol, Score, ScoreRow


def evaluate(
    *,
    task: str,
    input: Path,
    target: Path,
    protocol: Annotated[list[str], Parameter(negative=())] = ["rgb"],  # noqa: B006 (cyclopts copies)
    csv: Path | None = None,
    weights: str | None = None,
    overwrite: Annotated[bool, Parameter(negative=())] = False,
    device: str = "auto",
    dtype: str = "float32",
    offline: Annotated[bool, Parameter(negative=())] = False,
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
        How to score: authors, rgb, rgb-volume, y, y-unrounded, y-opencv or rgb-uniform. May be
        given several times; every picture is restored once.
    csv
        Folder for the tables TASK-PROTOCOL.csv. By default the current one.
    weights
        Another checkpoint than the task's own: a name of "multiaxis weights list", or a file.
    overwrite
        Replace tables that exist.
    device
        auto, cpu, cuda, cuda:N or mps.
    dtype
        float32 or bfloat16.
    offline
        Use only weights that are in the cache.
    """
    from multiaxis.score import get_protocol, pair_folders

    rules = [get_protocol(name) for name in protocol]
    folder = csv or Path()
    tables = [folder / f"{task}-{name}.csv" for name in protocol]
    for path in tables:
        if path.exists() and not overwrite:
            raise ConfigError(f"the table {path} exists: pass --overwrite, or --csv FOLDER")
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder} for the tables: make it first")
    count = len(pair_folders(input, target))

    from multiaxis.restore import Restorer
    from multiaxis.tasks import evaluate as task_evaluate

    with console.progress("bytes") as show:
        restorer = Restorer(
            task, weights=weights, device=device, dtype=dtype, offline=offline, on_progress=show
        )
    for rule in rules:
        console.say(f"protocol {rule.name}: {rule.summary}. Source: {rule.source}")

    def print_row(pair: Pair, rows: list[ScoreRow]) -> None:
        console.say(f"{pair.name:<24} {_columns(rules, [row.score for row in rows])}")

    with console.progress("pictures") as show:
        results = task_evaluate.evaluate(
            restorer, input, target, protocols=protocol, on_pair=print_row, on_progress=show
        )
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
