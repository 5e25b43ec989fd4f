"""Options of ``multiaxis restore`` for weights that draw answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclopts import Parameter

from multiaxis.cli.options import Flag
from multiaxis.errors import ConfigError

if TYPE_CHECKING:
    from multiaxis.tasks.restore.refine.sampling import Sampling


@Parameter(name="*")
@dataclass(frozen=True)
class DrawingOptions:
    """For refiners, which draw details: refine-nano, or your own (multiaxis train refine-...).

    Attributes
    ----------
    samples
        Refiners: draw so many answers for each picture; 1 by default. The first is the output, and
        NAME_2, NAME_3 and so on lie beside it, unless you pass --average or --pick. Without
        --weights, refine-nano draws them, for --task denoise.
    steps
        Refiners: take so many steps for an answer; 20 by default. The time is proportional.
    average
        Refiners: write the mean of the answers, which is nearest to the truth in the mean square,
        and less sharp.
    pick
        Refiners: write the sharpest answer, or the one that your rater likes best (rated).
    rater
        Refiners: the rater of --pick rated, a file that "multiaxis rate learn" wrote.
    seed
        Refiners: another seed draws other answers; 0 by default.
    sampler
        Refiners: ddpm draws in every step, ddim only at the start.
    consistent
        Refiners: what each answer has to agree with. light: it adds detail only, and keeps the
        light and colour of the prediction. noise:sigma=50: it differs from the input by no more
        than Gaussian noise of that sigma (levels of 255) explains. downscale:factor=4: shrunk so
        many times by means of squares, it is the shrunk input.
    uncertainty
        Refiners: write how much the answers differ in each pixel into this file, as a grey PNG of
        16 bits. White is a standard deviation of a quarter of the range, and more.
    """

    samples: int | None = None
    steps: int | None = None
    average: Flag = False
    pick: Literal["sharpest", "rated"] | None = None
    rater: str | None = None
    seed: int | None = None
    sampler: Literal["ddpm", "ddim"] | None = None
    consistent: str | None = None
    uncertainty: str | None = None

    def sampling(self) -> Sampling | None:
        """Say what is to be drawn; None if no option was given.

        Raises
        ------
        ConfigError
            If options contradict each other.
        """
        from multiaxis.tasks.rate.judge import RatedBy
        from multiaxis.tasks.restore.refine.sampling import Sampling

        if self == DEFAULT_DRAWING:
            return None
        if self.average and self.pick:
            raise ConfigError("received --average and --pick: give one of them")
        if (self.pick == "rated") != (self.rater is not None):
            raise ConfigError("--pick rated and --rater FILE belong together: give both or none")
        samples = 1 if self.samples is None else self.samples
        if samples < 2 and (self.average or self.pick or self.uncertainty):
            raise ConfigError(
                f"--average, --pick and --uncertainty need several answers, and --samples is "
                f"{samples}: add --samples 8"
            )
        given = {"steps": self.steps, "seed": self.seed, "sampler": self.sampler}
        return Sampling(
            samples=samples,
            keep=self.pick or ("average" if self.average else "each"),
            consistent=self.consistent,
            judge=None if self.rater is None else RatedBy(self.rater),
            **{name: value for name, value in given.items() if value is not None},  # pyright: ignore[reportArgumentType]
        )

    def spread(self) -> str | None:
        """Name the file for the spread by its whole path.

        Raises
        ------
        ConfigError
            If it is no PNG.
        """
        if self.uncertainty is None:
            return None
        path = Path(self.uncertainty)
        if path.suffix.lower() != ".png":
            raise ConfigError(f"--uncertainty is {path}: accepted is a name that ends in .png")
        return str(path.absolute())


DEFAULT_DRAWING = DrawingOptions()
