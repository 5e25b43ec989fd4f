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
from torch import Tensor

from multiaxis.data.pictures import find_pictures, read_levels
from multiaxis.errors import ConfigError, DataError, ImageError
from multiaxis.files.publish import publish
from multiaxis.images import probe_picture
from multiaxis.progress import OnProgress, Progress
from multiaxis.score.sets import frechet_distance, inception_score, kernel_distance
from multiaxis.tasks.generate.extractors import Extractor, Seen, find_extractor
from multiaxis.tasks.generate.neighbours import Neighbours, Set, find_neighbours
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
    neighbours : Neighbours
        Whether the made ones repeat each other, or real ones.
    size : int
        Side at which pictures were compared, pixels.
    failed : tuple of (str, str)
        Pictures that could not be read, and why; they are not counted.
    """

    made: int
    real: int
    frechet: float
    kernel: float
    inception: float | None
    neighbours: Neighbours
    size: int
    failed: tuple[tuple[str, str], ...]

    def scores(self) -> dict[str, float]:
        """Give the scores by name, as far as there are any."""
        found = {"frechet": self.frechet, "kernel": self.kernel, "inception": self.inception}
        return {name: value for name, value in found.items() if value is not None}

    def write_csv(self, path: Path) -> None:
        """Write a table of one row; counts are those of `Neighbours`.

        Raises
        ------
        ConfigError
            If it cannot be written.
        """
        stream, near = io.StringIO(), self.neighbours
        row = {"made": str(self.made), "real": str(self.real)}
        row |= {name: f"{value:.6g}" for name, value in self.scores().items()}
        for name in ("compared", "distinct", "distinct_real", "copies"):
            row[name] = str(getattr(near, name))
        csv.writer(stream).writerows([list(row), list(row.values())])
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

    def see_twice(pictures: Tensor) -> Seen:
        """See pictures and their mirror images, which trainings show, too."""
        both = [see(x).features for x in (pictures, pictures.flip(-1))]
        return Seen(torch.cat(both, dim=1))

    ours, logits = _look(folders[0], size, see, failed, show)
    twice, _ = _look(folders[1], size, see_twice, failed, show)
    features, mirrored = np.split(twice.features, 2, axis=1)
    theirs = Set(twice.paths, features)
    score = None
    if logits is not None:
        score, _ = inception_score(logits, min(_SPLITS, len(logits)))
    return Scored(
        made=len(ours.paths),
        real=len(theirs.paths),
        frechet=frechet_distance(theirs.features, ours.features),
        kernel=kernel_distance(theirs.features, ours.features),
        inception=score,
        neighbours=find_neighbours(ours, theirs, mirrored),
        size=size,
        failed=tuple(failed),
    )


def _look(
    paths: list[Path],
    size: int,
    see: Extractor,
    failed: list[tuple[str, str]],
    show: Callable[[Path, int, int], None],
) -> tuple[Set, NDArray[np.float32] | None]:
    """Give what is seen in all pictures of a folder, and logits if there are any."""
    kept, found = list[Path](), list[Seen]()
    for names, batch in _batches(paths, size, failed, show):
        kept += names
        found.append(see(batch))
    if len(kept) < 2:
        raise DataError(
            f"{paths[0].parent} has less than 2 pictures that can be read: a set needs more"
        )
    told = [seen.logits for seen in found if seen.logits is not None]
    features = _array([seen.features for seen in found])
    return Set(kept, features), _array(told) if told else None


def _array(parts: list[Tensor]) -> NDArray[np.float32]:
    return torch.cat([part.float().cpu() for part in parts]).numpy()


def _batches(
    paths: list[Path],
    size: int,
    failed: list[tuple[str, str]],
    show: Callable[[Path, int, int], None],
) -> Iterator[tuple[list[Path], Tensor]]:
    names, waiting = list[Path](), list[NDArray[np.uint8]]()
    for k, path in enumerate(paths, start=1):
        try:
            waiting.append(middle_square(read_levels(path), size))
            names.append(path)
        except ImageError as error:
            failed.append((str(path), str(error)))
        show(path, k, len(paths))
        if waiting and (len(waiting) == _TOGETHER or k == len(paths)):
            levels = torch.from_numpy(np.stack(waiting)).permute(0, 3, 1, 2)
            yield names, levels.float() / 127.5 - 1
            names, waiting = [], []
