"""How a picture goes through a classifier, for batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multiaxis.batch import File, Header, Outcome, Runner, Verb, Wording
from multiaxis.batch.ledger import digest_file
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
class Classify(Verb):
    """Classifying, as a verb of batches.

    Attributes
    ----------
    arguments : mapping of str to value
        Of `Classifier`.
    top : int
        How many classes to name, likeliest first.
    max_megapixels : float
        Larger pictures are refused.
    classifier : Classifier, optional
        One with these arguments that is loaded already, for this process.

    Raises
    ------
    ConfigError
        If `top` is below 1.
    """

    arguments: Mapping[str, Any]
    top: int = 5
    max_megapixels: float = DEFAULT_MEGAPIXELS
    classifier: Classifier | None = field(default=None, compare=False, repr=False)

    wording = Wording("classify", "classifying", "classified", "picture", READABLE_NAMES)
    suffixes = READABLE_SUFFIXES
    columns = ("width", "height", "label", "probability", "predictions")

    def __post_init__(self) -> None:
        if self.top < 1:
            raise ConfigError(f"--top is {self.top}: accepted is 1 or more")

    @property
    def device(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """As the user named it."""
        return str(self.arguments.get("device", "auto"))

    def __getstate__(self) -> dict[str, Any]:
        """Leave the loaded classifier behind: other processes load their own."""
        return {**self.__dict__, "classifier": None}

    def settings(self, name: str) -> Mapping[str, Any]:  # noqa: ARG002 (the same for all)
        """List what decides a result: where it is computed does not."""
        kept = ("model", "preprocessing", "image_size", "dtype")
        found = {key: self.arguments.get(key) for key in kept}
        return {**found, "weights": self._weights, "top": self.top}

    @cached_property
    def _weights(self) -> str | None:
        """Name the weights; a file by its content."""
        weights = self.arguments.get("weights")
        if weights is None or not Path(weights).is_file():
            return None if weights is None else str(weights)
        return digest_file(Path(weights))

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
            self, self.classifier or Classifier(**self.arguments, on_progress=on_progress)
        )

    def local_files(self) -> Sequence[Path]:
        """List the file of weights, where they are in one."""
        path = Path(str(self.arguments.get("weights") or ""))
        return (path,) if path.is_file() else ()

    def with_files(self, places: Mapping[Path, Path]) -> Classify:
        """Take the weights from where they lie there."""
        (place,) = places.values()
        return replace(self, arguments={**self.arguments, "weights": place}, classifier=None)

    def on_processor(self) -> Classify:
        """Use this machine's processor."""
        return replace(self, arguments={**self.arguments, "device": "cpu"})


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
