"""Batch norms folded into the layers beside them."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from multiaxis.errors import ConfigError
from multiaxis.models.maxvit.blocks import MbConv, Stem
from multiaxis.models.maxvit.network import Trunk


def fold_norms(model: Trunk) -> None:
    """Fold every batch norm of a model into the layer beside it, in place."""
    for part in model.modules():
        if isinstance(part, Stem):
            part.norm = _after(part.conv1, part.norm)
        elif isinstance(part, MbConv):
            _fold_mbconv(part)


def _fold_mbconv(block: MbConv) -> None:
    block.depthwise_norm = _after(block.depthwise, block.depthwise_norm)
    if block.expand is None or block.expand_norm is None:
        return  # the depthwise convolution pads behind `pre_norm` with zeros: it must stay
    block.expand_norm = _after(block.expand, block.expand_norm)
    if block.pool_inputs is None or block.pool_inputs.kind == "avg":  # a maximum does not commute
        block.pre_norm = _before(block.pre_norm, block.expand)


def _after(layer: nn.Conv2d | nn.Linear, norm: nn.Module) -> nn.Identity:
    """Fold the norm behind a layer into it."""
    if isinstance(norm, nn.Identity):  # folded before
        return norm
    scale, shift = _affine(norm)
    _check_plain(layer)
    weight = _exact(layer.weight)
    bias = 0 if layer.bias is None else _exact(layer.bias)
    _put(layer, weight * scale.view(-1, *[1] * (weight.ndim - 1)), bias * scale + shift)
    return nn.Identity()


def _before(norm: nn.Module, layer: nn.Linear) -> nn.Identity:
    """Fold the norm in front of a dense layer into it."""
    if isinstance(norm, nn.Identity):
        return norm
    scale, shift = _affine(norm)
    _check_plain(layer)
    weight = _exact(layer.weight)
    _put(layer, weight * scale, _exact(layer.bias) + weight @ shift)
    return nn.Identity()


def _affine(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Give the scale and shift that a batch norm is in inference, in float64.

    Any norm with these numbers will do: synchronised and frozen ones have them too.
    """
    mean, variance, weight, bias = (
        getattr(norm, name, None) for name in ("running_mean", "running_var", "weight", "bias")
    )
    if mean is None or variance is None or weight is None or bias is None:
        raise ConfigError(
            f"cannot fold a {type(norm).__name__}: accepted are batch norms with running "
            "statistics, scale and shift"
        )
    scale = _exact(weight) * torch.rsqrt(_exact(variance) + cast(float, norm.eps))
    return scale, _exact(bias) - _exact(mean) * scale


def _exact(x: Tensor) -> Tensor:
    """Give float64 on the processor: not every device has it."""
    return x.detach().cpu().double()


def _check_plain(layer: nn.Module) -> None:
    """Refuse a layer whose weight another tool computes, such as an adapter."""
    if "weight" not in dict(layer.named_parameters(recurse=False)):
        raise ConfigError(
            f"cannot fold a {type(layer).__name__} whose weight is no parameter of its own: merge "
            "what was put on it first"
        )


def _put(layer: nn.Conv2d | nn.Linear, weight: Tensor, bias: Tensor) -> None:
    like = layer.weight
    layer.weight = nn.Parameter(weight.to(like.device, like.dtype), requires_grad=False)
    layer.bias = nn.Parameter(bias.to(like.device, like.dtype), requires_grad=False)
