"""``multiaxis evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from multiaxis.cli import console
from multiaxis.cli.options import (
    DEFAULT_LIMITS,
    DEFAULT_MODEL,
    DEFAULT_QUALITY,
    Flag,
    LimitOptions,
    ModelOptions,
    QualityOptions,
    load_restorer,
    restorer_arguments,
)
from multiaxis.cli.tables import prepare_tables
from multiaxis.errors import ConfigError

if TYPE_CHECKING:
    from multiaxis.score import Pair, Protocol, Score, ScoreRow, ScoreTable


def evaluate(
    *,
    task: str,
    input: Path,
    target: Path,
    protocol: Annotated[list[str] | None, Parameter(negative=())] = None,
    csv: Path = Path(),
    nearest: Path | None = None,
    overwrite: Flag = False,
    model: ModelOptions = DEFAULT_MODEL,
    quality: QualityOptions = DEFAULT_QUALITY,
    limits: LimitOptions = DEFAULT_LIMITS,
) -> int:
    """Restore a folder of pictures and score it against targets, or detect in it and score that.

    A pair that fails is reported at the end. The means leave it out. Pictures are compared in
    sRGB: those with another profile are converted, as restore does, and counted.

    Parameters
    ----------
    task
        denoise, deblur, derain, dehaze-indoor, dehaze-outdoor, enhance or retouch. Separate several
        with commas to run them in a row. Or detect, segment or rate, which need
        --weights. Or generate, which compares made pictures with real ones as sets.
    input
        The folder of degraded pictures. Its subfolders count.
    target
        The folder of true pictures. Each has the name of its input, or that name up to the first
        "_": 1400.png is the target of 1400_1.png. For detect: a file of COCO annotations, or a
        folder of VOC's .xml files. For segment: the folder of label pictures. For rate: a table of
        ratings or choices, or xmp or folders, as "multiaxis rate learn --ratings" takes them. For
        generate: a folder of real pictures; --weights names what looks at both: random (the
        default), pixels, inception, or the weights of a MaxViT that classifies.
    protocol
        How to score: authors, rgb, rgb-volume, y, y-unrounded, y-opencv or rgb-uniform; rgb by
        default. Published tables use rgb-volume for noise and blur, and y for rain. Repeat the
        option for several protocols; every picture is restored once. For rate: mean, ava or
        quality.
    csv
        The folder for the tables, one file TASK-PROTOCOL.csv for each protocol. It is created if it
        does not exist. By default the current folder.
    nearest
        For generate: draw the first 32 made pictures into this file, each above the real picture
        that is nearest to it in what --weights sees. With the pictures of the training as --target,
        it shows whether they were learnt by heart.
    overwrite
        Replace tables that exist. By default, an existing table is an error.
    """
    if nearest is not None and task != "generate":
        raise ConfigError("--nearest is for --task generate: leave it out")
    if task in ("detect", "segment", "generate", "rate"):
        _refuse_words_of_restoring(task, None if task == "rate" else protocol, quality, limits)
        return _evaluate_other(
            task, model, (input, target), protocol or ["mean"], (csv, nearest), overwrite=overwrite
        )
    if quality.model == "auto":
        raise ConfigError("--model auto is for restore: accepted here are full, fast and nano")
    arguments = restorer_arguments(task, model, limits, quality)
    return _evaluate(arguments, (input, target), protocol or ["rgb"], csv, overwrite=overwrite)


def _evaluate_other(
    task: str,
    model: ModelOptions,
    places: tuple[Path, Path],
    protocol: list[str],
    outputs: tuple[Path, Path | None],
    *,
    overwrite: bool,
) -> int:
    """Score what does not restore; outputs are a folder for tables, and a picture."""
    csv, nearest = outputs
    if task == "detect":
        from multiaxis.cli.evaluate_detections import evaluate_detections

        return evaluate_detections(model, *places, csv / "detect.csv", overwrite=overwrite)
    if task == "segment":
        from multiaxis.cli.evaluate_segments import evaluate_segments

        return evaluate_segments(model, *places, csv / "segment.csv", overwrite=overwrite)
    if task == "generate":
        from multiaxis.cli.evaluate_made import evaluate_made

        return evaluate_made(model, places, csv / "generate.csv", nearest, overwrite=overwrite)
    from multiaxis.cli.evaluate_ratings import evaluate_ratings

    return evaluate_ratings(model, *places, protocol, csv, overwrite=overwrite)


def _refuse_words_of_restoring(
    task: str, protocol: list[str] | None, quality: QualityOptions, limits: LimitOptions
) -> None:
    if protocol or (quality, limits) != (DEFAULT_QUALITY, DEFAULT_LIMITS):
        raise ConfigError(
            f"{task} is scored in one way: leave out --protocol, --model, --ensemble, --strength, "
            "--memory, --spill and --tile"
        )


def _evaluate(
    arguments: dict[str, Any],
    folders: tuple[Path, Path],
    protocols: list[str],
    csv: Path,
    *,
    overwrite: bool,
) -> int:
    task: str = arguments["task"]
    from multiaxis.score import get_protocol, pair_folders
    from multiaxis.tasks.restore.selection import split_tasks

    split_tasks(task)
    rules = [get_protocol(name) for name in protocols]
    tables = [csv / f"{task}-{rule.name}.csv" for rule in rules]
    pair_folders(*folders)
    prepare_tables(csv, tables, overwrite=overwrite)
    restorer = load_restorer(arguments)
    for rule in rules:
        console.say(f"protocol {rule.name}: {rule.summary}. Source: {rule.source}")

    def print_row(pair: Pair, rows: list[ScoreRow]) -> None:
        console.say(f"{pair.name:<24} {_columns(rules, [row.score for row in rows])}")

    from multiaxis.tasks.restore.evaluate import evaluate as run

    names = [rule.name for rule in rules]
    with console.progress("pictures") as show:
        results = run(restorer, *folders, protocols=names, on_pair=print_row, on_progress=show)
    return _conclude(rules, results, tables)


def _conclude(rules: list[Protocol], results: list[ScoreTable], tables: list[Path]) -> int:
    """Print what was found, and write the tables."""
    for text, files in _grouped(results[0].remarks).items():
        console.say(f"{text}: {len(files)} files, such as {files[0]}")
    mean, failed = f"mean of {len(results[0].rows)}", results[0].failed
    console.say(f"{mean:<24} {_columns(rules, [table.means for table in results])}")
    for path, table in zip(tables, results, strict=True):
        table.write_csv(path)
        console.say(f"wrote {path}")
    for name, reason in failed:
        console.complain(f"no score for {name}: {reason}")
    return 1 if failed else 0


def _grouped(remarks: tuple[tuple[str, str], ...]) -> dict[str, list[str]]:
    """Put the files of each remark together; a target of many inputs counts once."""
    grouped: dict[str, list[str]] = {}
    for name, text in dict.fromkeys(remarks):
        grouped.setdefault(text, []).append(name)
    return grouped


def _columns(rules: list[Protocol], scores: list[Score]) -> str:
    return "   ".join(
        f"{rule.name}: {score.psnr:7.3f} dB {score.ssim:.4f}"
        for rule, score in zip(rules, scores, strict=True)
    )
