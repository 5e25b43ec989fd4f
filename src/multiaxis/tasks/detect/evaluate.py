"""Detect in annotated pictures and score that, as pycocotools does."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from multiaxis.data.pictures import read_levels
from multiaxis.errors import ConfigError, ImageError, explain
from multiaxis.files.publish import publish
from multiaxis.progress import OnProgress, Progress
from multiaxis.tasks.detect.annotations import read_annotations, with_pictures
from multiaxis.tasks.detect.detector import Detector
from multiaxis.tasks.detect.precision import FIGURES, Precision, score
from multiaxis.tasks.detect.truth import Truth

_Tell = tuple[OnProgress | None, Callable[[str, int], None] | None]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """How good a detector is on a set.

    Attributes
    ----------
    boxes : Precision
    masks : Precision or None
        Where the detector finds masks, and the set has them.
    pictures : int
        How many were scored.
    results : tuple of dict
        What was found, as COCO's results.
    failed : tuple of (str, str)
        Pictures that were not scored, and why.
    remarks : tuple of str
        What of the annotations was changed or left out.
    """

    boxes: Precision
    masks: Precision | None
    pictures: int
    results: tuple[dict[str, Any], ...]
    failed: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()

    def write_csv(self, path: Path) -> None:
        """Write a table of all figures, from 0 to 1; an empty cell is a figure of nothing.

        Raises
        ------
        OSError
            Whatever the system answers.
        """
        stream = io.StringIO()
        writer = csv.writer(stream)
        writer.writerow(["figure", "boxes", *(["masks"] if self.masks else [])])
        scored = [one for one in (self.boxes, self.masks) if one is not None]
        for name in FIGURES:
            writer.writerow([name, *(_cell(one.figures[name]) for one in scored)])
        for name in self.boxes.by_class:
            for place, figure in enumerate(("AP", "AP50")):
                row = [_cell(one.by_class[name][place]) for one in scored]
                writer.writerow([f"{figure} of {name}", *row])
        publish(path, stream.getvalue().encode(), overwrite=True)


def _cell(value: float) -> str:
    return "" if value != value else f"{value:.4f}"  # noqa: PLR0124 (NaN is not itself)


def evaluate(
    detector: Detector,
    pictures: str | Path,
    annotations: str | Path,
    *,
    drawn: str = "upright",
    strict: bool = True,
    on_progress: OnProgress | None = None,
    on_picture: Callable[[str, int], None] | None = None,
) -> Evaluation:
    """Detect in every annotated picture of a folder, and score what was found.

    Parameters
    ----------
    detector : Detector
        Its threshold does not count: average precision needs what scores little, too.
    pictures : str or Path
        The folder.
    annotations : str or Path
        As in `read_annotations`.
    drawn, strict
        As in `AnnotatedFolder`.
    on_progress : callable, optional
        Receives `Progress` in pictures.
    on_picture : callable, optional
        Receives the name of each picture and the number of things found in it.

    Returns
    -------
    Evaluation

    Raises
    ------
    ConfigError
        If the annotations have classes that the detector does not know.
    DataError
        If they have faults.
    ImageError
        If no picture can be read.
    """
    truth = read_annotations(annotations, strict=strict)
    _check_classes(truth, detector)
    truth = with_pictures(truth, pictures, drawn=drawn, strict=strict)
    tell: _Tell = (on_progress, on_picture)
    return _score(detector, truth, Path(pictures).expanduser(), tell)


def _check_classes(truth: Truth, detector: Detector) -> None:
    other = [name for name in truth.names if name not in detector.labels]
    if other:
        raise ConfigError(
            f"{truth.source} has classes that the detector does not know, such as "
            f"{', '.join(other[:3])}: it knows {', '.join(detector.labels)}"
        )


def _score(detector: Detector, truth: Truth, folder: Path, tell: _Tell) -> Evaluation:
    on_progress, on_picture = tell
    ids = {category.name: category.id for category in truth.classes}
    absent = min(ids.values()) - 1
    places = [ids.get(name, absent) for name in detector.labels]
    results: list[dict[str, Any]] = []
    failed: list[tuple[str, str]] = []
    for done, about in enumerate(truth.pictures):
        if on_progress:
            on_progress(Progress(about.name, done, len(truth.pictures), "pictures"))
        try:
            pixels = read_levels(folder / about.name)
            found = detector.find(pixels, threshold=0.0)
        except Exception as error:  # noqa: BLE001 (whatever it is, the others are scored)
            _log.debug("%s failed", about.name, exc_info=True)
            failed.append((about.name, explain(error)))
            continue
        results += found.as_results(about.id, places)
        if on_picture:
            on_picture(about.name, len(found.boxes))
    unread = {name for name, _ in failed}
    scored = replace(truth, pictures=tuple(p for p in truth.pictures if p.name not in unread))
    if not scored.pictures:
        raise ImageError(f"no picture can be scored; the first: {failed[0][1]}")
    known = tuple(row for row in results if row["category_id"] != absent)
    has_masks = detector.finds_masks and scored.without_mask() is None
    return Evaluation(
        boxes=score(scored, known),
        masks=score(scored, known, "segm") if has_masks else None,
        pictures=len(scored.pictures),
        results=known,
        failed=tuple(failed),
        remarks=truth.remarks,
    )
