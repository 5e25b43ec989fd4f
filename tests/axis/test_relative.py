"""Bias tables: laid out, stretched, kept without gradients, never stale; and the fast GELU."""

from __future__ import annotations

import copy
import itertools
import pickle
from collections.abc import Callable

import pytest
import torch
from torch.nn import functional as F

from multiaxis.axis import RelativeBias, resize_table
from multiaxis.axis.layers import gelu
from multiaxis.errors import ShapeError


@pytest.mark.parametrize("window", [(4,), (2, 3), (2, 1, 3)])
def test_layout_is_key_minus_query(window: tuple[int, ...]) -> None:
    bias = RelativeBias(2, window)
    laid = bias(window)
    places = list(itertools.product(*map(range, window)))
    for (i, query), (j, key) in itertools.product(enumerate(places), repeat=2):
        place = tuple(k - q + n - 1 for q, k, n in zip(query, key, window))
        assert torch.equal(laid[:, i, j], bias.table[(slice(None), *place)])


@pytest.mark.parametrize("old", [1, 3, 7])
@pytest.mark.parametrize("new", [1, 2, 5, 7, 12])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_stretching_is_interpolation(old: int, new: int, rank: int) -> None:
    table = torch.randn(3, *[2 * old - 1] * rank)
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[rank]
    expected = F.interpolate(table[None], [2 * new - 1] * rank, mode=mode, align_corners=False)[0]
    found = resize_table(table, (new,) * rank)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert (found is table) == (old == new)


WRITES: dict[str, Callable[[RelativeBias], object]] = {
    "in place": lambda b: b.table.add_(1),
    "through .data": lambda b: b.table.data.mul_(2),
    "load_state_dict": lambda b: b.load_state_dict({"table": torch.ones_like(b.table)}),
    "assigned": lambda b: b.load_state_dict({"table": torch.ones_like(b.table)}, assign=True),
    "another parameter": lambda b: setattr(b, "table", torch.nn.Parameter(b.table + 1)),
    "another type": lambda b: b.double(),
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_kept_until_the_table_changes(write: str, mode: type) -> None:
    bias = RelativeBias(2, (3, 3))
    with mode():
        first = bias((3, 3))
        assert bias((3, 3)) is first
    with torch.no_grad():
        WRITES[write](bias)
    with mode():
        second = bias((3, 3))
        assert second.dtype == bias.table.dtype
        assert torch.equal(second, bias._layout((3, 3)))
        assert second.dtype != first.dtype or not torch.equal(second, first)
        assert torch.equal(bias((5, 3)), bias._layout((5, 3)))


def test_an_optimiser_step_is_seen() -> None:
    bias = RelativeBias(2, (3, 3))
    with torch.no_grad():
        first = bias((3, 3)).clone()
    optimiser = torch.optim.SGD(bias.parameters(), lr=1.0)
    bias((3, 3)).sum().backward()
    optimiser.step()
    with torch.no_grad():
        assert not torch.equal(bias((3, 3)), first)


def test_gradients_never_meet_what_was_kept() -> None:
    bias = RelativeBias(2, (3, 3))
    with torch.inference_mode():
        bias((3, 3))
    bias((3, 3)).sum().backward()
    assert bias.table.grad is not None
    bias.requires_grad_(requires_grad=False)
    x = torch.randn(2, 9, 9, requires_grad=True)
    (x * bias((3, 3))).sum().backward()  # frozen table, other gradients
    assert torch.equal(x.grad, bias((3, 3)))


def test_copies_and_pickles_are_their_own() -> None:
    bias = RelativeBias(2, (3, 3))
    with torch.no_grad():
        first = bias((3, 3)).clone()
        twins = [copy.deepcopy(bias), pickle.loads(pickle.dumps(bias))]
        for twin in twins:
            assert torch.equal(twin((3, 3)), first)
            twin.table.add_(1)
            assert torch.equal(twin((3, 3)), first + 1)
        assert torch.equal(bias((3, 3)), first)
    assert list(bias.state_dict()) == ["table"]


def test_a_window_of_another_rank() -> None:
    with pytest.raises(ShapeError, match="received a window of 1 axes"):
        RelativeBias(2, (3, 3))((3,))


def test_the_fast_gelu_is_the_tanh_one() -> None:
    x = torch.cat([torch.linspace(-12, 12, 4001), torch.tensor([1e4, -1e4, 1e30, -1e30, 0.0])])
    x = x[:4004].reshape(2, 2, 1001).transpose(1, 2)
    before = x.clone()
    with torch.no_grad():
        fast = gelu(x)
    assert torch.equal(x, before)
    exact = F.gelu(x.double(), approximate="tanh")
    torch.testing.assert_close(fast.double(), exact, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(gelu(x), F.gelu(x, approximate="tanh"), rtol=0, atol=0)
    with torch.no_grad():
        odd = gelu(torch.tensor([float("nan"), float("inf"), -float("inf")]))
        assert gelu(torch.zeros(0, 3)).shape == (0, 3)
    assert odd[0].isnan()
    assert odd[1] == float("inf")


@pytest.mark.thorough
def test_the_compiled_gelu_has_the_values_and_slopes_of_the_tanh_one() -> None:
    x = torch.cat([torch.linspace(-12, 12, 1001), torch.tensor([1e4, -1e4])]).requires_grad_()
    torch.compiler.reset()
    y = torch.compile(gelu, backend="aot_eager", fullgraph=True)(x)
    expected = F.gelu(x, approximate="tanh")
    torch.testing.assert_close(y, expected, rtol=1e-6, atol=1e-6)
    slopes = [torch.autograd.grad(z.sum(), x)[0] for z in (y, expected)]
    torch.testing.assert_close(*slopes, rtol=1e-5, atol=3e-6)


def test_an_exported_gelu_stays_one_operation() -> None:
    program = torch.export.export(Gelu(), (torch.zeros(2, 3),))
    assert [str(n.target) for n in program.graph.nodes if n.op == "call_function"] == [
        "aten.gelu.default"
    ]


class Gelu(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return gelu(x)
