"""Heads on descriptions that stay as they are: one layer with a penalty, fitted to the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multiaxis.tasks.rate.costs import pair_entropy, squared_movers

Floats = NDArray[np.float64]
PENALTIES = tuple(float(10**power) for power in np.arange(0.0, -5.5, -0.75))
"""Tried on held-out items, the strongest first."""
_ROUNDS = 40
_LEAST = 1e-6


@dataclass(frozen=True)
class Layer:
    """A linear layer on raw descriptions.

    Attributes
    ----------
    weight : array of float64, shape (outputs, numbers)
    bias : array of float64, shape (outputs,)
    """

    weight: Floats
    bias: Floats

    def __call__(self, features: NDArray[np.floating]) -> Floats:
        """Give the outputs, (items, outputs)."""
        return features.astype(np.float64) @ self.weight.T + self.bias


class Space:
    """Descriptions with mean 0 and deviation 1, turned so that as few numbers as possible remain.

    A penalty on all weights is the same before and after the turn, so that a fit of hundreds of
    items to thousands of numbers takes as many unknowns as there are items.

    Parameters
    ----------
    features : array, shape (items, numbers)
    views : sequence of int
        How many numbers each view gave, side by side; all are of one by default. Each view counts
        alike, so that hundreds of numbers of a network do not drown a few classical ones.
    """

    def __init__(self, features: NDArray[np.floating], views: Sequence[int] = ()) -> None:
        x = features.astype(np.float64)
        self.mean, self.scale = x.mean(axis=0), x.std(axis=0) + _LEAST
        self.scale[x.std(axis=0) < _LEAST] = np.inf  # what never changes says nothing
        sizes = np.array(views or [x.shape[1]])
        self.scale *= np.sqrt(np.repeat(sizes * len(sizes), sizes))
        normal = (x - self.mean) / self.scale
        _, sizes, turn = np.linalg.svd(normal, full_matrices=False)
        kept = sizes > sizes[0] * 1e-9 if sizes.size else sizes > 0
        self.turn = turn[kept]

    def __call__(self, features: NDArray[np.floating]) -> Tensor:
        """Describe items in this space: (items, numbers that remain), float64."""
        x = (features.astype(np.float64) - self.mean) / self.scale
        return torch.from_numpy(x @ self.turn.T)

    def layer(self, weight: Tensor, bias: Tensor) -> Layer:
        """Bring a layer of this space back to raw descriptions."""
        raw = weight.numpy() @ self.turn / self.scale
        return Layer(raw, bias.numpy() - raw @ self.mean)


def fit_votes(
    features: NDArray[np.floating], shares: Floats, penalty: float, views: Sequence[int] = ()
) -> Layer:
    """Fit the paper's head, a layer and a softmax, to shares of votes.

    Minimises the squared earth mover's distance plus the penalty times the squared weights.

    Parameters
    ----------
    features : array, shape (items, numbers)
    shares : array, shape (items, values)
    penalty : float
    views : sequence of int
        As of `Space`.
    """
    space, q = Space(features, views), torch.from_numpy(shares)
    x = space(features)
    first, turn, _ = _near_nothing(x.numpy(), shares, [penalty])
    bias = _usual(shares)

    def loss(w: Tensor, b: Tensor) -> Tensor:
        return squared_movers(torch.softmax(x @ w.T + b, dim=1), q).mean()

    start = torch.from_numpy(turn @ first[0]), torch.from_numpy(np.log(bias))
    return _descend(space.layer, loss, *start, penalty)


def sketch_votes(
    features: NDArray[np.floating],
    shares: Floats,
    values: Floats,
    penalties: Sequence[float],
    views: Sequence[int] = (),
) -> list[Layer]:
    """Tell about what `fit_votes` would predict with each of several penalties.

    The softmax is replaced by its slope where all weights are 0. What is left is a ridge
    regression, which takes no search.

    Parameters
    ----------
    features, shares, penalties, views
        As of `fit_votes`.
    values : array, shape (values,)
        Of the votes.

    Returns
    -------
    list of Layer
        With one output, the mean rating.
    """
    space = Space(features, views)
    found, turn, slope = _near_nothing(space(features).numpy(), shares, penalties)
    mean = torch.from_numpy(np.atleast_1d(_usual(shares) @ values))
    rows = [values @ slope @ turn @ one for one in found]
    return [space.layer(torch.from_numpy(row[None]), mean) for row in rows]


def _usual(shares: Floats) -> Floats:
    """Give the mean shares, none of them 0."""
    mean = shares.mean(axis=0) + 1e-3
    return mean / mean.sum()


def _near_nothing(
    x: Floats, shares: Floats, penalties: Sequence[float]
) -> tuple[list[Floats], Floats, Floats]:
    """Solve for weights with the softmax's slope at the mean shares in its place.

    Returns
    -------
    weights : list of array, shape (directions, numbers)
        One for each penalty.
    turn : array, shape (values, directions)
        From directions to logits.
    slope : array, shape (values, values)
        Of shares by logits.
    """
    usual = _usual(shares)
    slope = np.diag(usual) - np.outer(usual, usual)
    count = len(usual)
    summed = np.tri(count) / np.sqrt(count)  # differences of shares to root mean squares
    left, sizes, right = np.linalg.svd(summed @ slope)
    kept = sizes > sizes[0] * 1e-6
    wanted = (shares - usual) @ summed.T @ left[:, kept]
    sizes = sizes[kept]
    found = [
        _ridge(x, wanted, np.ones(len(x)), penalty / sizes**2).T / sizes[:, None]
        for penalty in penalties
    ]
    return found, right[kept].T, slope


def _ridge(x: Floats, wanted: Floats, votes: Floats, penalties: Floats) -> Floats:
    """Give weights (numbers, outputs) of least mean squares, each output with its penalty."""
    share = votes / votes.sum()
    sizes, turn = np.linalg.eigh((x * share[:, None]).T @ x)
    inner = turn.T @ ((x * share[:, None]).T @ wanted)
    return turn @ (inner / (np.maximum(sizes, 0)[:, None] + penalties[None, :]))


def fit_scores(
    features: NDArray[np.floating],
    rows: NDArray[np.int64],
    wins: Floats,
    penalty: float,
    views: Sequence[int] = (),
) -> Layer:
    """Fit scores to choices between items (Bradley-Terry).

    Parameters
    ----------
    features : array, shape (items, numbers)
    rows : array of int, shape (choices, 2)
    wins : array, shape (choices, 2)
        Votes for each; choices count by their votes.
    penalty : float
        On squared weights.
    views : sequence of int
        As of `Space`.
    """
    space, apart, votes, target = _choices(features, rows, wins, views)
    x, v, t = (torch.from_numpy(a) for a in (apart, votes, target))

    def loss(w: Tensor, b: Tensor) -> Tensor:
        # No choice depends on the bias: it stays where it is.
        return (pair_entropy((x @ w.T)[:, 0], t) * v).sum() / v.sum() + 0 * b.sum()

    start = torch.from_numpy(_first_scores(apart, votes, target, penalty))
    return _descend(space.layer, loss, start, torch.zeros(1, dtype=torch.float64), penalty)


def sketch_scores(
    features: NDArray[np.floating],
    rows: NDArray[np.int64],
    wins: Floats,
    penalties: Sequence[float],
    views: Sequence[int] = (),
) -> list[Layer]:
    """Tell about what `fit_scores` would predict with each of several penalties."""
    space, apart, votes, target = _choices(features, rows, wins, views)
    none = torch.zeros(1, dtype=torch.float64)
    found = (_first_scores(apart, votes, target, penalty) for penalty in penalties)
    return [space.layer(torch.from_numpy(one), none) for one in found]


def _choices(
    features: NDArray[np.floating],
    rows: NDArray[np.int64],
    wins: Floats,
    views: Sequence[int],
) -> tuple[Space, Floats, Floats, Floats]:
    space = Space(features[np.unique(rows)], views)
    x = space(features).numpy()
    votes = wins.sum(axis=1)
    return space, x[rows[:, 0]] - x[rows[:, 1]], votes, wins[:, 0] / votes


def _first_scores(apart: Floats, votes: Floats, target: Floats, penalty: float) -> Floats:
    """Solve with the parabola that touches the cross entropy at equal scores: 1/8 of a square."""
    return _ridge(apart, 4 * (target - 0.5)[:, None], votes, np.array([8 * penalty])).T


def fit_closeness(differences: NDArray[np.floating], wins: Floats, penalty: float) -> Layer:
    """Fit weights of channels to choices between two pictures of an original.

    Parameters
    ----------
    differences : array, shape (choices, 2, channels)
        Mean squared differences of both pictures from the original.
    wins : array, shape (choices, 2)
        Votes for each.
    penalty : float
        On how far weights are from equal shares of the whole.

    Returns
    -------
    Layer
        Weights are 0 or more; the bias is the logarithm of the gain.
    """
    usual = differences.astype(np.float64).mean(axis=(0, 1)) + _LEAST**2
    x = torch.from_numpy(differences / usual / len(usual))
    votes = torch.from_numpy(wins.sum(axis=1))
    target = torch.from_numpy(wins[:, 0]) / votes

    def loss(w: Tensor, b: Tensor) -> Tensor:
        distance = b.exp() * ((x @ torch.nn.functional.softplus(w[0])) + _LEAST).sqrt()
        each = pair_entropy(distance[:, 1] - distance[:, 0], target)
        return (each * votes).sum() / votes.sum()

    def layer(w: Tensor, b: Tensor) -> Layer:
        positive = torch.nn.functional.softplus(w).numpy() / usual / len(usual)
        return Layer(positive, b.numpy())

    start = torch.zeros(1, x.shape[2], dtype=torch.float64)
    gain = torch.zeros(1, dtype=torch.float64)
    return _descend(layer, loss, start, gain, penalty / x.shape[2])


def _descend(
    layer: Callable[[Tensor, Tensor], Layer],
    loss: Callable[[Tensor, Tensor], Tensor],
    weight: Tensor,
    bias: Tensor,
    penalty: float,
) -> Layer:
    weight, bias = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    search = torch.optim.LBFGS([weight, bias], max_iter=_ROUNDS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        search.zero_grad()
        total = loss(weight, bias) + penalty * weight.square().sum()
        total.backward()
        return total

    search.step(closure)  # pyright: ignore[reportArgumentType] (a tensor is fine)
    return layer(weight.detach(), bias.detach())
