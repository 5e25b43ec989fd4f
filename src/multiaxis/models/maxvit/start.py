"""The numbers that a MaxViT's parameters start from."""

from __future__ import annotations

import math

from torch import Tensor, nn

from multiaxis.axis.layers import normal
from multiaxis.axis.relative import RelativeBias


def start_weights(model: nn.Module, start: str) -> None:
    """Fill every parameter and buffer of a model anew, in place.

    Parameters
    ----------
    model : MaxViT or Backbone
        On any device but meta; what its memory holds does not matter.
    start : str
        As in `MaxViTConfig`.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            _fill(module.weight.data, name, start)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, RelativeBias):
            normal(module.table.data, 0)
        elif isinstance(module, nn.LayerNorm | nn.BatchNorm2d | nn.SyncBatchNorm):
            module.reset_parameters()  # running statistics too


def _fill(weight: Tensor, name: str, start: str) -> None:
    if weight.is_meta:
        return  # as `normal` does
    if start == "normal":
        normal(weight, 0)
    elif name.startswith("head."):
        nn.init.kaiming_uniform_(weight, a=math.sqrt(5))  # PyTorch's own: 1 / sqrt(fan in) at most
    elif name.startswith("stem.") or ".mbconv." in name:
        groups = weight.shape[0] if name.endswith(".depthwise") else 1
        fan_out = weight.shape[0] * math.prod(weight.shape[2:]) / groups
        nn.init.normal_(weight, std=math.sqrt(2 / fan_out))  # He et al., 1502.01852
    else:
        nn.init.xavier_uniform_(weight)  # Glorot and Bengio, 2010
