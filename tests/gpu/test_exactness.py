"""Both models and their other forms against double precision on the processor."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import cache

import pytest
import torch
from torch import Tensor, nn

import small_maxim
from multiaxis import create_model, streamed
from multiaxis.deploy import fold
from multiaxis.devices import full_precision
from small_maxvit import enliven
from small_recipe import SMALL_VIT

BOUNDS = {
    "maxim": {torch.float32: 16, torch.bfloat16: 8, torch.float16: 8},
    "maxvit": {torch.float32: 6, torch.bfloat16: 6, torch.float16: 6},
}
"""Largest error, over the largest value, in units of the dtype's epsilon.

Measured on a processor: 4.3 to 4.8 in float32 and 1.4 to 2.1 in 16 bits for MAXIM, 0.8 to 1.6 for
MaxViT. A GPU adds in another order and keeps sums in float32 as well, so three to five times that
is allowed. TF32 would give thousands: its epsilon is 8,192 times that of float32.
"""
PICTURES = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
Form = Callable[[nn.Module], Callable[[Tensor], Tensor]]


@cache
def maxim() -> nn.Module:
    torch.manual_seed(0)
    return enliven(small_maxim.model(), seed=1)


@cache
def maxvit() -> nn.Module:
    torch.manual_seed(0)
    return create_model("maxvit", **SMALL_VIT, num_classes=5, start="scaled").eval()  # pyright: ignore[reportArgumentType]


def in_pieces(model: nn.Module) -> Callable[[Tensor], Tensor]:
    return streamed(model, dtype=next(model.parameters()).dtype)  # pyright: ignore[reportArgumentType]


FORMS: dict[str, tuple[Callable[[], nn.Module], Form]] = {
    "maxim": (maxim, lambda model: model),
    "maxim in pieces": (maxim, in_pieces),
    "maxvit": (maxvit, lambda model: model),
    "maxvit folded": (maxvit, fold),  # pyright: ignore[reportArgumentType]
}


@cache
def exact(form: str) -> Tensor:
    with torch.inference_mode():
        return deepcopy(FORMS[form][0]()).double()(PICTURES.double())


def error(form: str, device: torch.device, dtype: torch.dtype) -> float:
    """Largest error of a form, over the largest value, in units of the dtype's epsilon."""
    build, change = FORMS[form]
    run = change(deepcopy(build()).to(device, dtype))
    with torch.inference_mode():
        found = run(PICTURES.to(device, dtype)).double().cpu()
    largest = (found - exact(form)).abs().max() / exact(form).abs().max()
    return float(largest) / torch.finfo(dtype).eps


@pytest.mark.thorough
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("form", FORMS)
def test_forms_are_as_exact_as_their_dtype(
    form: str, dtype: torch.dtype, device: torch.device
) -> None:
    with full_precision():
        assert error(form, device, dtype) < BOUNDS[form.split()[0]][dtype]


@pytest.mark.parametrize("form", ["maxim", "maxvit"])
def test_the_bounds_would_notice_tf32(form: str) -> None:
    """Round the weights of the convolutions alone to its 10 bits."""
    build, _ = FORMS[form]
    model = deepcopy(build())
    with torch.inference_mode():
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight.copy_(
                    layer.weight.view(torch.int32)
                    .add(1 << 12)
                    .bitwise_and_(~0x1FFF)
                    .view(torch.float32)
                )
        found = model(PICTURES).double()
    largest = (found - exact(form)).abs().max() / exact(form).abs().max()
    assert float(largest) / torch.finfo(torch.float32).eps > 10 * BOUNDS[form][torch.float32]
