"""Options that several commands share."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from multiaxis.cli import console
from multiaxis.errors import ConfigError

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
        Another checkpoint than the default: a name that "multiaxis weights list" shows, or a
        file.
    device
        Where to compute: cpu, cuda (an NVIDIA or AMD GPU), cuda:N (the GPU of that number), mps
        (an Apple GPU), or auto: a GPU if there is one.
    dtype
        Precision: float32; bfloat16: half the memory, faster where the hardware has it, a little
        less exact; or auto: bfloat16 where the hardware has it.
    offline
        Never download: fail if the weights are not in the cache yet. The environment variable
        MULTIAXIS_OFFLINE=1 does the same.
    """

    weights: str | None = None
    device: str = "auto"
    dtype: str = "float32"
    offline: Flag = False


DEFAULT_MODEL = ModelOptions()


@Parameter(name="*")
@dataclass(frozen=True)
class LimitOptions:
    """How much memory a picture may take, and what to do where that is too little.

    Attributes
    ----------
    memory
        The most memory that the process may hold, such as 4GB; by default what is free.
    spill
        A folder for what does not fit into the memory: slower, the same picture.
    tile
        Restore tiles of this side in pixels, one by one, for when nothing else fits. The result
        is another: no tile knows of the rest of the picture, and light and colour may drift.
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
        full: the published model of the task; nano: a small and quick one that comes with the
        package and needs no download, for denoise only.
    ensemble
        Restore the eight flips and turns of each picture and average them: eight times the work,
        often a little nearer to the truth.
    strength
        How much of the change to keep, from 0 (the input) to 1.
    """

    model: Literal["full", "nano"] = "full"
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
        If there is no small model for the task, or both a model and weights are asked for.
    """
    if quality.model == "full":
        return options.weights
    from multiaxis.weights.index import list_checkpoints

    if options.weights is not None:
        raise ConfigError(
            f"received --model {quality.model} and --weights {options.weights}: give one of them"
        )
    known = [row.name for row in list_checkpoints() if row.name.endswith("-nano")]
    if f"{task}-nano" not in known:
        tasks = ", ".join(name.removesuffix("-nano") for name in known)
        raise ConfigError(
            f"there is no nano model for {task!r}: there is one for {tasks}; leave --model out for "
            "the published model"
        )
    return f"{task}-nano"


def load_restorer(arguments: dict[str, Any], *, quiet: bool = False) -> Restorer:
    """Load the models of a `Restorer`, with a progress bar while weights are pulled."""
    from multiaxis.tasks.restore.restorer import Restorer

    with console.progress("bytes", quiet=quiet) as show:
        return Restorer(**arguments, on_progress=show)
