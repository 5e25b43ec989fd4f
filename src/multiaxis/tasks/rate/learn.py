"""Learning from few ratings, and saying honestly how well that went."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multiaxis.score.correlation import (
    rank_correlation,
    rank_interval,
    right_pairs,
    share_interval,
)
from multiaxis.tasks.rate.fit import (
    PENALTIES,
    Floats,
    Layer,
    fit_closeness,
    fit_scores,
    fit_votes,
    sketch_scores,
    sketch_votes,
)
from multiaxis.tasks.rate.folds import deal, parts
from multiaxis.tasks.rate.scale import Scale

Parts = tuple[NDArray[np.intp], NDArray[np.intp]]
Split = Callable[[NDArray[np.intp], int], list[Parts]]
_FEW_PENALTIES = PENALTIES[::2]  # where each takes a search
FEW = 100
"""Below so many, the report says that its figures tell little."""


@dataclass(frozen=True)
class Report:
    """How well a rater predicts ratings of photographs that it did not learn from.

    Every photograph is held out once, in five parts; those of a burst together. The penalty is
    chosen inside each part, on photographs that it does learn from.

    Attributes
    ----------
    kind : str
        ``"votes"``, ``"score"`` or ``"closeness"``.
    count : int
        Photographs, or choices.
    correlation : float
        Spearman's, with the true mean ratings; NaN for choices.
    interval : (float, float)
        95 % confidence, of the correlation or, for choices, of `pairs`.
    pairs : float
        Share of the pairs in the right order; guessing gives 0.5.
    error : float
        Mean absolute error, on the scale; NaN for choices.
    guess : float
        That of always guessing the mean of what was learnt from.
    penalty : float
        Of the head that is kept, which learnt from all.
    backbone : str
        What describes the photographs.
    left_out : tuple of str
        What of the ratings was not used.
    """

    kind: str
    count: int
    correlation: float
    interval: tuple[float, float]
    pairs: float
    error: float
    guess: float
    penalty: float
    backbone: str = ""
    left_out: tuple[str, ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        """What a user should know, a line each."""
        low, high = self.interval
        if self.kind != "votes":
            ends = f"95 % interval {100 * low:.1f} to {100 * high:.1f}"
            right = f"held-out choices that come out right: {100 * self.pairs:.1f} % ({ends})"
            said = [f"{right}, of {self.count}; guessing gives 50 %"]
        else:
            ends = f"95 % interval {low:.3f} to {high:.3f}"
            ranks = f"held-out rank correlation: {self.correlation:.3f} ({ends})"
            said = [
                f"{ranks}, of {self.count} photographs; guessing the mean gives 0",
                f"held-out mean error: {self.error:.3f}; guessing the mean gives {self.guess:.3f}",
                f"pairs in the right order: {100 * self.pairs:.1f} %; guessing gives 50 %",
            ]
        if not low > (0.5 if self.kind != "votes" else 0.0):
            said.append(
                "the interval holds what guessing gives: nothing was learnt that can be told from "
                "chance"
            )
        if self.count < FEW:
            said.append(f"{self.count} are few: with {FEW} and more, these figures tell more")
        return tuple(said)


def learn_votes(
    features: NDArray[np.floating],
    shares: Floats,
    scale: Scale,
    groups: Sequence[int],
    seed: int = 0,
    views: Sequence[int] = (),
) -> tuple[Layer, Report]:
    """Fit a head to votes.

    Parameters
    ----------
    features : array, shape (photographs, numbers)
    shares : array, shape (photographs, values)
        Of the votes.
    scale : Scale
    groups : sequence of int
        Photographs of one group, such as a burst, are held out together.
    seed : int
        Of the parts.
    views : sequence of int
        How many numbers each view gave, as of `fit.Space`.

    Returns
    -------
    layer : Layer
    report : Report
    """
    values = np.asarray(scale.values)
    truth = shares @ values

    def predict(layer: Layer, rows: NDArray[np.intp]) -> Floats:
        return _softmax(layer(features[rows])) @ values

    def choose(rows: NDArray[np.intp]) -> float:
        """Find the penalty with the least held-out error, by parts of some photographs."""
        inner = deal([groups[k] for k in rows], truth[rows], seed + 1)
        errors = np.zeros(len(PENALTIES))
        for learnt, held in parts(inner):
            some = rows[learnt]
            sketches = sketch_votes(features[some], shares[some], values, PENALTIES, views)
            for k, sketch in enumerate(sketches):
                found = sketch(features[rows[held]])[:, 0]
                errors[k] += ((found - truth[rows[held]]) ** 2).sum()
        return PENALTIES[int(errors.argmin())]

    found, guess = np.empty(len(truth)), np.empty(len(truth))
    for learnt, held in parts(deal(groups, truth, seed)):
        layer = fit_votes(features[learnt], shares[learnt], choose(learnt), views)
        found[held], guess[held] = predict(layer, held), truth[learnt].mean()
    everything = np.arange(len(truth))
    penalty = choose(everything)
    layer = fit_votes(features, shares, penalty, views)
    report = Report(
        kind="votes",
        count=len(truth),
        correlation=rank_correlation(found, truth),
        interval=rank_interval(found, truth, groups=groups, seed=seed),
        pairs=right_pairs(found, truth),
        error=float(np.abs(found - truth).mean()),
        guess=float(np.abs(guess - truth).mean()),
        penalty=penalty,
    )
    return layer, report


def learn_scores(
    features: NDArray[np.floating],
    rows: NDArray[np.int64],
    wins: Floats,
    groups: Sequence[int],
    seed: int = 0,
    views: Sequence[int] = (),
) -> tuple[Layer, Report]:
    """Fit scores to choices; both pictures of a held-out choice are new to the head.

    Parameters
    ----------
    features : array, shape (photographs, numbers)
    rows, wins : array, shape (choices, 2)
    groups, seed, views
        As of `learn_votes`.
    """

    def fit(used: NDArray[np.intp], penalty: float) -> Layer:
        return fit_scores(features, rows[used], wins[used], penalty, views)

    def sketch(used: NDArray[np.intp]) -> list[Layer]:
        return sketch_scores(features, rows[used], wins[used], PENALTIES, views)

    def differences(layer: Layer, used: NDArray[np.intp]) -> Floats:
        scores = layer(features)[:, 0]
        return scores[rows[used, 0]] - scores[rows[used, 1]]

    def split(used: NDArray[np.intp], number: int) -> list[Parts]:
        folds = deal(groups, np.zeros(len(groups)), number, 3)
        found: list[Parts] = []
        for fold in range(3):
            held = (folds[rows[used]] == fold).all(axis=1)
            apart = (folds[rows[used]] != fold).all(axis=1)
            found.append((used[apart], used[held]))
        return [(learnt, held) for learnt, held in found if len(learnt) and len(held)]

    return learn_choices(wins, fit, sketch, differences, split, seed, ("score", PENALTIES))


def learn_closeness(
    differences: NDArray[np.floating],
    wins: Floats,
    references: NDArray[np.int64],
    seed: int = 0,
) -> tuple[Layer, Report]:
    """Fit weights of channels to choices; originals that are held out are new to them.

    Parameters
    ----------
    differences : array, shape (choices, 2, channels)
        Of both pictures from their original.
    wins : array, shape (choices, 2)
    references : array of int, shape (choices,)
        Which original.
    seed : int
    """

    def fit(used: NDArray[np.intp], penalty: float) -> Layer:
        return fit_closeness(differences[used], wins[used], penalty)

    def sketch(used: NDArray[np.intp]) -> list[Layer]:
        return [fit(used, penalty) for penalty in _FEW_PENALTIES]

    def apart(layer: Layer, used: NDArray[np.intp]) -> Floats:
        distance = np.sqrt(differences[used].astype(np.float64) @ layer.weight[0])
        return np.exp(layer.bias[0]) * (distance[:, 1] - distance[:, 0])

    def split(used: NDArray[np.intp], number: int) -> list[Parts]:
        names, place = np.unique(references[used], return_inverse=True)
        folds = deal(list(range(len(names))), np.zeros(len(names)), number)[place]
        return [(used[learnt], used[held]) for learnt, held in parts(folds) if len(learnt)]

    kinds = ("closeness", _FEW_PENALTIES)
    return learn_choices(wins, fit, sketch, apart, split, seed, kinds)


def learn_choices(
    wins: Floats,
    fit: Callable[[NDArray[np.intp], float], Layer],
    sketch: Callable[[NDArray[np.intp]], list[Layer]],
    differences: Callable[[Layer, NDArray[np.intp]], Floats],
    split: Split,
    seed: int,
    about: tuple[str, Sequence[float]],
) -> tuple[Layer, Report]:
    """Fit to choices whatever gives differences of scores; the penalty is chosen inside parts.

    Parameters
    ----------
    wins : array, shape (choices, 2)
    fit : callable
        Gives the layer for some choices and a penalty.
    sketch : callable
        Gives layers for some choices and each penalty, roughly.
    differences : callable
        Gives, for a layer and some choices, how much the first is preferred.
    split : callable
        Parts some choices, by a seed, into those that are learnt from and held out.
    seed : int
    about : (str, sequence of float)
        Kind and penalties.
    """
    kind, penalties = about
    count, votes = len(wins), wins.sum(axis=1)
    share = wins[:, 0] / votes

    def entropy(layer: Layer, held: NDArray[np.intp]) -> float:
        d = differences(layer, held)
        cost = share[held] * np.logaddexp(0, -d) + (1 - share[held]) * np.logaddexp(0, d)
        return float((cost * votes[held]).sum())

    def choose(used: NDArray[np.intp]) -> float:
        costs = np.zeros(len(penalties))
        for learnt, held in split(used, seed + 1):
            costs += [entropy(layer, held) for layer in sketch(learnt)]
        return penalties[int(costs.argmin())]

    right, total = 0.0, 0.0
    for learnt, held in split(np.arange(count), seed):
        layer = fit(learnt, choose(learnt))
        sign = np.sign(differences(layer, held))
        won = np.where(sign > 0, wins[held, 0], np.where(sign < 0, wins[held, 1], votes[held] / 2))
        right, total = right + float(won.sum()), total + float(votes[held].sum())
    penalty = choose(np.arange(count))
    layer = fit(np.arange(count), penalty)
    pairs = right / total if total else float("nan")
    nan = float("nan")
    interval = share_interval(pairs, round(total)) if total else (nan, nan)
    return layer, Report(kind, round(total), nan, interval, pairs, nan, nan, penalty)


def _softmax(logits: Floats) -> Floats:
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)
