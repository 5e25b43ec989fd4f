"""What a wrong class costs, and how classifying is scored."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor

from multiaxis.data.batch import Batch
from multiaxis.data.mix import mix_batch
from multiaxis.data.source import Source, Stream
from multiaxis.errors import ConfigError
from multiaxis.tasks.classify.objective import Classification
from multiaxis.tasks.classify.samples import FIELDS, ClassSource, Labelled
from multiaxis.tasks.classify.stated import as_validated, write_stated
from multiaxis.train.objective import Metric, Models, Objective, wrong_data
from multiaxis.train.recipe import Recipe


class Top1(Metric):
    """Share (%) of the pictures whose best guess is right."""

    def add(self, models: Models, batch: Batch) -> None:
        """Score each sample of a batch: 100 or 0."""
        right = models["model"](batch["picture"]).argmax(dim=-1) == batch["label"]
        self.records += [{"top1": 100.0 * value} for value in right.tolist()]


class ClassificationObjective(Objective):
    """Classes from pictures.

    Parameters
    ----------
    config : Classification
    recipe : Recipe
    source : Source or Stream
        Knows its classes.

    Raises
    ------
    ConfigError
        If it does not.
    """

    fields = FIELDS
    score = "top1"

    def __init__(self, config: Classification, recipe: Recipe, source: Source | Stream) -> None:
        if not isinstance(source, Labelled):
            raise wrong_data(recipe, "classifies", "classes")
        self._config, self._recipe, self._classes = config, recipe, source.classes
        # Shards only count their classes.
        self._names = source.classes if isinstance(source, ClassSource) else None

    def check(self, models: Models, held_out: Source | None) -> None:
        """Refuse another number of classes than the model tells apart, and others held out."""
        if isinstance(held_out, Labelled) and self._names is not None:
            differing = sorted(set(held_out.classes) ^ set(self._names))
            if differing:
                raise ConfigError(
                    f"data and valid have different classes, such as {', '.join(differing[:3])}: "
                    "give both the same folders"
                )
        count = len(self._classes)
        known = getattr(getattr(models["model"], "config", None), "num_classes", count)
        if known != count:
            raise ConfigError(
                f"the data has {count} classes and the model tells {known} apart: "
                f"--set model.config.num_classes={count}"
            )

    def prepare(self, batch: Batch) -> Batch:
        """Smooth the labels and mix the pictures of a batch."""
        config, count = self._config, len(self._classes)
        shares = F.one_hot(batch["label"], count).float()
        shares = shares * (1 - config.smoothing) + config.smoothing / count
        place = int(batch.numbers[0]) // len(batch)  # of the batch among those of all processes
        rng = np.random.default_rng((self._recipe.run.seed, 1, place))
        mixed, shares = mix_batch(
            batch["picture"], shares, mixup=config.mixup, cutmix=config.cutmix, rng=rng
        )
        return batch.with_fields(picture=mixed, shares=shares)

    def losses(self, models: Models, batch: Batch, turn: str) -> dict[str, Tensor]:
        """Cross entropy against shares of classes."""
        logits, shares = models[turn](batch["picture"]), batch["shares"]
        if self._config.kind == "sigmoid":
            each = F.binary_cross_entropy_with_logits(logits, shares, reduction="none")
            return {"cross_entropy": each.sum(dim=-1)}
        return {"cross_entropy": F.cross_entropy(logits, shares, reduction="none")}

    def metric(self) -> Top1:
        """Give an empty metric."""
        return Top1()

    def about(self) -> dict[str, str]:
        """State how pictures are shown to the model, and what classes are called.

        Held-out pictures may have another size than those that are trained on.
        """
        seen = self._recipe.data if self._recipe.valid is None else self._recipe.valid
        size = getattr(seen, "size", None)
        return write_stated(as_validated(size), self._names) if isinstance(size, int) else {}
