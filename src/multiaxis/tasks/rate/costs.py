"""What a wrong rating costs: distance between votes, and cross entropy of choices."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor

PairModel = Literal["bradley-terry", "thurstone"]


def earth_movers(p: Tensor, q: Tensor, r: float = 2.0) -> Tensor:
    """Give the earth mover's distance of shares of votes, of each example.

    Parameters
    ----------
    p, q : Tensor, shape (batch, values)
        Shares that add up to 1.
    r : float
        2 for training, as in NIMA and MaxViT; NIMA reports 1.

    Returns
    -------
    Tensor, shape (batch,)
        ``(mean over values of |CDF_p - CDF_q| ** r) ** (1 / r)``; its gradient is finite, and 0
        where both are equal.

    Notes
    -----
    Source: MaxViT paper, equation 8.

    Examples
    --------
    >>> uniform, last = torch.full((1, 10), 0.1), torch.eye(10)[9:]
    >>> round(earth_movers(uniform, last, r=1).item(), 6)
    0.45
    """
    mean = (p - q).cumsum(dim=1).abs().pow(r).mean(dim=1)
    # The root of 0 has no slope: where there is no distance, that of a constant is taken.
    apart = mean > 0
    return torch.where(apart, torch.where(apart, mean, 1.0).pow(1 / r), 0.0)


def squared_movers(p: Tensor, q: Tensor) -> Tensor:
    """Give the square of `earth_movers` with r = 2, which is smooth everywhere."""
    return (p - q).cumsum(dim=1).square().mean(dim=1)


def pair_entropy(difference: Tensor, target: Tensor, model: PairModel = "bradley-terry") -> Tensor:
    """Give the cross entropy of choices between two pictures, of each pair.

    Parameters
    ----------
    difference : Tensor, shape (pairs,)
        Score of the first less that of the second.
    target : Tensor, shape (pairs,)
        Share of the votes for the first; a tie is half a vote for both.
    model : str
        ``"bradley-terry"``: the logistic function of the difference is the probability;
        ``"thurstone"``: the normal distribution's.
    """
    if model == "thurstone":
        first, second = torch.special.log_ndtr(difference), torch.special.log_ndtr(-difference)
    else:
        first, second = F.logsigmoid(difference), F.logsigmoid(-difference)
    return -(target * first + (1 - target) * second)


def smoothed(target: Tensor, by_rank: Tensor, weight: float) -> Tensor:
    """Mix the votes on a pair with what the global ranks say of it.

    Source: rank-smoothed pairwise learning (arXiv 2011.10893), as its abstract describes it; the
    exact weighting is not confirmed.

    Parameters
    ----------
    target, by_rank : Tensor, shape (pairs,)
        Shares of the votes for the first, and the probability that strengths give.
    weight : float
        0 leaves the votes, 1 the ranks.
    """
    return (1 - weight) * target + weight * by_rank
