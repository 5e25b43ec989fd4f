"""Layers over channels: dense layers with what follows them, norms with what they leave to it."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor, nn

from multiaxis.axis.layers import gelu


class Dense:
    """A dense layer as two tensors, composed from the model's.

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
            return _operator()(x, self.weight, self.bias, "gelu", [], "tanh")
        return gelu(self(x))

    def added(self, x: Tensor, other: Tensor) -> Tensor:
        """Apply to the last axis, and add `other`."""
        if self._is_fused:
            return _operator().binary(x, other, self.weight, self.bias, "add")
        return self(x).add_(other)

    def multiplied(self, x: Tensor, other: Tensor) -> Tensor:
        """Apply to the last axis, and multiply by `other`."""
        if self._is_fused:
            return _operator().binary(x, other, self.weight, self.bias, "mul")
        return self(x).mul_(other)


class Norm:
    """Layer normalisation, without its scale and shift where they are folded into what follows."""

    def __init__(self, norm: nn.LayerNorm, dtype: torch.dtype, *, folded: bool) -> None:
        # Ones and zeros: torch's kernel with an affine part is the faster one in float32.
        weight, bias = norm.weight.detach(), norm.bias.detach()
        self.shape, self.eps = norm.normalized_shape, norm.eps
        self.weight = (torch.ones_like(weight) if folded else weight).to(dtype)
        self.bias = (torch.zeros_like(bias) if folded else bias).to(dtype)

    def __call__(self, x: Tensor) -> Tensor:
        """Normalise the last axis; in 16 bits, torch takes mean and variance in 32."""
        return F.layer_norm(x, self.shape, self.weight, self.bias, self.eps)


def precise(weight: Tensor) -> Tensor:
    """Give a weight in float64, to fold it; in float32 on Apple's GPUs, which have no float64."""
    return weight.float() if weight.device.type == "mps" else weight.double()


def after_norm(norm: nn.LayerNorm, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """Fold a norm's scale and shift into the dense layer behind it."""
    shift = precise(weight) @ precise(norm.bias)
    folded = precise(weight) * precise(norm.weight)
    return folded, shift if bias is None else shift + precise(bias)


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
    """Tell whether this build of PyTorch does what follows a dense layer inside it, and rightly.

    The operators are those of its compiler and not public: hence the trial.
    """
    if device != "cpu" or dtype not in (torch.float32, torch.bfloat16):
        return False
    x = torch.linspace(-3, 3, 32, dtype=dtype).view(2, 16)
    weight, bias = torch.eye(16, dtype=dtype).roll(1, 0), x[0]
    exact = F.linear(x.double(), weight.double(), bias.double())
    try:
        trials = {
            F.gelu(exact, approximate="tanh"): _operator()(x, weight, bias, "gelu", [], "tanh"),
            exact + x: _operator().binary(x, x, weight, bias, "add"),
            exact * x: _operator().binary(x, x, weight, bias, "mul"),
        }
    except (AttributeError, NotImplementedError, RuntimeError):
        return False
    error = 16 * torch.finfo(dtype).eps
    return all(
        torch.allclose(found.double(), expected, rtol=error, atol=error)
        for expected, found in trials.items()
    )


def _operator() -> Any:
    return torch.ops.mkldnn._linear_pointwise
