"""Parameters in groups for an optimiser: what decays, and how fast each layer learns."""

from __future__ import annotations

from typing import Any

from torch import nn

from multiaxis.models.maxvit.network import MaxViT, Trunk


def parameter_groups(
    model: Trunk, *, lr: float, weight_decay: float, layer_decay: float = 1.0
) -> list[dict[str, Any]]:
    """Group the trainable parameters for a PyTorch optimiser.

    Parameters
    ----------
    model : MaxViT or Backbone
    lr : float
        Learning rate of the head.
    weight_decay : float
        Of everything but biases, norms and bias tables, as the authors exclude them (pattern
        ``bias|scale|gain|gamma|beta`` on their names).
    layer_decay : float
        Factor on the learning rate for each layer further from the head; layers are the head, each
        block, and the stem. A Backbone has no head: its last block is the first layer behind one.

    Returns
    -------
    list of dict
        With ``params``, ``lr`` and ``weight_decay``, as optimisers take them.
    """
    blocks = [block for stage in model.stages for block in stage]  # pyright: ignore[reportGeneralTypeIssues]
    heads = [model.head if isinstance(model, MaxViT) else nn.ModuleList()]
    layers: list[nn.Module] = [*heads, *reversed(blocks), model.stem]
    groups: list[dict[str, Any]] = []
    for distance, layer in enumerate(layers):
        parameters = {n: p for n, p in layer.named_parameters() if p.requires_grad}
        plain = [p for n, p in parameters.items() if p.ndim < 2 or n.endswith("bias.table")]
        decaying = [p for n, p in parameters.items() if p.ndim > 1 and not n.endswith("bias.table")]
        rate = lr * layer_decay**distance
        for members, decay in ((decaying, weight_decay), (plain, 0.0)):
            if members:
                groups.append({"params": members, "lr": rate, "weight_decay": decay})
    return groups
