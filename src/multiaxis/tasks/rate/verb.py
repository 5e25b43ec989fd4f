"""How a photograph goes through a rater, for batches: ratings, ranks, bursts, sidecars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from multiaxis.batch import File, Header, ModelVerb, Outcome, Runner, Wording
from multiaxis.errors import ConfigError
from multiaxis.files.read import read_bytes
from multiaxis.images import DEFAULT_MEGAPIXELS, READABLE_SUFFIXES, decode_picture, probe_picture
from multiaxis.images.formats import READABLE_NAMES
from multiaxis.images.picture import Picture
from multiaxis.progress import OnFraction, OnProgress
from multiaxis.tasks.rate.bursts import find_bursts, from_hex, likeness, to_hex
from multiaxis.tasks.rate.stars import REJECTED, taken_at, with_stars

if TYPE_CHECKING:
    from multiaxis.tasks.rate.rater import Rater, Rating
    from multiaxis.tasks.rate.scale import Scale


@dataclass(frozen=True)
class Rate(ModelVerb["Rater"]):
    """Rating, as a verb of batches.

    Attributes
    ----------
    arguments, loaded
        Of `Rater`.
    write_xmp : bool
        Whether a sidecar with stars is written for each photograph.
    max_megapixels : float
        Larger pictures are refused.

    Raises
    ------
    ConfigError
        If there are no weights, or a value cannot work.
    """

    write_xmp: bool = False
    max_megapixels: float = DEFAULT_MEGAPIXELS

    wording = Wording("rate", "rating", "rated", "picture", READABLE_NAMES)
    suffixes = READABLE_SUFFIXES
    columns = ("width", "height", "score", "spread", "shares", "rank", "burst", "taken", "likeness")

    def __post_init__(self) -> None:
        if not self.max_megapixels > 0:
            raise ConfigError(
                f"--max-megapixels is {self.max_megapixels:g}: accepted is a positive number"
            )
        weights = self.arguments.get("weights")
        if weights is None or not Path(weights).is_file():
            raise ConfigError(
                f"--weights is {weights}, which is no file: learn a rater first (multiaxis rate "
                "learn PHOTOS) and name the file that it wrote"
            )

    def settings(self, name: str) -> Mapping[str, Any]:  # noqa: ARG002 (the same for all)
        """List what decides a result: where it is computed does not."""
        dtype = self.arguments.get("dtype")
        return {"weights": self.weights, "dtype": dtype, "write_xmp": self.write_xmp}

    def output_name(self, name: str) -> str | None:
        """Name the sidecar; without one, the record is the result."""
        return f"{PurePath(name).stem}.xmp" if self.write_xmp else None

    def check(self, file: File) -> Header:
        """Look at the header."""
        if file.output is not None and file.output.suffix.lower() != ".xmp":
            raise ConfigError(
                f"the output {file.output}: accepted is a folder, or a name that ends in .xmp"
            )
        found = probe_picture(file.path, file.name, max_megapixels=self.max_megapixels)
        return Header(
            amount=found.width * found.height / 1e6,
            facts={"width": found.width, "height": found.height},
            text=f"{found.width}x{found.height}",
        )

    def load(self, on_progress: OnProgress | None = None) -> RateRunner:  # noqa: ARG002 (a file)
        """Load the model."""
        from multiaxis.tasks.rate.rater import Rater

        rater = self.loaded or Rater(**self.arguments)
        if self.write_xmp:
            check_stars(rater)
        return RateRunner(self, rater)

    def complete(self, rows: Sequence[dict[str, Any]]) -> None:
        """Give each photograph its rank and its burst, once all are rated."""
        rated = [row for row in rows if row.get("score") is not None]
        for rank, row in enumerate(sorted(rated, key=lambda row: -row["score"]), 1):
            row["rank"] = rank
        for row, burst in zip(rated, bursts_of(rated), strict=True):
            row["burst"] = burst + 1


def bursts_of(records: Sequence[Mapping[str, Any]]) -> list[int]:
    """Give each rated photograph the number of its burst."""
    if not records:
        return []
    bits = np.stack([from_hex(record["likeness"]) for record in records])
    return find_bursts([record["taken"] for record in records], bits)


def check_stars(rater: Rater) -> None:
    """Refuse to write stars where ratings are on no scale.

    Raises
    ------
    ConfigError
    """
    if rater.model.config.head.kind != "votes":
        raise ConfigError(
            "--write-xmp writes stars, and this rater learnt from choices, which have no scale: "
            "leave it out, or learn from ratings"
        )


def stars_of(score: float, scale: Scale) -> int:
    """Turn a score into 1 to 5 stars, or -1 where a scale from 0 on rejects it."""
    low, high = scale.values[0], scale.values[-1]
    if (low, high) == (0, 5):
        return int(REJECTED) if score < 0.5 else round(min(max(score, 1), 5))
    return round(min(max(1 + 4 * (score - low) / (high - low), 1), 5))


@dataclass
class _Work:
    """A photograph in work."""

    picture: Picture
    sidecar: bytes | None
    record: dict[str, Any] | None = None
    stars: int = 0


class RateRunner(Runner[_Work]):
    """A loaded rater, for one photograph after the other."""

    def __init__(self, verb: Rate, rater: Rater) -> None:
        self.verb, self.rater = verb, rater

    def read(self, file: File) -> _Work:
        """Decode a photograph, and read the sidecar that is there."""
        sidecar = None
        if isinstance(file.output, Path) and file.output.is_file():
            sidecar = read_bytes(file.output)
        picture = decode_picture(file.read(), file.name, max_megapixels=self.verb.max_megapixels)
        return _Work(picture, sidecar)

    def run(self, item: _Work, on_progress: OnFraction | None = None) -> _Work:  # noqa: ARG002
        """Rate it."""
        from multiaxis.data.pictures import levels_of

        pixels = levels_of(item.picture)
        rating = self.rater.rate_pixels(pixels)
        item.record = _record(rating)
        item.record["taken"] = taken_at(item.picture.metadata)
        item.record["likeness"] = to_hex(likeness(pixels))
        item.stars = stars_of(rating.score, self.rater.scale) if self.verb.write_xmp else 0
        return item

    def encode(self, item: _Work) -> Outcome:
        """Give the rating, and the sidecar where one is asked for."""
        assert item.record is not None  # noqa: S101 (it was run)
        content = None
        if self.verb.write_xmp:
            content = with_stars(item.sidecar, item.stars)
            item.record["stars"] = item.stars
        return Outcome(content=content, record=item.record, remarks=item.picture.remarks)

    def describe(self) -> str:
        """Say on what, and how precisely."""
        dtype = str(self.rater.dtype).removeprefix("torch.")
        return f"{self.rater.device.type} in {dtype}"


def _record(rating: Rating) -> dict[str, Any]:
    if not rating.shares:
        return {"score": rating.score, "spread": None, "shares": None}
    shares = [round(share, 6) for share in rating.shares]
    return {"score": rating.score, "spread": rating.spread, "shares": shares}
