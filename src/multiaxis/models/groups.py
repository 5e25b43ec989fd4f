"""Parameters in groups for an optimiser, where all layers learn alike."""

from __future__ import annotations

from typing import Any

from torch import nn

from multiaxis.errors import ConfigError


def group_parameters(
    model: nn.Module, *, lr: float, weight_decay: float, layer_decay: float = 1.0
) -> list[dict[str, Any]]:
    """Part the parameters that decay, weights of layers, from biases and norms, which do not.

    Parameters
    ----------
    model : Module
    lr, weight_decay : float
    layer_decay : float
        Accepted is 1: the layers have no order from input to output.

    Returns
    -------
    list of dict
        With ``params``, ``lr`` and ``weight_decay``, as PyTorch's optimisers take them.

    Raises
    ------
    ConfigError
        If `layer_decay` is another.
    """
    if layer_decay != 1:
        raise ConfigError(
            f"layer_decay is {layer_decay:g}, and the layers of a {type(model).__name__} have no "
            "order from input to output: accepted is 1"
        )
    trained = [p for p in model.parameters() if p.requires_grad]
    matrices = [p for p in trained if p.ndim > 1]
    vectors = [p for p in trained if p.ndim < 2]
    return [
        {"params": members, "lr": lr, "weight_decay": decay}
        for members, decay in ((matrices, weight_decay), (vectors, 0.0))
        if members
    ]
