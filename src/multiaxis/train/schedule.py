"""The learning rate as a function of the step: nothing to save, nothing to restore."""

from __future__ import annotations

import math

from multiaxis.train.recipe import Optim


def rate_at(step: int, steps: int, optim: Optim) -> float:
    """Give the share of the peak rate that step `step` (from 0) of `steps` learns with.

    Examples
    --------
    >>> [round(rate_at(k, 5, Optim(lr=1.0, final_lr=0.0)), 3) for k in range(5)]
    [1.0, 0.854, 0.5, 0.146, 0.0]
    """
    if step < optim.warmup:
        return (step + 1) / optim.warmup
    least = optim.final_lr / optim.lr
    done = (step - optim.warmup) / max(steps - 1 - optim.warmup, 1)
    shares = {
        "constant": 1.0,
        "exponential": max(least, 1e-12) ** done,
        "linear": 1 - done * (1 - least),
        "cosine": least + (1 - least) * (1 + math.cos(math.pi * done)) / 2,
    }
    return shares[optim.schedule]
