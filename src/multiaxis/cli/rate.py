"""``multiaxis rate`` and what stands below it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from multiaxis.cli import console
from multiaxis.cli.batch import DEFAULT_BATCH, BatchOptions, run_batch
from multiaxis.cli.options import Flag
from multiaxis.errors import ConfigError

if TYPE_CHECKING:
    from multiaxis.batch import Batch, Result

app = App(name="rate", help_format="markdown")
app.command(
    "multiaxis.cli.rate_learn:learn",
    name="learn",
    help="Learn a rater from photographs that people have rated.",
)
app.command(
    "multiaxis.cli.rate_compare:compare",
    name="compare",
    help="Tell which of several versions of a picture is nearest to the original.",
)
app.command(
    "multiaxis.cli.rate_fit:fit",
    name="fit",
    help="Fit strengths to choices between pairs: Bradley-Terry or Thurstone.",
)


@Parameter(name="*")
@dataclass(frozen=True)
class ChoiceOptions:
    """What is chosen, and what is written.

    Attributes
    ----------
    best
        Print this many of the best photographs at the end, the best first.
    bursts
        Of photographs that were taken within three seconds of each other and look alike, keep the
        best alone, and name the others below it.
    write_xmp
        Write the rating as 1 to 5 stars into a sidecar, NAME.xmp beside each photograph, or in the
        folder of --output. The photograph itself is never changed. The rest of a sidecar that is
        there is kept, and it is changed with --overwrite only.
    overwrite
        Change sidecars that exist. By default they are reported and left alone.
    device
        Where to compute: cpu, cuda, cuda:N, mps, or auto (a GPU if there is one).
    dtype
        Precision: float32, bfloat16, float16 or auto.
    """

    best: int | None = None
    bursts: Flag = False
    write_xmp: Annotated[Flag, Parameter(name="--write-xmp")] = False
    overwrite: Flag = False
    device: str = "auto"
    dtype: str = "float32"


DEFAULT_CHOICE = ChoiceOptions()


@app.default
def rate(
    inputs: list[str],
    /,
    *,
    weights: Annotated[str, Parameter(alias="-w")],
    output: Annotated[str | None, Parameter(alias="-o")] = None,
    choice: ChoiceOptions = DEFAULT_CHOICE,
    as_json: Annotated[Flag, Parameter(name="--json")] = False,
    files: BatchOptions = DEFAULT_BATCH,
    max_megapixels: float = 400.0,
    quiet: Annotated[Flag, Parameter(alias="-q")] = False,
) -> int:
    """Rate photographs with a rater that you have learnt from your own ratings.

    A folder named learn, compare or fit is given as ./learn. Originals are never changed.

    Parameters
    ----------
    inputs
        Pictures, folders (the pictures directly in them), or patterns such as "*.png". Addresses
        work, too: s3://bucket/in, https://...
    weights
        The rater: a file that "multiaxis rate learn" or "multiaxis train" wrote.
    output
        The folder for sidecars of --write-xmp. By default they lie beside the photographs.
    as_json
        Print one line of JSON for each picture.
    max_megapixels
        Refuse pictures with more megapixels before they are decoded.
    quiet
        Print results and errors only.
    """
    from multiaxis.tasks.rate.verb import Rate

    if output is not None and not choice.write_xmp:
        raise ConfigError("--output is for sidecars: add --write-xmp, or leave it out")
    if choice.best is not None and choice.best < 1:
        raise ConfigError(f"--best is {choice.best}: accepted is 1 or more")
    arguments: dict[str, Any] = {
        "weights": weights,
        "device": choice.device,
        "dtype": choice.dtype,
    }

    def conclude(batch: Batch) -> Iterator[str]:
        if choice.best is not None or choice.bursts:
            console.say(*_chosen(batch, choice.best, bursts=choice.bursts, as_json=as_json))
        yield from ()

    return run_batch(
        Rate(arguments, choice.write_xmp, max_megapixels),
        files.request(inputs, output, overwrite=choice.overwrite),
        dry_run=files.dry_run,
        quiet=quiet,
        lines=_line if as_json else _row,
        at_end=conclude,
    )


def _line(result: Result) -> list[str]:
    record = {k: v for k, v in result.record.items() if k != "likeness"}
    return [json.dumps({"input": str(result.job.input), **record})]


def _row(result: Result) -> list[str]:
    return [f"{_score(result.record)}  {result.job.input}"]


def _score(record: Any) -> str:
    spread = record.get("spread")
    return f"{record['score']:7.3f}" + ("" if spread is None else f"  +- {spread:.2f}")


def _chosen(batch: Batch, best: int | None, *, bursts: bool, as_json: bool) -> Iterator[str]:
    """List the best photographs, each with those of its burst that it is better than."""
    from multiaxis.tasks.rate.verb import bursts_of

    rated: list[tuple[str, Any]] = [
        (str(one.input), one.record) for one in batch.plan.finished if "score" in one.record
    ]
    rated += [(str(r.job.input), r.record) for r in batch.results if "score" in r.record]
    rated = sorted(rated, key=lambda pair: -pair[1]["score"])
    numbers = bursts_of([record for _, record in rated]) if bursts else list(range(len(rated)))
    groups: dict[int, list[tuple[str, Any]]] = {}
    for number, pair in zip(numbers, rated, strict=True):
        groups.setdefault(number, []).append(pair)
    kept = list(groups.values())[:best]
    for place, ((name, record), *others) in enumerate(kept, 1):
        if as_json:
            burst = [other for other, _ in others]
            yield json.dumps(
                {"rank": place, "input": name, "score": record["score"], "burst": burst}
            )
            continue
        yield f"{place:>4}. {_score(record)}  {name}"
        yield from (f"        {_score(other)}  {path}  (same burst)" for path, other in others)
