"""Average precision, as pycocotools computes it: its twelve figures."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from multiaxis.tasks.detect.extras import need
from multiaxis.tasks.detect.truth import Truth

FIGURES = (
    "AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large",
    "AR1", "AR10", "AR100", "AR_small", "AR_medium", "AR_large",
)  # fmt: skip
"""Names of pycocotools' figures, in its order.

AP is the mean over ten IoUs from 0.50 to 0.95 and over classes, AR the recall with so many
detections a picture; small things have less than 32 x 32 pixels, large ones more than 96 x 96.
"""
Kind = Literal["bbox", "segm"]


@dataclass(frozen=True)
class Precision:
    """How well a set was found.

    Attributes
    ----------
    kind : str
        ``"bbox"``, or ``"segm"`` where masks were compared.
    figures : dict of str to float
        By the names of `FIGURES`, from 0 to 1; NaN where the set holds nothing of that kind
        (pycocotools writes -1).
    by_class : dict of str to (float, float)
        AP and AP50 of each class.
    """

    kind: Kind
    figures: dict[str, float]
    by_class: dict[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])


def score(truth: Truth, results: Sequence[Mapping[str, Any]], kind: Kind = "bbox") -> Precision:
    """Compare what was found with the truth.

    Parameters
    ----------
    truth : Truth
        All of its pictures count, also those in which nothing was found.
    results : sequence of mapping
        As COCO's results: ``image_id``, ``category_id``, ``score``, ``bbox`` of left, top, width
        and height, and for ``"segm"`` a ``segmentation`` of run lengths.
    kind : str
        What is compared: boxes or masks.

    Returns
    -------
    Precision

    Raises
    ------
    MissingExtraError
        If pycocotools is not installed.
    """
    api, evaluation = need("pycocotools.coco"), need("pycocotools.cocoeval")
    with contextlib.redirect_stdout(io.StringIO()):  # it prints as it goes
        wanted = api.COCO()
        wanted.dataset = truth.as_coco()
        wanted.createIndex()
        found = _results(wanted, results)
        run = evaluation.COCOeval(wanted, found, kind)
        run.evaluate()
        run.accumulate()
        run.summarize()
    figures = {name: _known(value) for name, value in zip(FIGURES, run.stats.tolist(), strict=True)}
    # precision: IoU, recall, class, area, most detections
    precisions = run.eval["precision"][:, :, :, 0, -1]
    place = {number: k for k, number in enumerate(run.params.catIds)}
    by_class = {
        c.name: (_mean(precisions[:, :, place[c.id]]), _mean(precisions[0, :, place[c.id]]))
        for c in truth.classes
    }
    return Precision(kind, figures, by_class)


def _results(wanted: Any, results: Sequence[Mapping[str, Any]]) -> Any:
    """Load results; pycocotools cannot load none at all."""
    if results:
        return wanted.loadRes([dict(one) for one in results])
    found = type(wanted)()
    found.dataset = {**wanted.dataset, "annotations": []}
    found.createIndex()
    return found


def _known(value: float) -> float:
    return float("nan") if value < 0 else value


def _mean(precisions: np.ndarray[Any, Any]) -> float:
    known = precisions[precisions > -1]
    return float(known.mean()) if known.size else float("nan")
