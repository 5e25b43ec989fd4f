"""``multiaxis evaluate --task detect``."""

from __future__ import annotations

import math
from pathlib import Path

from multiaxis.cli import console
from multiaxis.cli.codes import OK, SOME_FAILED
from multiaxis.cli.options import ModelOptions
from multiaxis.cli.tables import prepare_tables
from multiaxis.errors import ConfigError


def evaluate_detections(
    model: ModelOptions, pictures: Path, annotations: Path, table: Path, *, overwrite: bool
) -> int:
    """Detect in annotated pictures, print pycocotools' figures, and write them as a table."""
    if model.weights is None:
        raise ConfigError(
            "detect needs --weights: a file that multiaxis train wrote with a recipe of detection"
        )
    prepare_tables(table.parent, [table], overwrite=overwrite)

    from multiaxis.tasks.detect.detector import Detector
    from multiaxis.tasks.detect.evaluate import evaluate

    detector = Detector(model.weights, device=model.device, dtype=model.dtype)
    with console.progress("pictures") as show:
        found = evaluate(detector, pictures, annotations, on_progress=show)
    for remark in found.remarks:
        console.note(f"note: {remark}")
    scored = [("boxes", found.boxes)] + ([("masks", found.masks)] if found.masks else [])
    console.say(f"{found.pictures} pictures{'':<10}" + "".join(f"{name:>8}" for name, _ in scored))
    for name in found.boxes.figures:
        console.say(_row(name, [made.figures[name] for _, made in scored]))
    for name in found.boxes.by_class:
        for place, figure in enumerate(("AP", "AP50")):
            row = [made.by_class[name][place] for _, made in scored]
            console.say(_row(f"{figure} of {name}", row))
    found.write_csv(table)
    console.say(f"wrote {table}")
    for name, reason in found.failed:
        console.complain(f"no score for {name}: {reason}")
    return SOME_FAILED if found.failed else OK


def _row(name: str, values: list[float]) -> str:
    cells = "".join(f"{'-':>8}" if math.isnan(v) else f"{v:8.3f}" for v in values)
    return f"{name:<20}{cells}"
