"""``multiaxis rate learn``."""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from multiaxis.cli import console
from multiaxis.cli.codes import OK
from multiaxis.cli.options import Flag
from multiaxis.errors import ConfigError

if TYPE_CHECKING:
    from multiaxis.tasks.rate.learn import Report


@Parameter(name="*")
@dataclass(frozen=True)
class LearnOptions:
    """What is learnt with.

    Attributes
    ----------
    backbone
        What describes photographs: a published checkpoint of a MaxViT, or a file. auto: MaxViT-tiny
        with ImageNet weights, or else a small one that comes with multiaxis.
    scale
        The values that ratings may have, such as 1,2,3,4,5. By default those that they seem to
        have.
    seed
        Of which photographs are held out together.
    device
        Where to compute: cpu, cuda, cuda:N, mps, or auto (a GPU if there is one).
    """

    backbone: str = "auto"
    scale: str | None = None
    seed: int = 0
    device: str = "auto"


DEFAULT_OPTIONS = LearnOptions()


def learn(
    photos: Path,
    /,
    *,
    ratings: str = "xmp",
    output: Annotated[Path, Parameter(alias="-o")] = Path("rater.safetensors"),
    options: LearnOptions = DEFAULT_OPTIONS,
    dry_run: Flag = False,
    overwrite: Flag = False,
    as_json: Annotated[Flag, Parameter(name="--json")] = False,
    quiet: Annotated[Flag, Parameter(alias="-q")] = False,
) -> int:
    """Learn a rater from photographs that people have rated, and say how well it predicts.

    Photographs are described once by a network that stays as it is, and the descriptions are kept,
    so that learning again takes seconds. Five times, a fifth of the photographs is held out; the
    printed figures are of these. Photographs of a burst are held out together.

    Parameters
    ----------
    photos
        A folder of photographs. Its subfolders count.
    ratings
        Where the ratings are. xmp: stars that editors and cameras wrote into the photographs or
        their sidecars. folders: the names of the folders that the photographs lie in, 1 to 5. Or a
        table, or several with commas between: scores, votes, choices between two photographs, or
        choices between two versions of an original (docs/rate.md).
    output
        The file for the rater.
    dry_run
        Read the ratings, say what can be used, and learn nothing.
    overwrite
        Replace a rater that exists.
    as_json
        Print the report as JSON.
    quiet
        Print results and errors only.
    """
    values = None if options.scale is None else _values(options.scale)
    if output.suffix != ".safetensors":
        raise ConfigError(f"--output is {output}: accepted are names that end in .safetensors")
    if dry_run:
        return _rehearse(photos, ratings, values)
    if output.exists() and not overwrite:
        raise ConfigError(f"{output} exists: pass --overwrite, or another --output")

    from multiaxis.tasks.rate.rater import Rater

    start = time.monotonic()
    how: dict[str, Any] = {**asdict(options), "scale": values}
    with console.progress("pictures", quiet=quiet) as show:
        rater = Rater.learn(photos, ratings, **how, on_progress=show)
    rater.save(output)
    _tell(rater.report, as_json=as_json, quiet=quiet)
    seconds = console.duration(time.monotonic() - start)
    console.note(f"wrote {output}, in {seconds}", quiet=quiet)
    return OK


def _tell(report: Report | None, *, as_json: bool, quiet: bool) -> None:
    assert report is not None  # noqa: S101 (it was learnt)
    for text in report.left_out:
        console.note(f"note: {text}", quiet=quiet)
    if as_json:
        console.say(json.dumps(asdict(report)))
    else:
        console.say(*report.sentences)
    console.note(f"described by {report.backbone}", quiet=quiet)


def _rehearse(photos: Path, ratings: str, values: tuple[float, ...] | None) -> int:
    from multiaxis.tasks.rate.ratings import Choices, check_said, find_photos, read_ratings
    from multiaxis.tasks.rate.scale import Scale

    said = read_ratings(find_photos(photos), ratings, None if values is None else Scale(values))
    for text in said.left_out:
        console.note(f"note: {text}")
    check_said(said)
    if isinstance(said, Choices):
        console.say(f"{len(said.rows)} choices between {len(said.items)} pictures can be used")
        return OK
    console.say(f"{len(said.shares)} rated photographs can be used")
    means = [said.scale.mean(shares) for shares in said.shares.values()]
    ends = [*said.scale.values, float("inf")]
    for low, high in itertools.pairwise(ends):
        count = sum(low <= mean < high for mean in means)
        console.say(f"  {low:>6g} and more: {count}")
    return OK


def _values(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(
            f"--scale is {text!r}: accepted are numbers with commas between, such as 1,2,3,4,5"
        ) from error
