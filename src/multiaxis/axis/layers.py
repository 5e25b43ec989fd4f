"""Small layers with the authors' conventions: norm, activation, dense layers and their start."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from multiaxis.errors import ShapeError

LAYER_NORM_EPS = (
    1e-6  # Flax' default, MAXIM's; PyTorch's 1e-5 costs 51.6 dB on a restored photograph
)
_TRUNCATED_STD = 0.87962566103423978  # standard deviation of a normal cut at two sigma

_GELU_LINEAR = 2 * math.sqrt(2 / math.pi)
_GELU_CUBIC = 0.044715 * _GELU_LINEAR

Initialiser = Callable[[Tensor, int], None]
"""Fills a weight in place, given its fan-in."""


def normal(weight: Tensor, fan_in: int) -> None:  # noqa: ARG001 (one signature for both)
    """Fill with N(0, 0.02), as the authors start their gated MLPs."""
    if not weight.is_meta:  # drawing there costs seconds of imports, for nothing
        nn.init.normal_(weight, std=0.02)


def lecun_normal(weight: Tensor, fan_in: int) -> None:
    """Fill with a normal of variance 1 / fan-in, cut at two sigma: Flax' default."""
    std = math.sqrt(1 / fan_in) / _TRUNCATED_STD
    if not weight.is_meta:
        nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)


def layer_norm(channels: int, *, eps: float = LAYER_NORM_EPS) -> nn.LayerNorm:
    """Normalise over the channels only, always with scale and shift."""
    return nn.LayerNorm(channels, eps=eps)


def check_channels(x: Tensor, channels: int) -> None:
    """Refuse a map whose last axis does not hold the channels.

    Raises
    ------
    ShapeError
        If the last of at least three axes has another length.
    """
    if x.ndim < 3 or x.shape[-1] != channels:
        remedy = ""
        if x.ndim > 2 and x.shape[1] == channels:
            remedy = "; move the channels of a channels-first map: x.movedim(1, -1)"
        raise ShapeError(
            f"received a map of shape {tuple(x.shape)}: accepted is (batch, *spatial, {channels})"
            f"{remedy}"
        )


def is_transformed() -> bool:
    """Whether a function transform of ``torch.func`` is at work, such as vmap."""
    # torch has no public way to ask.
    return torch._C._functorch.peek_interpreter_stack() is not None  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]


def is_recorded() -> bool:
    """Whether tensors are more than numbers now: no shortcuts then, and nothing may be kept.

    So they are for compilers, exporters, function transforms, fake tensors and counters of
    operations.
    """
    return (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]
        or is_in_torch_dispatch_mode()
        or is_transformed()
    )


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Let queries gather the values of keys, by softmax of scaled products.

    Parameters
    ----------
    q, k, v : Tensor, shape (..., heads, tokens, head_dim)
    mask : Tensor, shape that extends to (..., heads, tokens of q, tokens of k), or None
        Added to the logits. Softmax is in float32 whatever the dtype, as the authors' is.
    """
    # Fused kernels have no rule for vmap, and lose the mask's gradient there without a word.
    is_plain = torch.compiler.is_compiling() or not is_transformed()
    with nullcontext() if is_plain else sdpa_kernel(SDPBackend.MATH):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def gelu(x: Tensor) -> Tensor:
    """Apply GELU in its tanh approximation, the one the authors use.

    On a CPU, float32 without gradients, and all that is compiled, goes through the equal
    ``x * sigmoid(2 * inner(x))``: PyTorch's tanh takes 1.7 to 2.2 times as long, the compiler's
    three times (docs/results/time.md). Neither is closer to the exact value.
    """
    if x.device.type == "cpu" and torch.compiler.is_compiling():
        if torch.compiler.is_exporting():
            return F.gelu(x, approximate="tanh")
        return x * torch.sigmoid(x * (_GELU_LINEAR + _GELU_CUBIC * x * x))
    fast = x.dtype == torch.float32 and x.device.type == "cpu" and not torch.is_grad_enabled()
    if not fast or is_recorded():
        return F.gelu(x, approximate="tanh")
    gate = torch.addcmul(x.new_full((), _GELU_LINEAR), x, x, value=_GELU_CUBIC)
    return gate.mul_(x).sigmoid_().mul_(x)


def dense(
    in_channels: int, out_channels: int, *, bias: bool = True, init: Initialiser = normal
) -> nn.Linear:
    """Build a layer over the last axis (authors: Dense, or a 1x1 convolution)."""
    layer = nn.Linear(in_channels, out_channels, bias=bias)
    init(layer.weight.data, in_channels)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer
