"""What a wrong pixel costs, and how segmenting is scored."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor, nn

from multiaxis.data.batch import Batch
from multiaxis.data.source import Source, Stream
from multiaxis.errors import ConfigError
from multiaxis.models.fpn import by_size
from multiaxis.score.confusion import Confusion
from multiaxis.tasks.segment.classes import Classes
from multiaxis.tasks.segment.network import build_network
from multiaxis.tasks.segment.objective import Segmentation
from multiaxis.tasks.segment.samples import FIELDS, Labelled
from multiaxis.tasks.segment.stated import write_stated
from multiaxis.train.objective import Metric, Models, Objective, wrong_data
from multiaxis.train.recipe import ModelChoice, Recipe

VOID = -1  # labels that do not count


class MeanIou(Metric):
    """Mean intersection over union (%), of one confusion matrix over the set.

    Parameters
    ----------
    classes : Classes
    """

    def __init__(self, classes: Classes) -> None:
        super().__init__()
        self._classes, self._confusion = classes, Confusion(len(classes))

    def add(self, models: Models, batch: Batch) -> None:
        """Count the pixels of each sample, by what they are and what they are taken for."""
        pictures, truths = batch["picture"], batch["labels"]
        counted = {}
        for numbers in by_size(pictures):
            shown = torch.stack([pictures[k] for k in numbers])
            found = models["model"](shown).argmax(dim=1).cpu().numpy()
            for k, labels in zip(numbers, found, strict=True):
                counted[k] = self._confusion.count(labels, truths[k].cpu().numpy())
        self.records += [counted[k] for k in range(len(truths))]

    def compute(self) -> dict[str, float]:
        """Give the mean, the share of right pixels and each class's own."""
        confusion = Confusion(len(self._classes))
        for counts in self.records:
            confusion.add(counts)
        found = confusion.scores()
        each = zip(self._classes.names, found.each, strict=True)
        return {
            "miou": 100 * found.miou,
            "pixels": 100 * found.accuracy,
            **{f"iou {name}": 100 * value for name, value in each},
        }


class SegmentationObjective(Objective):
    """Classes of pixels.

    Parameters
    ----------
    about : Segmentation
    recipe : Recipe
    source : Source or Stream
        Knows its classes.

    Raises
    ------
    ConfigError
        If it does not.
    """

    fields = FIELDS
    score = "miou"

    def __init__(self, about: Segmentation, recipe: Recipe, source: Source | Stream) -> None:
        if not isinstance(source, Labelled):
            raise wrong_data(recipe, "segments", "classes of pixels")
        self._about, self._classes, self._numbers = about, source.classes, source.numbers

    def build(self, choice: ModelChoice) -> dict[str, nn.Module]:
        """Build a backbone with a decoder for as many classes as the data has."""
        network = build_network(
            choice.name,
            self._about.decoder,
            len(self._classes),
            weights=choice.weights,
            config=choice.config,
        )
        return {"model": network}

    def check(self, models: Models, held_out: Source | None) -> None:  # noqa: ARG002 (the data decide)
        """Refuse other classes among what is held out."""
        if isinstance(held_out, Labelled) and held_out.classes.names != self._classes.names:
            raise ConfigError(
                f"data has the classes {', '.join(self._classes.names[:5])}... and valid "
                f"{', '.join(held_out.classes.names[:5])}...: give both the same, in one order"
            )

    def losses(self, models: Models, batch: Batch, turn: str) -> dict[str, Tensor]:
        """Give cross entropies whose mean is that of all pixels of the batch that count."""
        logits, labels = models[turn](batch["picture"]), batch["labels"].long()
        each = F.cross_entropy(
            logits,
            labels,
            ignore_index=VOID,
            reduction="none",
            label_smoothing=self._about.smoothing,
        )
        counted = (labels != VOID).sum()
        return {"cross_entropy": each.sum(dim=(1, 2)) * len(batch) / counted.clamp(min=1)}

    def metric(self) -> MeanIou:
        """Give an empty metric."""
        return MeanIou(self._classes)

    def about(self) -> dict[str, str]:
        """State names, colours and numbers of the classes."""
        return write_stated(self._classes, self._numbers)
