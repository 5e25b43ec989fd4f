"""Layers of folded models whose GELU runs inside them, where this build of PyTorch can do that.

GELU by itself reads and writes a wide map several times. Inside a layer it costs next to nothing.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor, nn

from multiaxis.axis.layers import is_recorded
from multiaxis.models.maxvit.blocks import AttentionLayer, Conv2d, MbConv, Stem, activation
from multiaxis.models.maxvit.config import MaxViTConfig


class GeluLinear(nn.Linear):
    """A dense layer and the GELU behind it; `form` is ``"tanh"`` or ``"none"``, the exact one."""

    form = "tanh"

    def forward(self, input: Tensor) -> Tensor:
        """Apply to the last axis."""
        if _fuses_now(input):
            return _linear()(input, self.weight, self.bias, "gelu", [], self.form)
        return F.gelu(super().forward(input), approximate=self.form)


class GeluConv2d(Conv2d):
    """A convolution and the GELU behind it."""

    form = "tanh"

    def convolve(self, x: Tensor, padding: list[int]) -> Tensor:
        """Convolve (batch, in_channels, height, width)."""
        if _fuses_now(x):
            places = (padding, self.stride, self.dilation, self.groups)
            return _convolution()(x, self.weight, self.bias, *places, "gelu", [], self.form)
        return F.gelu(super().convolve(x, padding), approximate=self.form)


_FUSED: dict[type[nn.Module], type[nn.Module]] = {
    **dict.fromkeys((nn.Linear, GeluLinear), GeluLinear),
    **dict.fromkeys((Conv2d, GeluConv2d), GeluConv2d),
}


def fuse_activations(model: nn.Module, config: MaxViTConfig) -> None:
    """Put each GELU of a model without norms into the layer in front of it, in place."""
    if config.activation != "gelu":
        return
    form = "none" if activation(config) is F.gelu else "tanh"
    for part in model.modules():
        layers: list[Any]
        if isinstance(part, AttentionLayer):
            layers = [part.expand]
        elif isinstance(part, MbConv):
            layers = [part.depthwise] if part.expand is None else [part.expand, part.depthwise]
        elif isinstance(part, Stem):
            layers = [part.conv1]
        else:
            continue
        if any(type(layer) not in _FUSED for layer in layers):  # a tool's own, such as an adapter
            continue
        part.activation = _as_it_is
        for layer in layers:
            # The class alone is another: weights, their names and settings stay.
            layer.__class__ = _FUSED[type(layer)]
            layer.form = form


def _as_it_is(x: Tensor) -> Tensor:
    return x


def _fuses_now(x: Tensor) -> bool:
    return (
        not torch.is_grad_enabled()
        and not is_recorded()
        and not torch.is_autocast_enabled(x.device.type)
        and x.numel() > 0
        and fuses(x.dtype, x.device.type)
    )


@cache
def fuses(dtype: torch.dtype, device: str) -> bool:
    """Tell whether this build of PyTorch does GELU inside these layers, and rightly.

    The operators are those of its compiler and not public: hence the trial.
    """
    if device != "cpu" or dtype not in (torch.float32, torch.bfloat16):
        return False
    x = torch.linspace(-3, 3, 64, dtype=dtype).view(1, 4, 4, 4)
    weight, bias = torch.eye(4, dtype=dtype).roll(1, 0), x[0, 0, 0]
    kernel = torch.linspace(-1, 1, 36, dtype=dtype).view(4, 1, 3, 3)
    dense = F.linear(x.double(), weight.double(), bias.double())
    wide = F.conv2d(x.double(), kernel.double(), bias.double(), 2, 1, groups=4)
    error = 16 * torch.finfo(dtype).eps
    for form in ("tanh", "none"):
        try:
            found = (
                _linear()(x, weight, bias, "gelu", [], form),
                _convolution()(x, kernel, bias, [1, 1], [2, 2], [1, 1], 4, "gelu", [], form),
            )
        except (AttributeError, NotImplementedError, RuntimeError):
            return False
        for one, exact in zip(found, (dense, wide), strict=True):
            expected = F.gelu(exact, approximate=form)
            if not torch.allclose(one.double(), expected, rtol=error, atol=error):
                return False
    return True


def _linear() -> Any:
    return torch.ops.mkldnn._linear_pointwise


def _convolution() -> Any:
    return torch.ops.mkldnn._convolution_pointwise
