"""The optimiser, which parameters decay, and how weights are averaged."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from multiaxis.errors import ConfigError
from multiaxis.models.families import family_inside
from multiaxis.models.groups import group_parameters
from multiaxis.train.recipe import Optim


def make_optimiser(model: nn.Module, optim: Optim) -> torch.optim.Optimizer:
    """Make the optimiser of a model; groups remember their peak rate as ``peak_lr``."""
    try:
        group = family_inside(model).group_parameters
    except ConfigError:  # nothing of ours in it, such as a discriminator: all layers learn alike
        group = group_parameters
    groups = group(
        model, lr=optim.lr, weight_decay=optim.weight_decay, layer_decay=optim.layer_decay
    )
    for group in groups:
        group["peak_lr"] = group["lr"]
    if optim.kind == "sgd":
        return torch.optim.SGD(groups, lr=optim.lr, momentum=optim.betas[0], fused=True)
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    # Fused: all parameters in one call; a processor spends a tenth of a small step otherwise.
    return kinds[optim.kind](groups, lr=optim.lr, betas=optim.betas, fused=True)


def set_rate(optimiser: torch.optim.Optimizer, share: float) -> float:
    """Let every group learn with a share of its peak rate; returns the first group's rate."""
    for group in optimiser.param_groups:
        group["lr"] = group["peak_lr"] * share
    return optimiser.param_groups[0]["lr"]


def averaging(decay: float) -> Callable[[Any, Any, Tensor | int], None]:
    """Give what AveragedModel updates with: a decay that rises to `decay` over the first updates.

    With the whole decay from the start, an average of 0.999 would still hold a third of the random
    weights after 1,000 steps, and score nothing.
    """

    def update(averages: Any, current: Any, count: Tensor | int) -> None:
        done = float(count)
        get_ema_multi_avg_fn(min(decay, (1 + done) / (10 + done)))(averages, current, count)

    return update


class Statistics:
    """Running means and variances of batch norms: a forward pass moves them before it is judged.

    Parameters
    ----------
    models : iterable of Module
    """

    def __init__(self, models: Iterable[nn.Module]) -> None:
        kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
        modules = (module for model in models for module in model.modules())
        norms = [module for module in modules if isinstance(module, kinds)]
        self._live = [buffer for norm in norms for buffer in norm.buffers()]
        self._kept = [buffer.clone() for buffer in self._live]

    def keep(self) -> None:
        """Remember them."""
        for kept, live in zip(self._kept, self._live, strict=True):
            kept.copy_(live)

    def put_back(self) -> None:
        """Give them the remembered values."""
        for kept, live in zip(self._kept, self._live, strict=True):
            live.copy_(kept)
