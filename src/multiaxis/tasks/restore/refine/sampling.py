"""How many answers a refiner gives, and which: words, checked without torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from multiaxis.errors import ConfigError, unknown
from multiaxis.tasks.restore.refine.consistency import Consistency, parse_consistency

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SAMPLERS = ("ddpm", "ddim")
_KEPT = ("each", "average", "sharpest", "rated")
_MOST_SAMPLES, _MOST_STEPS, _MOST_SEED = 1000, 1000, 2**31 - 1


class JudgeChoice(Protocol):
    """Who picks the best of several answers, as a value that can be sent to other processes."""

    def open(self) -> Callable[[NDArray[np.uint8]], float]:
        """Load what tells how good a picture, (height, width, 3), is: the greatest number wins."""
        ...


@dataclass(frozen=True)
class Sampling:
    """What is drawn for each picture.

    Attributes
    ----------
    samples : int
        Answers that are drawn.
    steps : int
        Of each; the time is proportional.
    seed : int
        The same seed gives the same answers.
    keep : str
        ``each`` of them; their ``average``, which is nearest to the truth in the mean square; the
        ``sharpest``; or the one that a rater likes best (``rated``).
    sampler : str
        ``ddpm``, which draws in every step, or ``ddim``, which draws at the start only.
    consistent : str or None
        What answers have to agree with: ``light`` (the prediction's light and colour, so that they
        add detail only), ``noise:sigma=50`` (the input, as far as noise of that sigma allows), or
        ``downscale:factor=4`` (the input shrunk so many times). By default nothing.
    judge : JudgeChoice or None
        Of ``rated``.

    Raises
    ------
    ConfigError
        If a value is none of these.
    """

    samples: int = 1
    steps: int = 20
    seed: int = 0
    keep: Literal["each", "average", "sharpest", "rated"] = "each"
    sampler: Literal["ddpm", "ddim"] = "ddpm"
    consistent: str | None = None
    judge: JudgeChoice | None = None

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("number of samples", self.samples, 1, _MOST_SAMPLES),
            ("number of steps", self.steps, 1, _MOST_STEPS),
            ("seed", self.seed, 0, _MOST_SEED),
        ):
            if not least <= value <= most:
                raise ConfigError(f"the {name} is {value}: accepted is {least} to {most}")
        if self.sampler not in _SAMPLERS:
            raise unknown("sampler", self.sampler, _SAMPLERS)
        if self.keep not in _KEPT:
            raise unknown("choice of samples", self.keep, _KEPT)
        if (self.keep == "rated") != (self.judge is not None):
            raise ConfigError("answers are rated by a rater: give its weights, and keep='rated'")
        _ = self.rule  # checks the word

    @property
    def rule(self) -> Consistency | None:
        """What answers have to agree with."""
        return None if self.consistent is None else parse_consistency(self.consistent)

    @property
    def outputs(self) -> int:
        """How many pictures are kept."""
        return self.samples if self.keep == "each" else 1

    @property
    def evaluations(self) -> int:
        """How often the denoiser is asked."""
        return self.samples * self.steps

    def settings(self) -> dict[str, Any]:
        """List what decides the answers."""
        return asdict(self)
