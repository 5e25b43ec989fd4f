"""A use of some thirty lines: counting dots with two models, from ragged targets, by rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from multiaxis.data.batch import Batch
from multiaxis.data.source import Arrays, Data, Source
from multiaxis.train.objective import Metric, Models, Objective
from multiaxis.train.recipe import ModelChoice, Optim, Recipe, Run


class RankCorrelation(Metric):
    def add(self, models: Models, batch: Batch) -> None:
        found = sum(model(batch["picture"]) for model in models.values())
        self.records += zip(found.tolist(), map(len, batch["points"]))

    def compute(self) -> dict[str, float]:
        ranks = np.argsort(np.argsort(self.records, axis=0), axis=0)
        return {"rank": float(np.corrcoef(ranks.T)[0, 1]), "samples": float(len(self.records))}


class Counting(Objective):
    turns, exported, score = ("predictor", "refiner"), "predictor", "rank"

    def build(self, choice: ModelChoice) -> dict[str, nn.Module]:
        return {name: Counter(**choice.config) for name in self.turns}

    def losses(self, models: Models, batch: Batch, turn: str) -> dict[str, Tensor]:
        found = models["predictor"](batch["picture"])
        if turn == "refiner":
            found = found + models["refiner"](batch["picture"])
        wanted = found.new_tensor([len(points) for points in batch["points"]])
        return {"squared": (found - wanted).square(), "size": 0.01 * found.abs()}

    def metric(self) -> RankCorrelation:
        return RankCorrelation()


@dataclass(frozen=True, kw_only=True)
class CountDots:
    def open(self, recipe: Recipe, source: Any) -> Counting:
        return Counting()


class Counter(nn.Module):
    def __init__(self, dropout: float = 0.2) -> None:
        super().__init__()
        layers = (nn.Linear(64, 16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 1))
        self.layers = nn.Sequential(nn.Flatten(), *layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)[:, 0]


class DotSource(Source):
    ragged = frozenset({"points"})

    def __len__(self) -> int:
        return 30

    def name(self, index: int) -> str:
        return f"picture {index}"

    def sample(self, index: int, rng: np.random.Generator) -> Arrays:
        points = rng.permutation(64)[: index % 7]
        picture = np.zeros(64, np.float32)
        picture[points] = 1
        places = np.stack(np.divmod(points, 8), axis=1).astype(np.float32)
        return {"picture": picture.reshape(8, 8, 1), "points": places}


@dataclass(frozen=True, kw_only=True)
class Dots(Data):
    def open(self) -> DotSource:
        return DotSource()


def recipe(**run: Any) -> Recipe:
    rest = {"log_every": 1, "validate_every": 20, "save_every": 20, "tracker": "none", **run}
    return Recipe(
        name="dots",
        about="A recipe for tests",
        model=ModelChoice(name="counter"),
        data=Dots(),
        valid=Dots(),
        valid_samples=25,
        objective=CountDots(),
        optim=Optim(lr=1e-2, final_lr=1e-3),
        optims={"refiner": Optim(kind="adamw", lr=3e-3, clip=1.0, weight_decay=0.01)},
        run=Run(**{"steps": 40, "batch": 4, "ema": 0.9, "workers": 0, **rest}),
    )
