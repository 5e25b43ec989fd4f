"""Everything that a training works with, made from its recipe."""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, ProjectConfiguration, gather_object, set_seed
from torch import nn
from torch.optim.swa_utils import AveragedModel

from multiaxis.data.batch import Batch, collate
from multiaxis.data.load import Share, passes
from multiaxis.data.numbered import NumberedSamples
from multiaxis.data.source import Source, Stream
from multiaxis.errors import ConfigError, unknown
from multiaxis.train.build import prepare_blocks
from multiaxis.train.checkpoint import Parts, check_whole, go_on, newest
from multiaxis.train.described import check_recipe
from multiaxis.train.objective import Metric, Models, Objective
from multiaxis.train.optimiser import Statistics, averaging, make_optimiser
from multiaxis.train.position import Position
from multiaxis.train.recipe import Recipe
from multiaxis.weights.store import write_safetensors

VALIDATION_SEED = 2201_02973  # of the held-out crops and their noise: the same in every training


@dataclass
class Session:
    """The parts of a training.

    Attributes
    ----------
    recipe : Recipe
    folder : Path
    accelerator : Accelerator
    objective : Objective
    models : dict of str to nn.Module
        As the product knows them.
    trained : dict of str to nn.Module
        As they are called in a step: wrapped for gradients of many processes.
    optimisers : dict of str to torch.optim.Optimizer
        Of the models that have a turn.
    average : AveragedModel or None
        The averaged weights of the exported model.
    source : Source or Stream
    held_out : NumberedSamples or None
    position : Position
    statistics : Statistics
        Of the models' batch norms.
    """

    recipe: Recipe
    folder: Path
    accelerator: Accelerator
    objective: Objective
    models: dict[str, nn.Module]
    trained: dict[str, nn.Module]
    optimisers: dict[str, torch.optim.Optimizer]
    average: AveragedModel | None
    source: Source | Stream
    held_out: NumberedSamples | None
    position: Position
    statistics: Statistics

    @property
    def exported(self) -> nn.Module:
        """The model that is exported, as it is trained."""
        return self.models[self.objective.exported]

    @property
    def scored(self) -> dict[str, nn.Module]:
        """The models that are scored: with averaged weights where there are any."""
        if self.average is None:
            return self.models
        return {**self.models, self.objective.exported: self.average.module}

    @property
    def parts(self) -> Parts:
        """What a checkpoint holds."""
        return Parts(self.trained, self.optimisers, self.average, self.position)

    def export(self) -> Path:
        """Write the weights as a file that every other part of the product loads."""
        path = self.folder / "weights.safetensors"
        if self.average is None:
            trained = self.trained[self.objective.exported]
            state: dict[str, Any] = self.accelerator.get_state_dict(trained)
        else:
            state = dict(self.average.module.state_dict())
        if self.accelerator.is_main_process:
            config = getattr(self.exported, "config", None)
            about = {
                "model": self.recipe.model.name,
                "recipe": self.recipe.name,
                "step": str(self.position.step),
                **self.objective.about(),
            }
            if is_dataclass(config) and not isinstance(config, type):
                about["config"] = json.dumps(asdict(config))
            write_safetensors(path, {n: v.detach().cpu() for n, v in state.items()}, about)
        return path


