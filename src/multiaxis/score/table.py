"""Two folders of pictures, paired; and the table of their scores."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from multiaxis.errors import ConfigError, ImageError
from multiaxis.files.publish import publish
from multiaxis.images import walk_pictures
from multiaxis.images.formats import READABLE_NAMES
from multiaxis.score.protocol import Score

_NAMED = 5  # how many files without a partner a message names


@dataclass(frozen=True)
class Pair:
    """One degraded picture and its target; `name` is the input's stem, after its folders."""

    name: str
    input: Path
    target: Path


def _pictures(role: str, folder: Path, but: Path) -> dict[str, Path]:
    """Map the name of each picture, its way from the folder without suffix, to its file."""
    if not folder.is_dir():
        raise ImageError(f"no folder of {role} at {folder}: name an existing folder of pictures")
    pictures: dict[str, Path] = {}
    for path in walk_pictures(folder, but=but).pictures:
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in pictures:
            raise ImageError(
                f"two {role} have the stem {name!r}: {pictures[name].name} and"
                f" {path.name} in {path.parent}; each stem may occur once: remove or rename one"
            )
        pictures[name] = path
    if not pictures:
        raise ImageError(
            f"no pictures in the folder of {role} {folder}; accepted are {READABLE_NAMES}"
        )
    return pictures


def pair_folders(inputs: Path, targets: Path) -> list[Pair]:
    """Pair the pictures of two folders, and of the folders inside them, by their names.

    Parameters
    ----------
    inputs : Path
        Folder of degraded (or restored) pictures; each must have a target.
    targets : Path
        Folder of targets; those without an input are left out.

    Returns
    -------
    list of Pair
        Sorted by name. An input belongs to the target of equal stem, else to the target whose
        stem is the input's up to its first underscore: ``1400_10.png`` belongs to ``1400.png``.
        Both lie in the same folder inside: ``a/1400_10.png`` belongs to ``a/1400.png``.

    Raises
    ------
    ImageError
        If a folder is missing or has no pictures, if a folder has two pictures of one stem, or
        if an input has no target.

    Notes
    -----
    Source of the underscore rule: RESIDE's SOTS, several hazy pictures of one scene.
    """
    candidates = _pictures("targets", targets, inputs)
    pairs: list[Pair] = []
    alone: list[str] = []
    for name, path in sorted(_pictures("inputs", inputs, targets).items()):
        folder, slash, stem = name.rpartition("/")
        scene = f"{folder}{slash}{stem.split('_', 1)[0]}"
        target = candidates.get(name) or candidates.get(scene)
        if target is None:
            alone.append(path.relative_to(inputs).as_posix())
        else:
            pairs.append(Pair(name, path, target))
    if alone:
        more = f" and {len(alone) - _NAMED} more" if len(alone) > _NAMED else ""
        raise ImageError(
            f"{len(alone)} inputs have no target in {targets}: {', '.join(alone[:_NAMED])}{more};"
            " a target has the input's stem, or that stem up to its first underscore: rename or"
            " remove them"
        )
    return pairs


@dataclass(frozen=True)
class ScoreRow:
    """The score of one picture."""

    name: str
    score: Score


@dataclass(frozen=True)
class ScoreTable:
    """Scores of many pictures under one protocol.

    Attributes
    ----------
    protocol : str
        Name of the protocol: a score without it means nothing.
    rows : tuple of ScoreRow
        One for each picture, in order.
    failed : tuple of (str, str)
        Name of each pair that could not be scored, and why; the means are without them.
    remarks : tuple of (str, str)
        Files whose samples are not compared as they are stored, and what is compared instead.
    """

    protocol: str
    rows: tuple[ScoreRow, ...]
    failed: tuple[tuple[str, str], ...] = ()
    remarks: tuple[tuple[str, str], ...] = ()

    @property
    def means(self) -> Score:
        """Mean of the rows' PSNR in dB (infinite if one is) and SSIM; NaN without rows."""
        scores = [row.score for row in self.rows]
        return Score(_mean([s.psnr for s in scores]), _mean([s.ssim for s in scores]))

    def write_csv(self, path: Path) -> None:
        """Write the rows, the failed pairs without scores, and the rows' means; all or nothing.

        Parameters
        ----------
        path : Path
            An existing file there is replaced only once the new one is complete. Columns:
            name, protocol, psnr (dB, ``inf`` for equal pictures), ssim; the last row is ``mean``.

        Raises
        ------
        ConfigError
            If the folder does not exist, or does not take the file.
        """
        if not path.parent.is_dir():
            raise ConfigError(
                f"cannot write scores to {path}: there is no folder {path.parent}; create it"
            )
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("name", "protocol", "psnr", "ssim"))
        for row in self.rows:
            writer.writerow((row.name, self.protocol, row.score.psnr, row.score.ssim))
        writer.writerows((name, self.protocol, "", "") for name, _ in self.failed)
        writer.writerow(("mean", self.protocol, self.means.psnr, self.means.ssim))
        try:
            publish(path, stream.getvalue().encode(errors="surrogateescape"), overwrite=True)
        except OSError as error:
            raise ConfigError(
                f"cannot write scores to {path}: {error.strerror or error}; name another folder"
            ) from error


def _mean(values: list[float]) -> float:
    # plain sum: fsum and fmean raise, and numpy warns, on some mixtures with infinities
    return sum(values) / len(values) if values else float("nan")
