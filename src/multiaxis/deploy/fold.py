"""Fold what is constant in inference into the weights beside it."""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn

from multiaxis.errors import ConfigError
from multiaxis.models.maxim import Maxim
from multiaxis.models.maxvit import MaxViT
from multiaxis.models.maxvit.blocks import BatchNorm2d, MbConv
from multiaxis.models.maxvit.network import Stem


def fold(model: nn.Module) -> nn.Module:
    """Copy a model for inference, with every batch norm folded into the layer beside it.

    Parameters
    ----------
    model : MaxViT or Maxim
        Stays as it is. A MAXIM has no batch norm: its copy only lacks gradients.

    Returns
    -------
    nn.Module
        In evaluation mode, without gradients; outputs agree within rounding. It cannot be trained,
        and loads no checkpoint: fold again instead.

    Raises
    ------
    ConfigError
        If the model is of another kind.

    Examples
    --------
    >>> from multiaxis import create_model
    >>> folded = fold(create_model("maxvit_pico"))
    >>> any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())
    False
    """
    if not isinstance(model, MaxViT | Maxim):
        raise ConfigError(f"cannot fold a {type(model).__name__}: accepted are MaxViT and Maxim")
    folded = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
    for part in folded.modules():
        if isinstance(part, Stem):
            part.norm = _after(part.conv1, part.norm)
        elif isinstance(part, MbConv):
            _fold_mbconv(part)
    return folded


def _fold_mbconv(block: MbConv) -> None:
    block.depthwise_norm = _after(block.depthwise, block.depthwise_norm)
    if block.expand is None or block.expand_norm is None:
        return  # the depthwise convolution pads behind `pre_norm` with zeros: it must stay
    block.expand_norm = _after(block.expand, block.expand_norm)
    if block.pool_inputs is None or block.pool_inputs.kind == "avg":  # a maximum does not commute
        block.pre_norm = _before(block.pre_norm, block.expand)


def _after(layer: nn.Conv2d | nn.Linear, norm: nn.Module) -> nn.Identity:
    """Fold the norm behind a layer into it."""
    scale, shift = _affine(cast(BatchNorm2d, norm))
    weight = layer.weight.double()
    bias = 0 if layer.bias is None else layer.bias.double()
    _put(layer, weight * scale.view(-1, *[1] * (weight.ndim - 1)), bias * scale + shift)
    return nn.Identity()


def _before(norm: nn.Module, layer: nn.Linear) -> nn.Identity:
    """Fold the norm in front of a dense layer into it."""
    scale, shift = _affine(cast(BatchNorm2d, norm))
    weight = layer.weight.double()
    _put(layer, weight * scale, layer.bias.double() + weight @ shift)
    return nn.Identity()


def _affine(norm: BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Give the scale and shift that a batch norm is in inference, in float64."""
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise ConfigError("a batch norm without running statistics cannot be folded")
    scale = norm.weight.double() * torch.rsqrt(variance.double() + norm.eps)
    return scale, norm.bias.double() - mean.double() * scale


def _put(layer: nn.Conv2d | nn.Linear, weight: Tensor, bias: Tensor) -> None:
    dtype = layer.weight.dtype
    layer.weight = nn.Parameter(weight.to(dtype), requires_grad=False)
    layer.bias = nn.Parameter(bias.to(dtype), requires_grad=False)
