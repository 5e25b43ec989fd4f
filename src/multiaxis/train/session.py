"""Everything that a training works with, made from its recipe."""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, ProjectConfiguration, set_seed
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from multiaxis.classification.stated import write_stated
from multiaxis.data.classes import ClassFolders, ClassSource
from multiaxis.data.load import Share, passes
from multiaxis.data.shards import ClassShards, Shards
from multiaxis.data.source import NumberedSamples, Sample, Source, collate
from multiaxis.errors import ConfigError
from multiaxis.models.maxim import Maxim
from multiaxis.models.maxvit.network import MaxViT
from multiaxis.recipes.recipe import ClassificationLoss, ModelChoice, Recipe
from multiaxis.train.checkpoint import check_whole, go_on, newest
from multiaxis.train.described import check_recipe
from multiaxis.train.objective import Classification, Objective, Restoration
from multiaxis.train.optimiser import Statistics, averaging, make_optimiser
from multiaxis.train.position import Position
from multiaxis.weights.store import write_safetensors
from multiaxis.zoo import create_model, open_model

_log = logging.getLogger(__name__)
VALIDATION_SEED = 2201_02973  # of the held-out crops and their noise: the same in every training


@dataclass
class Session:
    """The parts of a training.

    Attributes
    ----------
    recipe : Recipe
    folder : Path
    accelerator : Accelerator
    model : nn.Module
        As the product knows it.
    trained : nn.Module
        As it is called in a step: wrapped for gradients of many processes.
    optimiser : torch.optim.Optimizer
    average : AveragedModel or None
        The averaged weights.
    objective : Restoration or Classification
    source : Source or Shards
    held_out : NumberedSamples or None
    position : Position
    statistics : Statistics
        Of the model's batch norms.
    """

    recipe: Recipe
    folder: Path
    accelerator: Accelerator
    model: nn.Module
    trained: nn.Module
    optimiser: torch.optim.Optimizer
    average: AveragedModel | None
    objective: Objective
    source: Source | Shards
    held_out: NumberedSamples | None
    position: Position
    statistics: Statistics

    @property
    def best_model(self) -> nn.Module:
        """The model that is scored and exported: of the averaged weights where there are any."""
        return self.model if self.average is None else self.average.module

    def export(self) -> Path:
        """Write the weights as a file that every other part of the product loads."""
        path = self.folder / "weights.safetensors"
        if self.average is None:
            whole: dict[str, Any] = self.accelerator.get_state_dict(self.trained)
            state = {name.removeprefix("model."): value for name, value in whole.items()}
        else:
            state = dict(self.average.module.state_dict())
        if self.accelerator.is_main_process:
            about = {
                "model": self.recipe.model.name,
                "config": json.dumps(asdict(self.model.config)),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
                "recipe": self.recipe.name,
                "step": str(self.position.step),
            }
            about.update(self._about_classes())
            write_safetensors(path, {n: v.detach().cpu() for n, v in state.items()}, about)
        return path

    def _about_classes(self) -> dict[str, str]:
        """State for a classifier how pictures are shown to the model, and what classes are called.

        Held-out pictures may have another size than those that are trained on.
        """
        seen = self.recipe.data if self.recipe.valid is None else self.recipe.valid
        if not isinstance(seen, ClassFolders | ClassShards):
            return {}
        # Shards only count their classes.
        names = self.source.classes if isinstance(self.source, ClassSource) else None
        return write_stated(seen.size, names)


