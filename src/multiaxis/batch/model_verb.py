"""A verb that needs a model: its weights are named by content, and sent where they are needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from multiaxis.batch.ledger import digest_file
from multiaxis.batch.verb import Verb

Model = TypeVar("Model")


@dataclass(frozen=True)
class ModelVerb(Verb, Generic[Model]):
    """A verb whose runner is made of arguments for a model.

    Attributes
    ----------
    arguments : mapping of str to value
        Of the class that users hold, such as `Restorer`; ``"weights"`` and ``"device"`` among them.
    loaded : Model, optional
        One with these arguments that is loaded already, for this process.
    """

    arguments: Mapping[str, Any]
    loaded: Model | None = field(default=None, compare=False, repr=False, kw_only=True)

    @property
    def device(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """As the user named it."""
        return str(self.arguments.get("device", "auto"))

    def __getstate__(self) -> dict[str, Any]:
        """Leave the loaded model behind: other processes load their own."""
        return {**self.__dict__, "loaded": None}

    @cached_property
    def weights(self) -> str | None:
        """Name of the weights; of a file, the digest of its content."""
        weights = self.arguments.get("weights")
        if weights is None or not Path(weights).is_file():
            return None if weights is None else str(weights)
        return digest_file(Path(weights))

    def local_files(self) -> Sequence[Path]:
        """List the file of weights, where they are in one."""
        path = Path(str(self.arguments.get("weights") or ""))
        return (path,) if path.is_file() else ()

    def with_files(self, places: Mapping[Path, Path]) -> Self:
        """Take the weights from where they lie there."""
        (place,) = places.values()
        return self._with(weights=place)

    def on_processor(self) -> Self:
        """Use this machine's processor."""
        return self._with(device="cpu")

    def _with(self, **changed: Any) -> Self:
        return replace(self, arguments={**self.arguments, **changed}, loaded=None)
