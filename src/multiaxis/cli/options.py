"""Options that several commands share."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from multiaxis.cli import console

if TYPE_CHECKING:
    from multiaxis.tasks.restore.restorer import Restorer

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
"""An option that is given or not, without a --no form."""


@Parameter(name="*")
@dataclass(frozen=True)
class ModelOptions:
    """What model runs, and where.

    Attributes
    ----------
    weights
        Use this checkpoint instead of the default: a name that "multiaxis weights list" shows, or
        a file.
    device
        Where to compute: cpu, cuda (an NVIDIA or AMD GPU), cuda:N (the GPU of that number), mps
        (an Apple GPU), or auto (a GPU if there is one).
    dtype
        Precision: float32, bfloat16, float16 or auto. 16 bits halve the memory, are faster if the
        hardware supports them, and are a little less exact. auto is bfloat16 if the hardware
        supports it.
    offline
        Never download: fail if the weights are not cached. The environment variable
        MULTIAXIS_OFFLINE=1 does the same.
    """

    weights: Annotated[str | None, Parameter(alias="-w")] = None
    device: str = "auto"
    dtype: str = "float32"
    offline: Flag = False


DEFAULT_MODEL = ModelOptions()


@Parameter(name="*")
@dataclass(frozen=True)
class LimitOptions:
    """How much memory a picture may take, and what to do if that is too little.

    Attributes
    ----------
    memory
        Limit the memory of the process, such as 4GB. By default the limit is the free memory.
    spill
        Move what does not fit into the memory to this folder. It is slower and gives the same
        picture.
    tile
        Restore tiles of this side in pixels, one by one, if nothing else fits. The result differs:
        no tile knows the rest of the picture, so light and colour may drift.
    """

    memory: str | None = None
    spill: str | None = None
    tile: int | None = None


DEFAULT_LIMITS = LimitOptions()


@Parameter(name="*")
@dataclass(frozen=True)
class QualityOptions:
    """How a picture is restored.

    Attributes
    ----------
    model
        full is the published, exact model of the task. fast is a small, quick and less exact one,
        nano one for Gaussian noise. Small models come with the package and need no download. auto,
        for restore, is full or fast, whichever --within allows.
    ensemble
        Restore the eight flips and turns of each picture and average the results. This takes eight
        times as long and is often a little closer to the truth.
    strength
        How much of the change to keep, from 0 (the input) to 1 (all).
    """

    model: Literal["full", "fast", "nano", "auto"] = "full"
    ensemble: Flag = False
    strength: float = 1.0


DEFAULT_QUALITY = QualityOptions()


def restorer_arguments(
    task: str, options: ModelOptions, limits: LimitOptions, quality: QualityOptions
) -> dict[str, Any]:
    """Collect what `Restorer` is made with, but for its progress."""
    arguments = {"task": task, **asdict(options), **asdict(limits), **asdict(quality)}
    del arguments["model"]
    return {**arguments, "weights": chosen_weights(task, options, quality)}


def chosen_weights(task: str, options: ModelOptions, quality: QualityOptions) -> str | None:
    """Name the weights that the options ask for, None for the task's own.

    Raises
    ------
    ConfigError
        As `multiaxis.tasks.restore.selection.weights_of`.
    """
    from multiaxis.tasks.restore.selection import weights_of

    model = "full" if quality.model == "auto" else quality.model
    return weights_of(task, model, options.weights)


def load_restorer(arguments: dict[str, Any], *, quiet: bool = False) -> Restorer:
    """Load the models of a `Restorer`, with a progress bar while weights are pulled."""
    from multiaxis.tasks.restore.restorer import Restorer

    with console.progress("bytes", quiet=quiet) as show:
        return Restorer(**arguments, on_progress=show)