def open_session(recipe: Recipe, folder: Path, *, model: nn.Module | None = None) -> Session:
    """Build what a recipe asks for, and go on from the newest checkpoint of the folder.

    Parameters
    ----------
    recipe : Recipe
    folder : Path
    model : Module, optional
        Trained in place of the one that the recipe names.

    Raises
    ------
    MultiaxisError
        If the recipe cannot work: before anything was trained.
    """
    run = recipe.run
    accelerator = make_accelerator(recipe, folder)
    last = newest(folder)
    if last:
        check_whole(last)
        check_recipe(last, recipe, accelerator.num_processes)
    source = recipe.data.open()
    held_out = open_held_out(recipe, source)
    set_seed(run.seed)
    model = build_model(recipe.model) if model is None else model
    model.train()
    prepare_blocks(model, recompute=run.recompute, compile_=run.compile)
    check_crops(model, recipe)
    objective = make_objective(recipe, source)
    check_classes(model, source)
    model.to(accelerator.device)
    average = None
    if run.ema:
        average = AveragedModel(model, multi_avg_fn=averaging(run.ema), use_buffers=True)
        average.eval()
    optimiser = make_optimiser(model, recipe.optim)
    trained, optimiser = accelerator.prepare(objective.wrap(model), optimiser)
    position = Position()
    set_seed(run.seed + accelerator.process_index + 1)
    if last:
        go_on(accelerator, recipe, last, position, average, optimiser)
    return Session(
        recipe=recipe,
        folder=folder,
        accelerator=accelerator,
        model=model,
        trained=trained,
        optimiser=optimiser,
        average=average,
        objective=objective,
        source=source,
        held_out=held_out,
        position=position,
        statistics=Statistics(model),
    )


def make_accelerator(recipe: Recipe, folder: Path) -> Accelerator:
    """Make what knows of devices, processes and precision.

    Raises
    ------
    ConfigError
        If the precision, the tracker or the way of sharding is not to be had here.
    """
    tracker = recipe.run.tracker
    try:
        accelerator = Accelerator(
            mixed_precision=recipe.run.precision,
            log_with=None if tracker == "none" else tracker,
            project_config=ProjectConfiguration(project_dir=str(folder)),
        )
    except (ValueError, ImportError) as error:
        raise ConfigError(
            f"run.precision is {recipe.run.precision} and run.tracker is {tracker!r}: {error}"
        ) from error
    _check_sharding(recipe, accelerator)
    return accelerator


def _check_sharding(recipe: Recipe, accelerator: Accelerator) -> None:
    kind = accelerator.distributed_type
    if kind in (DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM):
        raise ConfigError(
            f"{kind.value} keeps its checkpoints in pickles, which may run code when they are "
            "loaded: launch with torchrun, or with accelerate's FSDP"
        )
    if kind != DistributedType.FSDP:
        return
    if recipe.run.ema:
        raise ConfigError("averaged weights need whole parameters, which FSDP splits: run.ema=0")
    if recipe.valid is not None:
        raise ConfigError("scoring needs whole parameters, which FSDP splits: valid=none")
    # The directories of split checkpoints begin with a pickle; whole ones are loaded as tensors.
    plugin = accelerator.state.fsdp_plugin
    if plugin is not None:
        plugin.set_state_dict_type("FULL_STATE_DICT")


def check_classes(model: nn.Module, source: Source | Shards) -> None:
    """Refuse data with another number of classes than the model tells apart.

    Raises
    ------
    ConfigError
        With the number that the data has.
    """
    classes = source.classes if isinstance(source, ClassSource | Shards) else []
    known = model.config.num_classes if isinstance(model, MaxViT) else len(classes)
    if classes and known != len(classes):
        raise ConfigError(
            f"the data has {len(classes)} classes and the model tells {known} apart: "
            f"--set model.config.num_classes={len(classes)}"
        )


def check_crops(model: nn.Module, recipe: Recipe) -> None:
    """Refuse crops that a MAXIM's windows do not divide.

    Raises
    ------
    ConfigError
        With the multiple that is accepted.
    """
    if not isinstance(model, Maxim):
        return
    multiple = math.lcm(*model.config.size_multiple)
    for part, data in (("data", recipe.data), ("valid", recipe.valid)):
        crop = getattr(data, "crop", None)
        if isinstance(crop, int) and crop % multiple:
            raise ConfigError(
                f"{part}.crop is {crop}: this model takes multiples of {multiple}, such as "
                f"{-(-crop // multiple) * multiple}"
            )


def open_held_out(recipe: Recipe, source: Source | Shards) -> NumberedSamples | None:
    """Open what a recipe is scored on, where it names any, and try a sample.

    Raises
    ------
    ConfigError
        If it is in shards, which cannot be had in any order, or has other classes than `source`.
    DataError
        If no sample can be made of it.
    """
    if recipe.valid is None:
        return None
    held_out = recipe.valid.open()
    if isinstance(held_out, Shards):
        raise ConfigError("valid is in shards: accepted are folders")
    if isinstance(held_out, ClassSource) and isinstance(source, ClassSource):
        differing = sorted(set(held_out.classes) ^ set(source.classes))
        if differing:
            raise ConfigError(
                f"data and valid have different classes, such as {', '.join(differing[:3])}: give "
                "both the same folders"
            )
    samples = NumberedSamples(held_out, VALIDATION_SEED)
    _ = samples[0]  # hours before the first validation
    return samples


