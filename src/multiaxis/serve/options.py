"""What a request asks for, in words: turned into the verb that the command would make of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from multiaxis.errors import ConfigError, unknown
from multiaxis.serve.settings import Settings
from multiaxis.tasks.restore.crop import Box, RestoreCrop
from multiaxis.tasks.restore.output import Output
from multiaxis.tasks.restore.selection import (
    check_strength,
    split_tasks,
    split_weights,
    weights_of,
)
from multiaxis.tasks.restore.verb import Restore

NAMES = {
    "task": "denoise, deblur, derain, dehaze-indoor, dehaze-outdoor, enhance or retouch; several "
    "with commas run in a row",
    "model": "full (by default), fast, a small and quick model where the task has one, or nano, for"
    " denoise only",
    "strength": "how much of the change to keep, 0 to 1",
    "ensemble": "true: average over eight flips and turns, in eight times the time",
    "format": "png, jpg, tif, webp or avif; by default the picture's own",
    "depth": "8, 16 or float; by default the picture's own",
    "quality": "1 to 100, for jpg, avif and webp",
    "strip": "true: leave out EXIF, XMP and IPTC; the colour profile stays",
    "crop": "LEFT,TOP,WIDTH,HEIGHT in pixels: restore this part as a picture of its own",
}
"""The options of a request, and what each accepts; they are those of ``multiaxis restore``."""


@dataclass(frozen=True)
class Options:
    """What is to be done with a picture.

    Attributes
    ----------
    words : mapping of str to str
        As they were received; they make the options again after a restart.
    task : str
    weights : str or None
        A published checkpoint; None for the task's own.
    strength : float
    ensemble : bool
    output : Output
    crop : Box or None
    """

    words: Mapping[str, str]
    task: str
    weights: str | None
    strength: float
    ensemble: bool
    output: Output
    crop: Box | None

    @classmethod
    def read(cls, words: Mapping[str, str]) -> Options:
        """Read and check the words of a request.

        Raises
        ------
        ConfigError
            As the command would say.
        """
        for name in words:
            if name not in NAMES:
                raise unknown("option", name, NAMES)
        given = {name: value for name, value in words.items() if value != ""}
        if "task" not in given:
            raise ConfigError(f"a restoration needs a task: {NAMES['task']}")
        tasks = split_tasks(given["task"])
        weights = weights_of(given["task"], given.get("model", "full"))
        strength = _number(given, "strength", 1.0)
        check_strength(strength)
        quality = _number(given, "quality", None)
        if quality is not None and not quality.is_integer():
            raise ConfigError(f"the quality is {quality:g}: accepted is 1 to 100")
        output = Output(
            format=given.get("format"),
            quality=None if quality is None else int(quality),
            depth=given.get("depth"),
            strip=_flag(given, "strip"),
        )
        crop = Box.read(given["crop"]) if "crop" in given else None
        return cls(
            given, ",".join(tasks), weights, strength, _flag(given, "ensemble"), output, crop
        )

    @property
    def checkpoints(self) -> list[str]:
        """Names of the checkpoints, in the order of their work."""
        return [str(name) for name in split_weights(self.weights, split_tasks(self.task))]

    @property
    def kind(self) -> str:
        """What the time for a megapixel depends on."""
        return "+".join(self.checkpoints) + ("+ensemble" if self.ensemble else "")

    def verb(self, settings: Settings) -> Restore:
        """Make the verb that batches take, as the command makes it."""
        arguments: dict[str, Any] = {
            "task": self.task,
            "weights": self.weights,
            "device": settings.device,
            "dtype": settings.dtype,
            "offline": settings.offline,
            "memory": settings.memory_of_worker,
            "spill": None,
            "tile": None,
            "ensemble": self.ensemble,
            "strength": self.strength,
        }
        most = settings.max_megapixels
        if self.crop is None:
            return Restore(arguments, self.output, max_megapixels=most)
        return RestoreCrop(arguments, self.output, max_megapixels=most, box=self.crop)


def _number(words: Mapping[str, str], name: str, default: Any) -> Any:
    if name not in words:
        return default
    try:
        return float(words[name])
    except ValueError as error:
        raise ConfigError(
            f"the {name} is {words[name]!r}: accepted is a number, {NAMES[name]}"
        ) from error


def _flag(words: Mapping[str, str], name: str) -> bool:
    value = words.get(name, "false").lower()
    if value not in ("true", "false"):
        raise ConfigError(f"{name} is {value!r}: accepted are true and false")
    return value == "true"
