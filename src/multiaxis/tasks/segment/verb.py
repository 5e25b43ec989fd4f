"""How a picture goes through a segmenter, for batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from multiaxis.batch import File, Header, ModelVerb, Outcome, Runner, Wording
from multiaxis.errors import ConfigError, unknown
from multiaxis.images import (
    DEFAULT_MEGAPIXELS,
    READABLE_SUFFIXES,
    Picture,
    decode_picture,
    probe_picture,
)
from multiaxis.images.formats import READABLE_NAMES
from multiaxis.progress import OnFraction, OnProgress

if TYPE_CHECKING:
    from multiaxis.tasks.segment.paint import Segments
    from multiaxis.tasks.segment.segmenter import Segmenter

Form = Literal["labels", "overlay", "both"]
_FORMS = ("labels", "overlay", "both")


@dataclass(frozen=True)
class Segment(ModelVerb["Segmenter"]):
    """Segmenting, as a verb of batches.

    Attributes
    ----------
    arguments, loaded
        Of `Segmenter`.
    form : str
        ``labels``: PNG files of numbers with a palette; ``overlay``: JPEG files of the pictures
        with the classes' colours over them; ``both``: the second beside the first.
    strength : float
        Of the colours over the pictures, from 0 to 1.
    max_megapixels : float
        Larger pictures are refused.

    Raises
    ------
    ConfigError
        If a value is none of these.
    """

    form: Form = "labels"
    strength: float = 0.5
    max_megapixels: float = DEFAULT_MEGAPIXELS

    wording = Wording("segment", "segmenting", "segmented", "picture", READABLE_NAMES)
    suffixes = READABLE_SUFFIXES
    columns = ("width", "height", "classes")
    beside = "_segments"

    def __post_init__(self) -> None:
        if self.form not in _FORMS:
            raise unknown("form", self.form, _FORMS)
        if not 0 <= self.strength <= 1:
            raise ConfigError(f"--strength is {self.strength:g}: accepted is 0 to 1")
        if not self.max_megapixels > 0:
            raise ConfigError(
                f"--max-megapixels is {self.max_megapixels:g}: accepted is a positive number"
            )
        weights = self.arguments.get("weights")
        if weights is None or not Path(weights).is_file():
            raise ConfigError(
                f"--weights is {weights}, which is no file: no segmenter is published, so train "
                "one (multiaxis train segment-folder) and name its weights.safetensors"
            )

    def settings(self, name: str) -> Mapping[str, Any]:  # noqa: ARG002 (the same for all)
        """List what decides a result: where it is computed does not."""
        kept = {key: self.arguments.get(key) for key in ("size", "dtype")}
        strength = None if self.form == "labels" else self.strength
        return {**kept, "weights": self.weights, "form": self.form, "strength": strength}

    def output_name(self, name: str) -> str:
        """Name the output: PNG for numbers, which no other format is to change."""
        return PurePath(name).stem + (".jpg" if self.form == "overlay" else ".png")

    def more_names(self, output: str) -> tuple[str, ...]:
        """Name the picture beside the numbers."""
        return (f"{PurePath(output).stem}_overlay.jpg",) if self.form == "both" else ()

    def check(self, file: File) -> Header:
        """Look at the header; numbers are refused a name that would change them."""
        suffix = ".jpg" if self.form == "overlay" else ".png"
        if file.output is not None and file.output.suffix.lower() != suffix:
            raise ConfigError(
                f"the output {file.output}: accepted is a name that ends in {suffix}, or a folder"
            )
        found = probe_picture(file.path, file.name, max_megapixels=self.max_megapixels)
        return Header(
            amount=found.width * found.height / 1e6,
            facts={"width": found.width, "height": found.height},
            text=f"{found.width}x{found.height}",
        )

    def load(self, on_progress: OnProgress | None = None) -> SegmentRunner:  # noqa: ARG002 (a file)
        """Load the model."""
        from multiaxis.tasks.segment.segmenter import Segmenter

        return SegmentRunner(self, self.loaded or Segmenter(**self.arguments))


@dataclass
class _Work:
    """A picture, and what it shows."""

    picture: Picture
    pixels: NDArray[np.uint8]
    segments: Segments


class SegmentRunner(Runner[Picture]):
    """A loaded segmenter, for one picture after the other."""

    def __init__(self, verb: Segment, segmenter: Segmenter) -> None:
        self.verb, self.segmenter = verb, segmenter

    def read(self, file: File) -> Picture:
        """Decode a picture."""
        return decode_picture(file.read(), file.name, max_megapixels=self.verb.max_megapixels)

    def run(self, item: Picture, on_progress: OnFraction | None = None) -> _Work:
        """Name the class of each pixel."""
        from multiaxis.data.pictures import levels_of

        return _Work(item, levels_of(item), self.segmenter.segment(item, on_progress=on_progress))

    def encode(self, item: _Work) -> Outcome:
        """Write numbers, colours over the picture, or both."""
        from multiaxis.tasks.segment.paint import as_jpeg

        segments, form = item.segments, self.verb.form
        overlay = (
            b"" if form == "labels" else as_jpeg(segments.overlay(item.pixels, self.verb.strength))
        )
        return Outcome(
            content=overlay if form == "overlay" else segments.as_png(),
            more=(overlay,) if form == "both" else (),
            record={"classes": [asdict(share) for share in segments.shares()]},
            remarks=(*item.picture.remarks, *self._note(item)),
        )

    def _note(self, item: _Work) -> tuple[str, ...]:
        from multiaxis.models.maxvit.field_of_view import short_reach

        shown = self.segmenter.shown_size(item.pixels.shape[:2])
        short = short_reach(self.segmenter.model.config.backbone, shown)
        hint = "--size shows it smaller"
        return () if short is None else (f"{short}; {hint}",)

    def describe(self) -> str:
        """Say on what, and how precisely."""
        dtype = str(self.segmenter.dtype).removeprefix("torch.")
        return f"{self.segmenter.device.type} in {dtype}"
