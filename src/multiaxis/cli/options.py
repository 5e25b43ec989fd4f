"""Options that several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from multiaxis.cli import console

if TYPE_CHECKING:
    from multiaxis.restoration import Restorer

Flag = Annotated[bool, Parameter(negative=())]
"""An option that is given or not, without a --no form."""


@Parameter(name="*")
@dataclass(frozen=True)
class ModelOptions:
    """What model runs, and where.

    Attributes
    ----------
    weights
        Another checkpoint than the task's own: a name of "multiaxis weights list", or a file.
    device
        auto, cpu, cuda, cuda:N or mps.
    dtype
        float32, or bfloat16: faster where the hardware has it, a little less exact.
    offline
        Use only weights that are in the cache (also: environment variable MULTIAXIS_OFFLINE=1).
    """

    weights: str | None = None
    device: str = "auto"
    dtype: str = "float32"
    offline: Flag = False


DEFAULT_MODEL = ModelOptions()


def load_restorer(task: str, options: ModelOptions, *, quiet: bool = False) -> Restorer:
    """Load a task's model, with a progress bar while weights are pulled."""
    from multiaxis.restoration import Restorer

    with console.progress("bytes", quiet=quiet) as show:
        return Restorer(
            task,
            weights=options.weights,
            device=options.device,
            dtype=options.dtype,
            offline=options.offline,
            on_progress=show,
        )


def check_task(task: str) -> None:
    """Refuse an unknown task before anything is loaded."""
    from multiaxis.errors import unknown
    from multiaxis.weights.index import list_tasks

    if task not in list_tasks():
        raise unknown("task", task, list_tasks())
