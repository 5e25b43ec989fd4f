"""Segment a folder of pictures and score it against label pictures."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import ConfigError, DataError, ImageError, explain
from multiaxis.files.publish import publish
from multiaxis.progress import OnProgress, Progress
from multiaxis.score.confusion import Confusion, Overlap
from multiaxis.tasks.segment.classes import Classes
from multiaxis.tasks.segment.labels import read_labels
from multiaxis.tasks.segment.samples import pair_folders
from multiaxis.tasks.segment.segmenter import Segmenter

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """What a folder scored.

    Attributes
    ----------
    classes : Classes
    matrix : array of int64, shape (classes, classes)
        Pixels of the whole set: rows are the truth, columns what was found.
    overlap : Overlap
        Of that matrix.
    pictures : tuple of (str, Overlap)
        Each by itself; their mean is another number than `overlap`'s.
    failed : tuple of (str, str)
        Pictures without a score, and why.
    left_out : tuple of str
        What of the folders was not scored, in a sentence each.
    """

    classes: Classes
    matrix: NDArray[np.int64]
    overlap: Overlap
    pictures: tuple[tuple[str, Overlap], ...]
    failed: tuple[tuple[str, str], ...] = ()
    left_out: tuple[str, ...] = ()

    def write_csv(self, path: Path) -> None:
        """Write a table of the classes: intersection over union, and pixels.

        Raises
        ------
        ConfigError
            If it cannot be written.
        """
        stream = io.StringIO()
        writer = csv.writer(stream)
        writer.writerow(["class", "iou", "true_pixels", "found_pixels", "right_pixels"])
        rows = zip(self.classes.names, self.overlap.each, strict=True)
        for k, (name, iou) in enumerate(rows):
            counts = (self.matrix[k].sum(), self.matrix[:, k].sum(), self.matrix[k, k])
            writer.writerow([name, "" if np.isnan(iou) else f"{iou:.6f}", *map(int, counts)])
        total, right = int(self.matrix.sum()), int(np.trace(self.matrix))
        writer.writerow(["mean", f"{self.overlap.miou:.6f}", total, total, right])
        try:
            publish(path, stream.getvalue().encode(), overwrite=True)
        except OSError as error:
            raise ConfigError(f"cannot write the table {path}: {error.strerror}") from error


def evaluate(
    segmenter: Segmenter,
    pictures: str | Path,
    labels: str | Path,
    *,
    split: str = "",
    on_picture: Callable[[str, Overlap], None] | None = None,
    on_progress: OnProgress | None = None,
) -> Evaluation:
    """Segment every picture of a folder and compare it with its labels, in one confusion matrix.

    Parameters
    ----------
    segmenter : Segmenter
        Knows what the numbers in label files mean, from its training.
    pictures, labels : path
        Folders; files belong together by name.
    split : str
        A text file that names the pictures that count; by default all.
    on_picture : callable, optional
        Receives each picture's name and scores.
    on_progress : callable, optional
        Receives `Progress` in pictures.

    Returns
    -------
    Evaluation

    Raises
    ------
    DataError
        If a folder or a partner is missing, or no picture can be scored.
    """
    pairs, left_out = pair_folders(str(pictures), str(labels), split)
    total, classes = Confusion(len(segmenter.classes)), segmenter.classes
    scored: list[tuple[str, Overlap]] = []
    failed: list[tuple[str, str]] = []
    for done, (picture, path) in enumerate(pairs):
        if on_progress:
            on_progress(Progress(picture.name, done, len(pairs), "pictures"))
        try:
            counts = total.count(*_compare(segmenter, picture, path))
        except Exception as error:  # noqa: BLE001 (whatever it is, the other scores are not lost)
            _log.debug("%s failed", picture, exc_info=True)
            failed.append((picture.name, explain(error)))
            continue
        total.add(counts)
        alone = Confusion(len(classes))
        alone.add(counts)
        scored.append((picture.name, alone.scores()))
        if on_picture:
            on_picture(*scored[-1])
    if not scored:
        raise DataError(f"none of the {len(pairs)} pictures can be scored; first: {failed[0][1]}")
    found = total.scores()
    return Evaluation(classes, total.matrix, found, tuple(scored), tuple(failed), left_out)


def _compare(
    segmenter: Segmenter, picture: Path, path: Path
) -> tuple[NDArray[np.unsignedinteger], NDArray[np.int32]]:
    truth = read_labels(path, segmenter.classes, segmenter.numbers)
    found = segmenter.segment(picture).labels
    if found.shape != truth.shape:
        raise ImageError(
            f"{picture} has {found.shape[1]} x {found.shape[0]} pixels, upright, and its labels "
            f"{path} have {truth.shape[1]} x {truth.shape[0]}: give both one size"
        )
    return found, truth
