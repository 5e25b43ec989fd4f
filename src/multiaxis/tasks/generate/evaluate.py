"""Made pictures against real ones, as sets."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from multiaxis.data.pictures import find_pictures, read_levels
from multiaxis.errors import ConfigError, DataError, ImageError
from multiaxis.files.publish import publish
from multiaxis.images import probe_picture
from multiaxis.progress import OnProgress, Progress
from multiaxis.score.sets import frechet_distance, inception_score, kernel_distance
from multiaxis.tasks.generate.extractors import Extractor, Seen, find_extractor
from multiaxis.tasks.generate.samples import middle_square

_TOGETHER = 32
_SPLITS = 10


@dataclass(frozen=True)
class Scored:
    """How two sets of pictures compare.

    Attributes
    ----------
    made, real : int
        Pictures of each.
    frechet, kernel : float
        See `multiaxis.score.sets`; lower is better.
    inception : float or None
        Where the extractor classifies; higher is better.
    failed : tuple of (str, str)
        Pictures that could not be read, and why; they are not counted.
    """

    made: int
    real: int
    frechet: float
    kernel: float
    inception: float | None
    failed: tuple[tuple[str, str], ...]

    def scores(self) -> dict[str, float]:
        """Give the scores by name, as far as there are any."""
        found = {"frechet": self.frechet, "kernel": self.kernel, "inception": self.inception}
        return {name: value for name, value in found.items() if value is not None}

    def write_csv(self, path: Path) -> None:
        """Write a table of one row.

        Raises
        ------
        ConfigError
            If it cannot be written.
        """
        stream, scores = io.StringIO(), self.scores()
        values = [f"{value:.6g}" for value in scores.values()]
        csv.writer(stream).writerows(
            [["made", "real", *scores], [str(self.made), str(self.real), *values]]
        )
        try:
            publish(path, stream.getvalue().encode(), overwrite=True)
        except OSError as error:
            raise ConfigError(f"cannot write the table {path}: {error.strerror}") from error


def evaluate(
    made: str | Path,
    real: str | Path,
    *,
    extractor: str | Extractor = "random",
    on_progress: OnProgress | None = None,
) -> Scored:
    """Compare a folder of made pictures with one of real ones.

    Every picture is shown as its middle square, at the shorter side of the first made one.

    Parameters
    ----------
    made, real : str or Path
        Folders; the folders inside them count.
    extractor : str or Extractor
        A name, as in `objective.Adversarial`, or whatever turns pictures of (batch, 3, size, size)
        in [-1, 1] into a `Seen`.
    on_progress : callable, optional

    Raises
    ------
    DataError
        If a folder has less than two pictures that can be read.
    ConfigError, WeightsError, MissingExtraError
        If the extractor cannot be had.
    """
    see = find_extractor(extractor) if isinstance(extractor, str) else extractor
    folders = [find_pictures(folder).paths for folder in (made, real)]
    probe = probe_picture(folders[0][0])
    size, failed = min(probe.height, probe.width), list[tuple[str, str]]()

    def show(path: Path, done: int, count: int) -> None:
        if on_progress:
            on_progress(Progress(str(path.parent), done, count, "pictures"))

    ours, theirs = (_look(paths, size, see, failed, show) for paths in folders)
    score = None
    if ours.logits is not None:
        score, _ = inception_score(ours.logits.numpy(), min(_SPLITS, len(ours.logits)))
    features = theirs.features.numpy(), ours.features.numpy()
    return Scored(
        made=len(ours.features),
        real=len(theirs.features),
        frechet=frechet_distance(*features),
        kernel=kernel_distance(*features),
        inception=score,
        failed=tuple(failed),
    )


def _look(
    paths: list[Path],
    size: int,
    see: Extractor,
    failed: list[tuple[str, str]],
    show: Callable[[Path, int, int], None],
) -> Seen:
    """Give what is seen in all pictures of a folder, in the processor's memory."""
    found: list[Seen] = []
    for batch in _batches(paths, size, failed, show):
        seen = see(batch)
        logits = None if seen.logits is None else seen.logits.float().cpu()
        found.append(Seen(seen.features.float().cpu(), logits))
    if sum(len(seen.features) for seen in found) < 2:
        raise DataError(
            f"{paths[0].parent} has less than 2 pictures that can be read: a set needs more"
        )
    told = [seen.logits for seen in found if seen.logits is not None]
    return Seen(torch.cat([seen.features for seen in found]), torch.cat(told) if told else None)


def _batches(
    paths: list[Path],
    size: int,
    failed: list[tuple[str, str]],
    show: Callable[[Path, int, int], None],
) -> Iterator[torch.Tensor]:
    waiting: list[NDArray[np.uint8]] = []
    for k, path in enumerate(paths, start=1):
        try:
            waiting.append(middle_square(read_levels(path), size))
        except ImageError as error:
            failed.append((str(path), str(error)))
        show(path, k, len(paths))
        if waiting and (len(waiting) == _TOGETHER or k == len(paths)):
            levels = torch.from_numpy(np.stack(waiting)).permute(0, 3, 1, 2)
            yield levels.float() / 127.5 - 1
            waiting = []
