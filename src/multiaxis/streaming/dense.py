"""Layers over channels, folded: dense layers with GELU behind them, and norms without an end."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor, nn

from multiaxis.axis.layers import gelu

_TINY = 1e-3


class Dense:
    """A dense layer as two tensors, composed in float64 from the model's.

    Parameters
    ----------
    weight : Tensor, shape (out, in)
    bias : Tensor, shape (out,), or None
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> None:
        self.weight = weight.to(dtype).contiguous()
        self.bias = None if bias is None else bias.to(dtype)
        self._is_fused = fuses(dtype, self.weight.device.type)

    def __call__(self, x: Tensor) -> Tensor:
        """Apply to the last axis."""
        return F.linear(x, self.weight, self.bias)

    def activated(self, x: Tensor) -> Tensor:
        """Apply to the last axis, then GELU (in its tanh form)."""
        if self._is_fused:
            return _pointwise()(x, self.weight, self.bias, "gelu", [], "tanh")
        return gelu(self(x))


class Norm:
    """Layer normalisation, without its scale and shift where they are folded into what follows."""

    def __init__(self, norm: nn.LayerNorm, dtype: torch.dtype, *, folded: bool = True) -> None:
        # Ones and zeros: torch's kernel with an affine part is the faster one in float32.
        weight, bias = norm.weight.detach(), norm.bias.detach()
        self.shape, self.eps = norm.normalized_shape, norm.eps
        self.weight = (torch.ones_like(weight) if folded else weight).to(dtype)
        self.bias = (torch.zeros_like(bias) if folded else bias).to(dtype)

    def __call__(self, x: Tensor) -> Tensor:
        """Normalise the last axis; in 16 bits, torch takes mean and variance in 32."""
        return F.layer_norm(x, self.shape, self.weight, self.bias, self.eps)


def after_norm(norm: nn.LayerNorm, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """Fold a norm's scale and shift into the dense layer behind it, in float64."""
    shift = weight.double() @ norm.bias.double()
    folded = weight.double() * norm.weight.double()
    return folded, shift if bias is None else shift + bias.double()


def halves(bias: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """Give both halves of a bias, where there is one."""
    if bias is None:
        return None, None
    first, second = bias.chunk(2)
    return first, second


def columns(
    layer: nn.Linear, first: int, count: int, dtype: torch.dtype, *, bias: bool = False
) -> Dense:
    """Take the part of a dense layer that reads some of the concatenated channels."""
    weight = layer.weight[:, first : first + count]
    return Dense(weight, layer.bias if bias else None, dtype)


@cache
def fuses(dtype: torch.dtype, device: str) -> bool:
    """Tell whether this build of PyTorch applies GELU inside the matrix product, and rightly.

    The operator is what its compiler uses, and not a public one: hence the trial.
    """
    if device != "cpu" or dtype not in (torch.float32, torch.bfloat16):
        return False
    x = torch.linspace(-3, 3, 32, dtype=dtype).view(2, 16)
    weight = torch.eye(16, dtype=dtype)
    try:
        found = _pointwise()(x, weight, None, "gelu", [], "tanh")
    except (AttributeError, NotImplementedError, RuntimeError):
        return False
    exact = F.gelu(x.double(), approximate="tanh")
    return bool((found.double() - exact).abs().max() < (_TINY if dtype == torch.float32 else 0.02))


def _pointwise() -> Any:
    return torch.ops.mkldnn._linear_pointwise
