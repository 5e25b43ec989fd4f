"""What a missed or wrong thing costs, and how detecting is scored."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from multiaxis.data.batch import Batch
from multiaxis.data.source import Source, Stream
from multiaxis.errors import ConfigError
from multiaxis.tasks.detect.augment import whole
from multiaxis.tasks.detect.found import to_found
from multiaxis.tasks.detect.networks.network import DetectionNetwork
from multiaxis.tasks.detect.networks.store import create_network
from multiaxis.tasks.detect.precision import score
from multiaxis.tasks.detect.samples import FIELDS, Annotations
from multiaxis.tasks.detect.stated import write_stated
from multiaxis.tasks.detect.truth import Truth
from multiaxis.train.objective import Metric, Models, Objective, wrong_data
from multiaxis.train.recipe import ModelChoice, Recipe


class AveragePrecision(Metric):
    """pycocotools' figures of the held-out set: boxes, and masks where the network finds them.

    Parameters
    ----------
    truth : Truth
        Of the held-out set.
    names : list of str
        Of the classes that the network tells apart, by label.
    masks : bool
    """

    def __init__(self, truth: Truth, names: list[str], *, masks: bool) -> None:
        super().__init__()
        self.truth, self.names, self.masks = truth, names, masks

    def add(self, models: Models, batch: Batch) -> None:
        """Detect what is in each picture of a batch."""
        made = models["model"](_pictures(batch))
        for item, picture, found in zip(batch["item"], batch["picture"], made, strict=True):
            about = self.truth.pictures[int(item)]
            size = (about.height, about.width)
            seen = whole(size, picture.shape[0]).scaled
            self.records.append((int(item), to_found(found, seen, size)))

    def compute(self) -> dict[str, float]:
        """Give the figures that the set has things for; those of masks begin with ``mask_``."""
        ids = {category.name: category.id for category in self.truth.classes}
        absent = min(ids.values()) - 1  # classes that are not in the held-out set
        places = [ids.get(name, absent) for name in self.names]
        results: list[dict[str, Any]] = []
        pictures = self.truth.pictures
        for item, found in dict(self.records).items():
            results += found.as_results(pictures[item].id, places)
        results = [row for row in results if row["category_id"] != absent]
        scored = {item for item, _ in self.records}
        truth = Truth(
            self.truth.source,
            self.truth.classes,
            tuple(picture for k, picture in enumerate(pictures) if k in scored),
        )
        figures = score(truth, results).figures
        if self.masks:
            masks = score(truth, results, "segm").figures
            figures = {**figures, **{f"mask_{name}": value for name, value in masks.items()}}
        return {name: value for name, value in figures.items() if not math.isnan(value)}


class DetectionObjective(Objective):
    """Things in pictures.

    Parameters
    ----------
    recipe : Recipe
    source : Source or Stream
        Knows its classes.

    Raises
    ------
    ConfigError
        If it does not.
    """

    fields = FIELDS
    score = "AP"

    def __init__(self, recipe: Recipe, source: Source | Stream) -> None:
        if not isinstance(source, Annotations):
            raise wrong_data(recipe, "detects", "boxes")
        self._recipe, self._truth = recipe, source.truth
        self._held_out: Truth | None = None
        self._masks = False

    def build(self, choice: ModelChoice) -> dict[str, nn.Module]:
        """Build the detector for the classes of the data."""
        config = {**choice.config, "classes": len(self._truth.classes)}
        return {"model": create_network(choice.name, weights=choice.weights, **config)}

    def check(self, models: Models, held_out: Source | None) -> None:
        """Refuse data without masks where masks are found, and held-out data of other classes."""
        recipe, network = self._recipe, models["model"]
        count = len(self._truth.classes)
        if not isinstance(network, DetectionNetwork) or network.config.classes != count:
            raise ConfigError(
                f"received a {type(network).__name__}: accepted is a DetectionNetwork of {count} "
                "classes"
            )
        self._masks = network.config.finds_masks
        if self._masks:
            self.score = "mask_AP"
        for part, data in (("data", recipe.data), ("valid", recipe.valid)):
            if data is not None and self._masks and not getattr(data, "masks", False):
                raise ConfigError(
                    f"{recipe.model.name} finds masks, and {part}.masks is false: --set "
                    f"{part}.masks=true, or choose a model of boxes"
                )
        _check_annotated("data", self._truth)
        if not isinstance(held_out, Annotations):
            return
        other = sorted(set(held_out.truth.names) - set(self._truth.names))
        if other:
            raise ConfigError(
                f"valid has classes that data has not, such as {', '.join(other[:3])}: give both "
                "the same classes"
            )
        _check_annotated("valid", held_out.truth)
        self._held_out = held_out.truth

    def losses(self, models: Models, batch: Batch, turn: str) -> dict[str, Tensor]:
        """Say what the detector missed, found too much, or placed wrongly."""
        names = ("boxes", "labels", "crowd") + (("masks",) if "masks" in batch.fields else ())
        targets = [
            dict(zip(names, values, strict=True))
            for values in zip(*(batch[name] for name in names), strict=True)
        ]
        return models[turn](_pictures(batch), targets)

    def metric(self) -> AveragePrecision:
        """Give an empty metric."""
        truth = self._truth if self._held_out is None else self._held_out
        return AveragePrecision(truth, self._truth.names, masks=self._masks)

    def about(self) -> dict[str, str]:
        """State the size that pictures were trained at, and what classes are called."""
        size: int = getattr(self._recipe.data, "size", 0)
        return write_stated(size, self._truth.classes)


def _check_annotated(part: str, truth: Truth) -> None:
    if truth.pictures and not any(not t.crowd for p in truth.pictures for t in p.instances):
        purpose = "learn from" if part == "data" else "score on"
        raise ConfigError(f"nothing is annotated in {part}: there is nothing to {purpose}")


def _pictures(batch: Batch) -> list[Tensor]:
    """Give pictures as networks take them: (3, height, width), floats from 0 to 1."""
    return [picture.permute(2, 0, 1).float() / 255 for picture in batch["picture"]]
