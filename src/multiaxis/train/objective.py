"""What a training asks of its use: models, losses and a metric. A use fills in what it needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from multiaxis.data.batch import Batch
from multiaxis.data.source import Source
from multiaxis.errors import ConfigError
from multiaxis.train.build import build_model
from multiaxis.train.recipe import ModelChoice, Recipe

Models = Mapping[str, nn.Module]


def wrong_data(recipe: Recipe, does: str, lacks: str) -> ConfigError:
    """Make the error of an objective whose data is another's.

    Parameters
    ----------
    recipe : Recipe
    does : str
        What the recipe does, such as "classifies".
    lacks : str
        What its data has not, such as "classes".
    """
    return ConfigError(
        f"the recipe {recipe.name} {does}, and its data, {type(recipe.data).__name__}, have no "
        f"{lacks}: give it the objective of its data"
    )


class Metric:
    """What is computed over the whole held-out set.

    Processes see parts of the set: the training gathers their records, and puts them in the order
    of the samples' numbers before `compute`, so that no result depends on how many they were.

    Attributes
    ----------
    records : list
        One for each sample that was added, in their order: plain values, arrays or tensors in the
        processor's memory.
    """

    def __init__(self) -> None:
        self.records: list[Any] = []

    def add(self, models: Models, batch: Batch) -> None:
        """Append a record for each sample of a batch."""
        raise NotImplementedError

    def compute(self) -> dict[str, float]:
        """Give the scores by name; by default the means of records that are scores by name."""
        names = self.records[0]
        return {n: sum(r[n] for r in self.records) / len(self.records) for n in names}


class Objective:
    """What models are trained for.

    Attributes
    ----------
    fields : tuple of str
        What its batches have to hold.
    turns : tuple of str
        Names of the models that a step moves, in this order, each with an optimiser of its own.
        Models that are no turn's are never moved.
    exported : str
        The model that is averaged and exported.
    score : str
        Which of the metric's values is reported as the score.
    takes_input : bool
        Whether it knows what ``model.from_input`` asks for.
    """

    fields: tuple[str, ...] = ()
    turns: tuple[str, ...] = ("model",)
    exported: str = "model"
    score: str = "score"
    takes_input: bool = False

    def build(self, choice: ModelChoice) -> dict[str, nn.Module]:
        """Build the models by name. In a step they are called by ``forward`` alone."""
        return {"model": build_model(choice)}

    def check(self, models: Models, held_out: Source | None) -> None:
        """Refuse models, data or held-out data that do not fit, before anything is trained.

        Raises
        ------
        ConfigError
            With what would fit.
        """

    def prepare(self, batch: Batch) -> Batch:
        """Change a batch that lies on the device; whatever is random is seeded by its numbers."""
        return batch

    def losses(self, models: Models, batch: Batch, turn: str) -> dict[str, Tensor]:
        """Give the losses of each sample by name, for the model whose turn it is.

        Their sum is minimised: its mean over the samples, weighed by the batch's field ``weight``
        where there is one. The names are the same in every step.

        Parameters
        ----------
        models : mapping of str to Module
        batch : Batch
        turn : str

        Returns
        -------
        dict of str to Tensor, shape (samples,)
        """
        raise NotImplementedError

    def metric(self) -> Metric:
        """Give an empty metric."""
        raise NotImplementedError

    def about(self) -> dict[str, str]:
        """Give metadata of the exported weights: what their users have to know."""
        return {}
