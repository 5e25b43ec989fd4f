"""Causal attention: nothing of the future, all of the past, step by step the same."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from multiaxis.axis import CausalAttention
from multiaxis.errors import ConfigError, ShapeError


def lively(reach: int, stride: int, *, relative_bias: bool = True) -> CausalAttention:
    torch.manual_seed(0)
    layer = CausalAttention(6, 3, reach, stride=stride, relative_bias=relative_bias).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.5)
    return layer


def dense_attention(x: torch.Tensor, layer: CausalAttention) -> torch.Tensor:
    """The whole length x length matrix, with a mask."""
    batch, length, channels = x.shape
    q, k, v = (x @ layer.qkv.weight.T + layer.qkv.bias).chunk(3, dim=-1)
    q, k, v = (
        t.view(batch, length, layer.heads, layer.head_dim).transpose(1, 2) for t in (q, k, v)
    )
    logits = q @ k.transpose(2, 3) / math.sqrt(layer.head_dim)
    distance = torch.arange(length)[:, None] - torch.arange(length)
    steps = distance // layer.stride
    seen = (distance >= 0) & (distance % layer.stride == 0) & (steps < layer.reach)
    if layer.bias is not None:
        logits = logits + layer.bias[:, steps.clamp(0, layer.reach - 1)]
    mixed = logits.masked_fill(~seen, -math.inf).softmax(-1) @ v
    return mixed.transpose(1, 2).reshape(batch, length, channels) @ layer.out.weight.T + (
        layer.out.bias
    )


SIZES = {"length": st.integers(1, 40), "reach": st.integers(1, 9), "stride": st.integers(1, 6)}


@settings(max_examples=60, deadline=None)
@given(**SIZES, relative_bias=st.booleans())
def test_equals_dense_attention_under_the_same_mask(
    length: int, reach: int, stride: int, relative_bias: bool
) -> None:
    layer = lively(reach, stride, relative_bias=relative_bias)
    x = torch.randn(2, length, 6, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(layer(x), dense_attention(x, layer))
    weights = torch.randn(2, length, 6, dtype=torch.float64)
    wanted = [x, *layer.parameters()]
    mine = torch.autograd.grad((layer(x) * weights).sum(), wanted)
    theirs = torch.autograd.grad((dense_attention(x, layer) * weights).sum(), wanted)
    for a, b in zip(mine, theirs):
        torch.testing.assert_close(a, b)


@settings(max_examples=40, deadline=None)
@given(**SIZES, place=st.integers(0, 39))
def test_nothing_leaks_from_the_future(length: int, reach: int, stride: int, place: int) -> None:
    """Outputs before a changed token are the same to the bit."""
    place %= length
    block, grid = lively(reach, 1).float(), lively(reach, stride).float()
    x = torch.randn(1, length, 6)
    changed = x.clone()
    changed[:, place] += 100
    with torch.no_grad():
        before, after = grid(block(x)), grid(block(changed))
    assert torch.equal(before[:, :place], after[:, :place])
    assert not torch.equal(before[:, place], after[:, place])


@settings(max_examples=25, deadline=None)
@given(length=st.integers(1, 30), block_size=st.integers(1, 6), grid_size=st.integers(1, 6))
def test_the_pair_reaches_block_times_grid_tokens_without_a_gap(
    length: int, block_size: int, grid_size: int
) -> None:
    block, grid = lively(block_size, 1), lively(grid_size, block_size)
    x = torch.randn(1, length, 6, dtype=torch.float64, requires_grad=True)
    y = grid(block(x)).sum(-1)[0]
    rows = [torch.autograd.grad(y[i], x, retain_graph=True)[0][0] for i in range(length)]
    seen = torch.stack(rows).abs().sum(-1) > 0
    distance = torch.arange(length)[:, None] - torch.arange(length)
    assert torch.equal(seen, (distance >= 0) & (distance < block_size * grid_size))


def test_fixed_windows_would_be_blind() -> None:
    """Why the block slides: windows that stand still never connect a start to what is before it."""
    length, size = 64, 8
    token = torch.arange(length)
    causal = token[:, None] >= token
    block = causal & (token[:, None] // size == token // size)
    grid = causal & (token[:, None] % size == token % size)
    reach = torch.eye(length)
    for _ in range(10):
        reach = ((grid.float() @ block.float() @ reach) > 0).float()
    assert reach[size, size - 1] == 0
    sliding = causal & (token[:, None] - token < size)
    assert torch.equal((grid.float() @ sliding.float()) > 0, causal)


@settings(max_examples=40, deadline=None)
@given(**SIZES, data=st.data(), relative_bias=st.booleans())
def test_steps_equal_the_whole_pass(
    length: int, reach: int, stride: int, data: st.DataObject, relative_bias: bool
) -> None:
    """In pieces of any length; what is remembered stays bounded."""
    layer = lively(reach, stride, relative_bias=relative_bias)
    x = torch.randn(2, length, 6, dtype=torch.float64)
    with torch.no_grad():
        expected = layer(x)
        parts, state, done = [], None, 0
        while done < length:
            tokens = data.draw(st.integers(1, length - done))
            y, state = layer.step(x[:, done : done + tokens], state)
            assert state.keys.shape[2] <= (reach - 1) * stride
            parts.append(y)
            done += tokens
    torch.testing.assert_close(torch.cat(parts, dim=1), expected)


def test_a_pair_steps_too() -> None:
    block, grid = lively(4, 1), lively(5, 4)
    x = torch.randn(1, 30, 6, dtype=torch.float64)
    with torch.no_grad():
        expected = grid(block(x))
        local = far = None
        for n in range(30):
            y, local = block.step(x[:, n : n + 1], local)
            y, far = grid.step(y, far)
            torch.testing.assert_close(y[:, 0], expected[:, n])


def test_what_cannot_work() -> None:
    with pytest.raises(ConfigError, match="received 6 channels and heads of 4"):
        CausalAttention(6, 4, 2)
    with pytest.raises(ConfigError, match="the reach 0 and the stride 1"):
        CausalAttention(6, 3, 0)
    for shape in [(4, 6), (1, 4, 5), (1, 0, 6)]:
        with pytest.raises(ShapeError, match="accepted is .batch, length, 6., not empty"):
            lively(2, 1)(torch.zeros(shape, dtype=torch.float64))