def open_session(recipe: Recipe, folder: Path, *, models: Models | None = None) -> Session:
    """Build what a recipe asks for, and go on from the newest checkpoint of the folder.

    Parameters
    ----------
    recipe : Recipe
    folder : Path
    models : mapping of str to Module, optional
        Trained in place of those that the recipe names.

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
    held_out = open_held_out(recipe)
    objective = open_objective(recipe, source)
    set_seed(run.seed)
    built = objective.build(recipe.model) if models is None else dict(models)
    check_names(objective, recipe, built, accelerator)
    for model in built.values():
        model.train()
    prepare_blocks(built.values(), recompute=run.recompute, compile_=run.compile)
    objective.check(built, held_out and held_out.source)
    for model in built.values():
        model.to(accelerator.device)
    average = None
    if run.ema:
        exported = built[objective.exported]
        average = AveragedModel(exported, multi_avg_fn=averaging(run.ema), use_buffers=True)
        average.eval()
    made = {turn: make_optimiser(built[turn], recipe.optim_of(turn)) for turn in objective.turns}
    prepared: Any = accelerator.prepare(*built.values(), *made.values())
    session = Session(
        recipe=recipe,
        folder=folder,
        accelerator=accelerator,
        objective=objective,
        models=built,
        trained=dict(zip(built, prepared[: len(built)], strict=True)),
        optimisers=dict(zip(made, prepared[len(built) :], strict=True)),
        average=average,
        source=source,
        held_out=held_out,
        position=Position(),
        statistics=Statistics(built.values()),
    )
    set_seed(run.seed + accelerator.process_index + 1)
    if last:
        go_on(accelerator, recipe, last, session.parts)
    return session


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
            # Without this, processes of torchrun would not know of each other on processors.
            cpu=not torch.accelerator.is_available(),
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


def open_held_out(recipe: Recipe) -> NumberedSamples | None:
    """Open what a recipe is scored on, where it names any, and try a sample.

    Raises
    ------
    ConfigError
        If it is a stream, which cannot be had in any order.
    DataError
        If no sample can be made of it.
    """
    if recipe.valid is None:
        return None
    held_out = recipe.valid.open()
    if isinstance(held_out, Stream):
        raise ConfigError("valid is in shards: give it folders")
    samples = NumberedSamples(held_out, VALIDATION_SEED)
    _ = samples[0]  # hours before the first validation
    return samples


def open_objective(recipe: Recipe, source: Source | Stream) -> Objective:
    """Make what the models are trained for.

    Raises
    ------
    ConfigError
        If it needs other data.
    """
    objective = recipe.objective.open(recipe, source)
    if recipe.model.from_input and not objective.takes_input:
        raise ConfigError("model.from_input is true: it is for restoring only")
    for part, data in (("data", recipe.data), ("valid", recipe.valid)):
        missing = set(objective.fields) - set(data.fields) if data and data.fields else set[str]()
        if missing:
            raise ConfigError(
                f"the recipe {recipe.name} has the objective {type(recipe.objective).__name__}, "
                f"and its {part}, {type(data).__name__}, lack {', '.join(sorted(missing))}: give "
                "it the objective of its data"
            )
    return objective


def check_names(
    objective: Objective, recipe: Recipe, models: Models, accelerator: Accelerator
) -> None:
    """Refuse names of models that mean nothing, and several models where they cannot be split.

    Raises
    ------
    ConfigError
        With the names that are known.
    """
    for name in (*objective.turns, objective.exported):
        if name not in models:
            raise unknown("model of the objective", name, models)
    for name in objective.turns:
        if not any(p.requires_grad for p in models[name].parameters()):
            raise ConfigError(f"the model {name} has a turn, but no trainable parameter")
    for name in models:
        if not name.isidentifier():  # it becomes part of a file's name
            raise ConfigError(
                f"a model is called {name!r}: accepted are names of letters, digits and underscores"
            )
    for name in recipe.optims:
        if name not in objective.turns:
            raise unknown("model in optims", name, objective.turns)
    if accelerator.distributed_type == DistributedType.FSDP and list(models) != ["model"]:
        raise ConfigError("FSDP splits one model, and the objective has several: use torchrun")


def batches(session: Session) -> Iterator[list[Batch]]:
    """Give the passes of each step that is left, on the session's device."""
    run, accelerator = session.recipe.run, session.accelerator
    share = Share(
        batch=run.batch,
        process=accelerator.process_index,
        processes=accelerator.num_processes,
        workers=run.workers,
        pinned=accelerator.device.type == "cuda",
    )
    first, end = session.position.step * run.accumulate, run.steps * run.accumulate
    waiting: list[Batch] = []
    for batch in passes(session.source, run.seed, share, first=first, end=end):
        waiting.append(session.objective.prepare(batch.to(accelerator.device)))
        if len(waiting) == run.accumulate:
            yield waiting
            waiting = []


@torch.no_grad()
def validate(
    session: Session, on_unreadable: Callable[[Sequence[str]], None] | None = None
) -> dict[str, float]:
    """Score the held-out samples.

    Parameters
    ----------
    session : Session
    on_unreadable : callable, optional
        Receives the complaints about items that could not be read, and had others in their place.

    Returns
    -------
    dict of str to float
        What the objective's metric computes over all samples; the same in every process.

    Raises
    ------
    ConfigError
        If the metric has another number of records than samples, or not the objective's score.
    """
    recipe, accelerator = session.recipe, session.accelerator
    assert session.held_out is not None  # noqa: S101 (asked for by the loop only then)
    models, metric = session.scored, session.objective.metric()
    was_training = {name: model.training for name, model in models.items()}
    for model in models.values():
        model.eval()
    source, count = session.held_out.source, recipe.valid_samples
    count = min(count, len(source)) if source.is_fixed else count
    mine = range(accelerator.process_index, count, accelerator.num_processes)
    for first in range(0, len(mine), recipe.run.batch):
        samples = [session.held_out[n] for n in mine[first : first + recipe.run.batch]]
        batch = collate(samples, source.ragged).to(accelerator.device)
        if on_unreadable:
            on_unreadable(batch.complaints)
        metric.add(models, batch)
    for name, model in models.items():
        model.train(was_training[name])
    _gather(metric, mine, accelerator)
    scores = metric.compute()
    if session.objective.score not in scores:
        raise unknown("score of the metric", session.objective.score, scores)
    return scores


def _gather(metric: Metric, mine: Sequence[int], accelerator: Accelerator) -> None:
    """Give a metric the records of all processes, in the order of the samples."""
    if len(metric.records) != len(mine):
        raise ConfigError(
            f"a {type(metric).__name__} has {len(metric.records)} records of {len(mine)} samples: "
            "accepted is one for each"
        )
    if accelerator.num_processes == 1:
        return
    numbered: list[tuple[int, Any]] = gather_object(list(zip(mine, metric.records, strict=True)))
    metric.records = [record for _, record in sorted(numbered, key=lambda pair: pair[0])]
