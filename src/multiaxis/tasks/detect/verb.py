"""How a picture goes through a detector, for batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from multiaxis.batch import File, Header, ModelVerb, Outcome, Runner, Wording
from multiaxis.errors import ConfigError
from multiaxis.files.address import Where
from multiaxis.images import (
    DEFAULT_MEGAPIXELS,
    READABLE_SUFFIXES,
    Picture,
    check_holds,
    decode_picture,
    encode_picture,
    probe_picture,
    written_suffix,
)
from multiaxis.images.formats import READABLE_NAMES
from multiaxis.progress import OnFraction, OnProgress

if TYPE_CHECKING:
    from multiaxis.tasks.detect.detector import Detection, Detector


@dataclass(frozen=True)
class Detect(ModelVerb["Detector"]):
    """Detecting, as a verb of batches.

    Attributes
    ----------
    arguments, loaded
        Of `Detector`.
    draws : bool
        Whether an output is a picture with what was found drawn on it; otherwise records are the
        result.
    max_megapixels : float
        Larger pictures are refused.

    Raises
    ------
    ConfigError
        If the threshold is no share.
    """

    draws: bool = False
    max_megapixels: float = DEFAULT_MEGAPIXELS

    wording = Wording("detect", "detecting", "detected", "picture", READABLE_NAMES)
    suffixes = READABLE_SUFFIXES
    columns = ("width", "height", "things", "detections")
    beside = "_detected"

    def __post_init__(self) -> None:
        threshold = self.arguments.get("threshold", 0.5)
        if not 0 <= threshold <= 1:
            raise ConfigError(f"--threshold is {threshold:g}: accepted is 0 to 1")

    def settings(self, name: str) -> Mapping[str, Any]:  # noqa: ARG002 (the same for all)
        """List what decides a result: where it is computed does not."""
        kept = ("threshold", "classes", "size", "dtype")
        found = {key: self.arguments.get(key) for key in kept}
        return {**found, "weights": self.weights, "draws": self.draws}

    def output_name(self, name: str) -> str | None:
        """Name the drawing, in the format of its picture where that can be written."""
        if not self.draws:
            return None
        path = PurePath(name)
        return path.stem + written_suffix(Path(name))

    def check(self, file: File) -> Header:
        """Look at the header."""
        found = probe_picture(file.path, file.name, max_megapixels=self.max_megapixels)
        if file.output is not None:
            check_holds(
                file.output, depth="uint8", alpha=False, height=found.height, width=found.width
            )
        return Header(
            amount=found.width * found.height / 1e6,
            facts={"width": found.width, "height": found.height},
            text=f"{found.width}x{found.height}",
        )

    def load(self, on_progress: OnProgress | None = None) -> DetectRunner:  # noqa: ARG002 (files)
        """Load the detector."""
        from multiaxis.tasks.detect.detector import Detector

        return DetectRunner(self, self.loaded or Detector(**self.arguments))


@dataclass
class _Work:
    picture: Picture
    output: Where | None
    drawn: Picture | None = None
    record: Mapping[str, Any] | None = None


class DetectRunner(Runner[_Work]):
    """A loaded detector, for one picture after the other."""

    def __init__(self, verb: Detect, detector: Detector) -> None:
        self.verb, self.detector = verb, detector

    def read(self, file: File) -> _Work:
        """Decode a picture."""
        most = self.verb.max_megapixels
        return _Work(decode_picture(file.read(), file.name, max_megapixels=most), file.output)

    def run(self, item: _Work, on_progress: OnFraction | None = None) -> _Work:  # noqa: ARG002
        """Find what it shows, and draw that where a drawing is asked for."""
        from multiaxis.data.pictures import levels_of
        from multiaxis.tasks.detect.draw import draw

        pixels = levels_of(item.picture)
        found = self.detector.find(pixels)
        things = self.detector.named(found)
        record = {
            "width": pixels.shape[1],
            "height": pixels.shape[0],
            "things": len(things),
            "detections": [_entry(one, self.detector) for one in things],
        }
        drawn = None
        if item.output is not None:
            drawn = Picture(draw(pixels, found, self.detector.labels))
        return replace(item, drawn=drawn, record=record)

    def encode(self, item: _Work) -> Outcome:
        """Encode the drawing."""
        record, remarks = item.record or {}, item.picture.remarks
        if item.drawn is None or item.output is None:
            return Outcome(record=record, remarks=remarks)
        data, lost = encode_picture(item.output, item.drawn)
        return Outcome(data, record, lost, remarks)

    def describe(self) -> str:
        """Say on what, and how precisely."""
        dtype = str(self.detector.dtype).removeprefix("torch.")
        return f"{self.detector.device.type} in {dtype}"


def _entry(one: Detection, detector: Detector) -> dict[str, Any]:
    left, top, right, bottom = one.box
    entry: dict[str, Any] = {
        "label": one.label,
        "category_id": detector.categories[one.index].id,
        "score": round(one.score, 5),
        "bbox": [round(n, 2) for n in (left, top, right - left, bottom - top)],
    }
    return entry if one.outline is None else {**entry, "segmentation": one.outline}