def make_objective(recipe: Recipe, source: object) -> Objective:
    """Make what the model is trained for; a class more or less than it knows is refused.

    Raises
    ------
    ConfigError
        If data and loss are of different kinds.
    """
    classes = source.classes if isinstance(source, ClassSource | Shards) else []
    is_labelled = bool(classes)
    if isinstance(recipe.loss, ClassificationLoss) != is_labelled:
        raise ConfigError(
            f"the recipe {recipe.name} has {type(recipe.loss).__name__} for data of "
            f"{type(recipe.data).__name__}: give it the loss of its data"
        )
    if isinstance(recipe.loss, ClassificationLoss):
        return Classification(recipe.loss, len(classes), recipe.run.seed)
    return Restoration(recipe.loss)


def build_model(choice: ModelChoice) -> nn.Module:
    """Build the model of a recipe, with its weights if it names any."""
    if choice.weights is not None and not choice.config:
        return open_model(choice.weights)
    model = create_model(choice.name, weights=choice.weights, **choice.config)
    if choice.from_input and choice.weights is None:
        with torch.no_grad():
            for parameter in model.stages[-1].heads.parameters():
                parameter.zero_()
    return model


def prepare_blocks(model: nn.Module, *, recompute: bool, compile_: bool) -> None:
    """Switch recomputation on, and compile each block by itself."""
    if recompute:
        model.set_grad_checkpointing(True)  # type: ignore[operator]  # pyright: ignore[reportCallIssue]
    if compile_:
        for block in model.blocks():  # type: ignore[operator]  # pyright: ignore[reportCallIssue]
            block.compile()


def batches(session: Session) -> Iterator[list[Sample]]:
    """Give the passes of each step that is left, on the session's device."""
    run, accelerator = session.recipe.run, session.accelerator
    processes, process = accelerator.num_processes, accelerator.process_index
    share = Share(run.batch, process, processes, run.workers)
    first, end = session.position.step * run.accumulate, run.steps * run.accumulate
    waiting: list[Sample] = []
    for number, sample in enumerate(
        passes(session.source, run.seed, share, first=first, end=end), start=first
    ):
        moved = _to(sample, accelerator.device)
        waiting.append(session.objective.mixed(moved, number * processes + process))
        if len(waiting) == run.accumulate:
            yield waiting
            waiting = []


@torch.no_grad()
def validate(
    session: Session, on_unreadable: Callable[[Sequence[str]], None] | None = None
) -> float:
    """Score the held-out samples; their mean.

    Parameters
    ----------
    session : Session
    on_unreadable : callable, optional
        Receives the complaints about items that could not be read, and had others in their place.
    """
    recipe, accelerator = session.recipe, session.accelerator
    assert session.held_out is not None  # noqa: S101 (asked for by the loop only then)
    model = session.best_model
    was_training = model.training
    model.eval()
    mine = range(accelerator.process_index, recipe.valid_samples, accelerator.num_processes)
    total = torch.zeros(2, device=accelerator.device)  # Apple's GPUs have no float64
    for first in range(0, len(mine), recipe.run.batch):
        numbers = mine[first : first + recipe.run.batch]
        sample = _to(collate([session.held_out[n] for n in numbers]), accelerator.device)
        if on_unreadable:
            on_unreadable(sample.complaints)
        scores = session.objective.scores(model, sample.input, sample.target)
        total += torch.tensor([scores.sum(), len(scores)], device=total.device)
    model.train(was_training)
    total = accelerator.reduce(total)
    return float(total[0] / total[1])  # type: ignore[index]  # pyright: ignore[reportIndexIssue]


def _to(sample: Sample, device: torch.device) -> Sample:
    def move(x: Tensor) -> Tensor:
        return x.to(device, non_blocking=True)

    return Sample(move(sample.input), move(sample.target), sample.complaints)
