"""Parameters in groups for an optimiser: what decays, and how fast each layer learns."""

from __future__ import annotations

from typing import Any

from torch import nn

from multiaxis.models.maxvit.network import Trunk


def parameter_groups(
    model: nn.Module, *, lr: float, weight_decay: float, layer_decay: float = 1.0
) -> list[dict[str, Any]]:
    """Group the trainable parameters for a PyTorch optimiser.

    Parameters
    ----------
    model : MaxViT, Backbone, or a network around one
        Such as a detector: all that is neither stem nor block is then its head.
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
    trunk = next(part for part in model.modules() if isinstance(part, Trunk))
    blocks: list[nn.Module] = [block for stage in trunk.stages for block in stage]  # pyright: ignore[reportGeneralTypeIssues, reportAssignmentType]
    below = [*reversed(blocks), trunk.stem]
    trained = {id(p): n for n, p in model.named_parameters() if p.requires_grad}
    inside = {id(p) for layer in below for p in layer.parameters()}
    head = [p for p in model.parameters() if id(p) not in inside]
    groups: list[dict[str, Any]] = []
    for distance, layer in enumerate([head, *(list(layer.parameters()) for layer in below)]):
        members: dict[bool, list[nn.Parameter]] = {True: [], False: []}
        for parameter in layer:
            if id(parameter) in trained:
                table = trained[id(parameter)].endswith("bias.table")
                members[parameter.ndim > 1 and not table].append(parameter)
        rate = lr * layer_decay**distance
        groups += [
            {"params": found, "lr": rate, "weight_decay": weight_decay if decays else 0.0}
            for decays, found in members.items()
            if found
        ]
    return groups
