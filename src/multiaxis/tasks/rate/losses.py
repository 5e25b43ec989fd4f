"""What a wrong rating or choice costs in a training, and how rating is scored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from multiaxis.data.batch import Batch
from multiaxis.data.source import Source, Stream
from multiaxis.errors import ConfigError
from multiaxis.score.correlation import pearson, rank_correlation, right_pairs
from multiaxis.tasks.rate.config import HeadConfig
from multiaxis.tasks.rate.costs import earth_movers, pair_entropy
from multiaxis.tasks.rate.network import build_network
from multiaxis.tasks.rate.objective import Preferences, Votes
from multiaxis.tasks.rate.samples import CHOICE, RATED, Chosen, Voted
from multiaxis.tasks.rate.scale import Scale
from multiaxis.tasks.rate.stated import mark
from multiaxis.train.objective import Metric, Models, Objective
from multiaxis.train.recipe import ModelChoice, Recipe


class Correlation(Metric):
    """Correlations of mean ratings over the set, and the share of pairs in the right order.

    Parameters
    ----------
    scale : Scale
    """

    def __init__(self, scale: Scale) -> None:
        super().__init__()
        self._values = torch.tensor(scale.values)

    def add(self, models: Models, batch: Batch) -> None:
        """Record the predicted and the true mean of each sample."""
        found = models["model"](batch["picture"]).float().softmax(dim=1)
        values = self._values.to(found.device)
        both = torch.stack([found @ values, batch["shares"].float() @ values], dim=1)
        self.records += both.cpu().tolist()

    def compute(self) -> dict[str, float]:
        """Give SRCC, PLCC, the share of right pairs and the mean error; fewer than 3 give 0."""
        if len(self.records) < 3:
            return {"srcc": 0.0, "plcc": 0.0, "pairs": 0.5, "error": 0.0}
        found, truth = np.array(self.records).T
        scores = {
            "srcc": rank_correlation(found, truth),
            "plcc": pearson(found, truth),
            "pairs": right_pairs(found, truth),
            "error": float(np.abs(found - truth).mean()),
        }
        # A set, or an answer, of one value has no correlation: nothing was told apart.
        empty = {"srcc": 0.0, "plcc": 0.0, "pairs": 0.5}
        return {n: empty[n] if np.isnan(value) else value for n, value in scores.items()}


class RightChoices(Metric):
    """Share (%) of the votes that choose what the model prefers; a tie is half right."""

    def __init__(self, objective: ChoiceObjective) -> None:
        super().__init__()
        self._objective = objective

    def add(self, models: Models, batch: Batch) -> None:
        """Record the votes that are right, and all, of each sample."""
        sign = self._objective.difference(models["model"], batch).sign()
        share, votes = batch["share"], batch["weight"]
        right = torch.where(sign > 0, share, torch.where(sign < 0, 1 - share, 0.5)) * votes
        self.records += torch.stack([right, votes], dim=1).cpu().tolist()

    def compute(self) -> dict[str, float]:
        """Give the share."""
        right, votes = np.array(self.records).sum(axis=0)
        return {"choices": 100 * float(right / votes)}


class VoteObjective(Objective):
    """Shares of votes.

    Parameters
    ----------
    about : Votes
    recipe : Recipe
    source : Source or Stream
        Knows its scale.

    Raises
    ------
    ConfigError
        If it does not.
    """

    fields = RATED
    score = "srcc"

    def __init__(self, about: Votes, recipe: Recipe, source: Source | Stream) -> None:
        if not isinstance(source, Voted):
            raise _unfit(recipe, "have no votes")
        self._about, self._scale = about, source.scale

    def build(self, choice: ModelChoice) -> dict[str, nn.Module]:
        """Build a backbone with the paper's head, for the data's scale."""
        return {"model": _network(choice, replace(self._about.head, scale=self._scale))}

    def check(self, models: Models, held_out: Source | None) -> None:  # noqa: ARG002 (the data decide)
        """Refuse another scale among what is held out."""
        if isinstance(held_out, Voted) and held_out.scale != self._scale:
            raise ConfigError(
                f"data has the scale {self._scale.values} and valid {held_out.scale.values}: set "
                "data.scale, which valid takes over"
            )

    def losses(self, models: Models, batch: Batch, turn: str) -> dict[str, Tensor]:
        """Give the earth mover's distance of each sample."""
        found = models[turn](batch["picture"]).float().softmax(dim=1)
        return {"distance": earth_movers(found, batch["shares"].float(), self._about.r)}

    def metric(self) -> Correlation:
        """Give an empty metric."""
        return Correlation(self._scale)

    def about(self) -> dict[str, str]:
        """Say that the weights are a rater's."""
        return mark()


class ChoiceObjective(Objective):
    """Choices between two pictures, with or without their original.

    Parameters
    ----------
    about : Preferences
    recipe : Recipe
    source : Source or Stream
        Knows whether its choices have an original.

    Raises
    ------
    ConfigError
        If it does not, or the head is of the other kind.
    """

    fields = CHOICE
    score = "choices"

    def __init__(self, about: Preferences, recipe: Recipe, source: Source | Stream) -> None:
        if not isinstance(source, Chosen):
            raise _unfit(recipe, "have no choices")
        kind = "closeness" if source.has_reference else "score"
        if about.head.kind != kind:
            raise ConfigError(
                f"objective.head.kind is {about.head.kind}, and the choices of the data need "
                f"{kind}: --set objective.head.kind={kind}"
            )
        self._about, self._has_reference = about, source.has_reference

    def build(self, choice: ModelChoice) -> dict[str, nn.Module]:
        """Build a backbone with a head that compares."""
        return {"model": _network(choice, self._about.head)}

    def difference(self, model: nn.Module, batch: Batch) -> Tensor:
        """Tell how much the first picture of each sample is preferred."""
        pair = torch.cat([batch["first"], batch["second"]])
        if self._has_reference:
            first, second = model(torch.cat([batch["reference"]] * 2), pair).float().chunk(2)
            return second - first  # the nearer one is preferred
        first, second = model(pair).float().chunk(2)
        return first - second

    def losses(self, models: Models, batch: Batch, turn: str) -> dict[str, Tensor]:
        """Give the cross entropy of each choice; its votes weigh it."""
        difference = self.difference(models[turn], batch)
        return {"choice": pair_entropy(difference, batch["share"], self._about.model)}

    def metric(self) -> RightChoices:
        """Give an empty metric."""
        return RightChoices(self)

    def about(self) -> dict[str, str]:
        """Say that the weights are a rater's."""
        return mark()


def _network(choice: ModelChoice, head: HeadConfig) -> nn.Module:
    if choice.from_input:
        raise ConfigError("model.from_input is true: it is for restoring only")
    return build_network(choice.name, head, weights=choice.weights, config=choice.config)


def _unfit(recipe: Recipe, why: str) -> ConfigError:
    return ConfigError(
        f"the recipe {recipe.name} rates, and its data, {type(recipe.data).__name__}, {why}: give "
        "it the objective of its data"
    )
