"""What a training is: a tree of plain values. `multiaxis.train` does what it says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from multiaxis.data.limits import check_limits
from multiaxis.data.source import Data, Source, Stream
from multiaxis.errors import ConfigError

if TYPE_CHECKING:
    from multiaxis.train.objective import Objective

MOST_SEED = 2**31 - 1  # NumPy takes 2**32 - 1, and each process adds its number


class ObjectiveChoice(Protocol):
    """What models are trained for, as a value: a frozen dataclass of plain fields.

    Words change the fields by their types, as those of `Data`.
    """

    def open(self, recipe: Recipe, source: Source | Stream) -> Objective:
        """Make what computes losses and scores; imports torch no sooner than here.

        Raises
        ------
        ConfigError
            If recipe or data do not fit it.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """What is trained.

    Attributes
    ----------
    name : str
        As `multiaxis.create_model` takes it.
    config : dict of str to value
        Fields of the model's configuration that replace the variant's.
    weights : str or None
        Where to start: a published checkpoint's name, or a file; None is from scratch.
    from_input : bool
        MAXIM from scratch: start the last stage's heads at zero, so that the first answer is the
        input picture instead of noise. Short trainings gain from it.
    """

    name: str
    config: dict[str, Any] = field(default_factory=dict[str, Any])
    weights: str | None = None
    from_input: bool = False


@dataclass(frozen=True, kw_only=True)
class Optim:
    """How parameters move.

    Attributes
    ----------
    kind : str
        ``adam``, ``adamw`` or ``sgd``, whose momentum is the first of `betas`.
    lr : float
        Peak learning rate.
    final_lr : float
        At the end of the schedule.
    schedule : str
        ``cosine``, ``linear``, ``exponential`` or ``constant``, after the warm-up.
    warmup : int
        Steps in which the rate rises from nothing.
    betas : tuple of float
    weight_decay : float
        Of everything but biases, norms and bias tables.
    layer_decay : float
        MaxViT: factor on the rate for each layer further from the head.
    clip : float or None
        Largest norm of all gradients together.
    """

    kind: Literal["adam", "adamw", "sgd"] = "adam"
    lr: float = 2e-4
    final_lr: float = 1e-7
    schedule: Literal["cosine", "linear", "exponential", "constant"] = "cosine"
    warmup: int = 0
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    layer_decay: float = 1.0
    clip: float | None = None

    def __post_init__(self) -> None:
        rates = {"lr": (1e-12, 10), "final_lr": (0, self.lr), "warmup": (0, 10**9)}
        others = {"weight_decay": (0, 1), "layer_decay": (1e-6, 1), "clip": (1e-6, 1e6)}
        check_limits("optim", self, {**rates, **others, "betas": (0, 1 - 1e-9)})


@dataclass(frozen=True, kw_only=True)
class Run:
    """How long, how large, how often.

    Attributes
    ----------
    steps : int
        Updates of the parameters.
    batch : int
        Samples of one process in one pass; a step sees batch * accumulate * processes.
    accumulate : int
        Passes of a step.
    precision : str
        ``no`` (float32), ``bf16`` or ``fp16``.
    ema : float
        Decay of the averaged weights, which rises to this over the first steps; 0 for none.
    seed : int
        From 0 to 2147483647.
    log_every, validate_every, save_every : int
        Steps.
    keep : int
        Checkpoints that stay; older ones are removed.
    workers : int
        Processes that prepare samples; 0 prepares them in the training's own.
    recompute : bool
        Recompute blocks in the backward pass: less memory, a third more time.
    compile : bool
        Compile each block with torch.compile.
    patience : int
        Steps in a row with infinite or undefined gradients until the training gives up.
    tracker : str
        ``tensorboard`` or another of Accelerate's, or ``none``.
    """

    steps: int
    batch: int
    accumulate: int = 1
    precision: Literal["no", "bf16", "fp16"] = "no"
    ema: float = 0.0
    seed: int = 0
    log_every: int = 50
    validate_every: int = 5000
    save_every: int = 1000
    keep: int = 2
    workers: int = 4
    recompute: bool = False
    compile: bool = False
    patience: int = 20
    tracker: str = "tensorboard"

    def __post_init__(self) -> None:
        counts = ("steps", "batch", "accumulate", "log_every", "validate_every", "save_every")
        limits = dict.fromkeys((*counts, "keep", "patience"), (1.0, 1000000000000.0))
        check_limits("run", self, {**limits, "ema": (0, 1 - 1e-9), "workers": (0, 256)})
        if not 0 <= self.seed <= MOST_SEED:
            raise ConfigError(f"run.seed is {self.seed}: accepted is 0 to {MOST_SEED}")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole training.

    Attributes
    ----------
    name : str
    about : str
        Command, cost, and the result to expect.
    model : ModelChoice
    data : Data
    objective : ObjectiveChoice
    optim : Optim
        Of every model that has no other.
    run : Run
    optims : dict of str to Optim
        Of models by name, where an objective trains several that move differently.
    valid : Data or None
        What is scored on the way; never trained on.
    valid_samples : int
        How many samples of it, 1 or more; of whole pictures, each is scored once at most.
    """

    name: str
    about: str
    model: ModelChoice
    data: Data
    objective: ObjectiveChoice
    optim: Optim
    run: Run
    optims: dict[str, Optim] = field(default_factory=dict[str, Optim])
    valid: Data | None = None
    valid_samples: int = 32

    def __post_init__(self) -> None:
        if self.valid_samples < 1:
            raise ConfigError(f"valid_samples is {self.valid_samples}: accepted is 1 or more")
        for part, optim in {"optim": self.optim, **_named(self.optims)}.items():
            if not isinstance(optim, Optim):  # pyright: ignore[reportUnnecessaryIsInstance] (words)
                raise ConfigError(f"{part} is a group of fields: set one, {part}.FIELD=VALUE")
            if optim.warmup >= self.run.steps and optim.warmup:
                raise ConfigError(
                    f"{part}.warmup is {optim.warmup}: accepted is less than run.steps = "
                    f"{self.run.steps}"
                )

    def optim_of(self, name: str) -> Optim:
        """Tell how a model moves."""
        return self.optims.get(name, self.optim)


def _named(optims: dict[str, Optim]) -> dict[str, Optim]:
    return {f"optims.{name}": optim for name, optim in optims.items()}
