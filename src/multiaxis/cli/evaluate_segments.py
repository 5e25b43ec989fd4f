"""``multiaxis evaluate --task segment``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from multiaxis.cli import console
from multiaxis.cli.codes import OK, SOME_FAILED
from multiaxis.cli.options import ModelOptions
from multiaxis.cli.tables import prepare_tables
from multiaxis.errors import ConfigError

if TYPE_CHECKING:
    from multiaxis.score.confusion import Overlap


def evaluate_segments(
    model: ModelOptions, pictures: Path, labels: Path, table: Path, *, overwrite: bool
) -> int:
    """Segment pictures, print what each and each class scores, and write the classes' table."""
    if model.weights is None:
        raise ConfigError(
            "segment needs --weights: the weights.safetensors that multiaxis train writes with a "
            "recipe such as segment-folder"
        )
    prepare_tables(table.parent, [table], overwrite=overwrite)

    from multiaxis.tasks.segment.evaluate import evaluate
    from multiaxis.tasks.segment.segmenter import Segmenter

    segmenter = Segmenter(model.weights, device=model.device, dtype=model.dtype)

    def show_row(name: str, found: Overlap) -> None:
        console.say(_row(name, found))

    with console.progress("pictures") as show:
        scored = evaluate(segmenter, pictures, labels, on_picture=show_row, on_progress=show)
    for text in scored.left_out:
        console.note(f"left out: {text}")
    for name, iou in zip(scored.classes.names, scored.overlap.each, strict=True):
        console.say(f"  {name:<24} {'-' if math.isnan(iou) else f'{100 * iou:.2f}':>6} %")
    console.say(_row(f"one matrix of {len(scored.pictures)}", scored.overlap))
    scored.write_csv(table)
    console.say(f"wrote {table}")
    for name, reason in scored.failed:
        console.complain(f"no score for {name}: {reason}")
    return SOME_FAILED if scored.failed else OK


def _row(name: str, found: Overlap) -> str:
    return f"{name:<26} mIoU {100 * found.miou:6.2f} %   pixels {100 * found.accuracy:6.2f} %"
