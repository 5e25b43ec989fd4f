"""How a picture goes through a classifier, for batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from multiaxis.batch import File, Header, ModelVerb, Outcome, Runner, Wording
from multiaxis.errors import ConfigError
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
    from multiaxis.tasks.classify.classifier import Classifier


@dataclass(frozen=True)
class Classify(ModelVerb["Classifier"]):
    """Classifying, as a verb of batches.

    Attributes
    ----------
    arguments, loaded
        Of `Classifier`.
    top : int
        How many classes to name, likeliest first.
    max_megapixels : float
        Larger pictures are refused.

    Raises
    ------
    ConfigError
        If `top` is below 1.
    """

    top: int = 5
    max_megapixels: float = DEFAULT_MEGAPIXELS

    wording = Wording("classify", "classifying", "classified", "picture", READABLE_NAMES)
    suffixes = READABLE_SUFFIXES
    columns = ("width", "height", "label", "probability", "predictions")

    def __post_init__(self) -> None:
        if self.top < 1:
            raise ConfigError(f"--top is {self.top}: accepted is 1 or more")

    def settings(self, name: str) -> Mapping[str, Any]:  # noqa: ARG002 (the same for all)
        """List what decides a result: where it is computed does not."""
        kept = ("model", "preprocessing", "image_size", "dtype")
        found = {key: self.arguments.get(key) for key in kept}
        return {**found, "weights": self.weights, "top": self.top}

    def check(self, file: File) -> Header:
        """Look at the header."""
        found = probe_picture(file.path, file.name, max_megapixels=self.max_megapixels)
        return Header(
            amount=found.width * found.height / 1e6,
            facts={"width": found.width, "height": found.height},
            text=f"{found.width}x{found.height}",
        )

    def load(self, on_progress: OnProgress | None = None) -> ClassifyRunner:
        """Load the model."""
        from multiaxis.tasks.classify.classifier import Classifier

        return ClassifyRunner(
            self, self.loaded or Classifier(**self.arguments, on_progress=on_progress)
        )


class ClassifyRunner(Runner[Picture]):
    """A loaded classifier, for one picture after the other."""

    def __init__(self, verb: Classify, classifier: Classifier) -> None:
        self.verb, self.classifier = verb, classifier

    def read(self, file: File) -> Picture:
        """Decode a picture."""
        return decode_picture(file.read(), file.name, max_megapixels=self.verb.max_megapixels)

    def run(self, item: Picture, on_progress: OnFraction | None = None) -> Outcome:  # noqa: ARG002
        """Name what it shows."""
        found = self.classifier.classify(item, top=self.verb.top)
        record = {
            "label": found[0].label,
            "probability": found[0].probability,
            "predictions": [asdict(one) for one in found],
        }
        return Outcome(record=record, remarks=item.remarks)

    def describe(self) -> str:
        """Say on what, and how precisely."""
        dtype = str(self.classifier.dtype).removeprefix("torch.")
        return f"{self.classifier.device.type} in {dtype}"
