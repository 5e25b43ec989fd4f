"""Causal attention: nothing of the future, all of the past, step by step the same."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import functional_call, stack_module_state
from torch.utils._python_dispatch import TorchDispatchMode

from multiaxis.axis import CausalAttention, CausalState
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


@pytest.mark.thorough
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


@pytest.mark.thorough
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


@pytest.mark.thorough
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
            assert state.ring.shape == (2, reach, stride, 12)
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
    for rate in (-0.1, 1.0, math.nan):
        with pytest.raises(ConfigError, match="accepted are rates from 0 to below 1"):
            CausalAttention(6, 3, 2, dropout=rate)
    for shape in [(4, 6), (1, 4, 5), (1, 0, 6)]:
        with pytest.raises(ShapeError, match="accepted is .batch, length, 6., not empty"):
            lively(2, 1)(torch.zeros(shape, dtype=torch.float64))
    layer, x = lively(2, 3), torch.zeros(2, 4, 6, dtype=torch.float64)
    for mask in (torch.ones(2, 4), torch.ones(2, 5, dtype=torch.bool)):
        with pytest.raises(ShapeError, match="accepted is torch.bool of shape .2, 4., True at pad"):
            layer(x, mask)
    state = layer.step(x)[1]
    for other, batch in ((lively(3, 3), 2), (lively(2, 2), 2), (layer, 1)):
        with pytest.raises(ShapeError, match="received a state whose ring has the shape .2, 2, 3"):
            other.step(x[:batch, :1], state)


def ragged(
    data: st.DataObject, texts: list[torch.Tensor], width: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Stand sequences in a batch, padding left, right and between; padding holds rubbish."""
    x = torch.full((len(texts), width, 6), math.nan, dtype=torch.float64)
    padding = torch.ones(len(texts), width, dtype=torch.bool)
    for row, text in enumerate(texts):
        places = data.draw(
            st.sets(st.integers(0, width - 1), min_size=len(text), max_size=len(text))
        )
        places = torch.tensor(sorted(places), dtype=torch.long)
        x[row, places], padding[row, places] = text, False
    return x, padding


@settings(max_examples=20, deadline=None)
@given(data=st.data(), reach=SIZES["reach"], stride=SIZES["stride"], window=st.integers(1, 8))
def test_a_sequence_knows_nothing_of_padding_and_neighbours(
    data: st.DataObject, reach: int, stride: int, window: int
) -> None:
    layer = lively(reach, stride)
    lengths = data.draw(st.lists(st.integers(0, 20), min_size=1, max_size=3))
    texts = [torch.randn(length, 6, dtype=torch.float64) for length in lengths]
    x, padding = ragged(data, texts, max(lengths) + data.draw(st.integers(1, 5)))
    x.requires_grad_()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("multiaxis.axis.causal.QUERIES", window)
        patch.setattr("multiaxis.axis.causal.TOKENS", 3 * window)
        y = layer(x, padding)
    assert (y[padding] == 0).all()
    gradient = torch.autograd.grad(y.square().sum(), x)[0]
    assert (gradient[padding] == 0).all()
    for row, text in enumerate(texts):
        if not len(text):
            continue
        alone = text.clone().requires_grad_()
        expected = dense_attention(alone[None], layer)[0]
        torch.testing.assert_close(y[row, ~padding[row]], expected)
        theirs = torch.autograd.grad(expected.square().sum(), alone)[0]
        torch.testing.assert_close(gradient[row, ~padding[row]], theirs)


@pytest.mark.thorough
@settings(max_examples=20, deadline=None)
@given(data=st.data(), reach=SIZES["reach"], stride=SIZES["stride"])
def test_ragged_pieces_go_on_where_each_sequence_ended(
    data: st.DataObject, reach: int, stride: int
) -> None:
    """Prompts of any lengths, pieces in which some wait, and single tokens without a mask."""
    layer = lively(reach, stride)
    texts = torch.randn(3, 60, 6, dtype=torch.float64)
    expected = dense_attention(texts, layer)
    done, state = [0, 0, 0], None
    with torch.no_grad():
        for _ in range(4):
            counts = data.draw(st.lists(st.integers(0, 8), min_size=3, max_size=3))
            pieces = [text[n : n + c] for text, n, c in zip(texts, done, counts)]
            x, padding = ragged(data, pieces, max(*counts, 1))
            y, state = layer.step(x, state, padding)
            for row, count in enumerate(counts):
                wanted = expected[row, done[row] : done[row] + count]
                torch.testing.assert_close(y[row, ~padding[row]], wanted)
            done = [n + c for n, c in zip(done, counts)]
            for _ in range(data.draw(st.integers(0, 5))):
                x = torch.stack([text[n] for text, n in zip(texts, done)])
                y, state = layer.step(x[:, None], state)
                wanted = torch.stack([row[n] for row, n in zip(expected, done)])
                torch.testing.assert_close(y[:, 0], wanted)
                done = [n + 1 for n in done]
    assert state is not None
    assert state.lengths.tolist() == done


@pytest.fixture
def prompted() -> tuple[CausalAttention, torch.Tensor, CausalState]:
    layer, x = lively(3, 2), torch.randn(2, 9, 6, dtype=torch.float64)
    with torch.no_grad():
        return layer, x, layer.step(x[:, :5])[1]


Prompted = tuple[CausalAttention, torch.Tensor, CausalState]


def test_a_token_is_written_into_the_ring_without_a_copy(prompted: Prompted) -> None:
    layer, x, state = prompted
    with torch.no_grad():
        _, later = layer.step(x[:, 5:6], state)
        assert later.ring.data_ptr() == state.ring.data_ptr()
        with pytest.raises(ConfigError, match="take state.clone.. before"):
            layer.step(x[:, 5:6], state)
        with pytest.raises(ConfigError, match="a step has already gone on from"):
            state.select(torch.tensor([0]))


def test_a_state_goes_on_twice_from_copies(prompted: Prompted) -> None:
    layer, x, state = prompted
    rows = torch.tensor([1, 0, 1])
    expected = layer(x)
    with torch.no_grad():
        beams, copy = state.select(rows), state.clone()
        for n in range(5, 9):
            y, beams = layer.step(x[rows, n : n + 1], beams)
            torch.testing.assert_close(y[:, 0], expected[rows, n])
        for going in (state, copy):
            y, _ = layer.step(x[:, 5:], going)
            torch.testing.assert_close(y, expected[:, 5:])


def test_gradients_flow_through_steps() -> None:
    """Also through single tokens, which then leave the states before as they were."""
    layer = lively(3, 2)
    x = torch.randn(2, 12, 6, dtype=torch.float64, requires_grad=True)
    parts, state = [], None
    for piece in x.split([1, 4, 1, 1, 1, 1, 3], dim=1):
        y, state = layer.step(piece, state)
        assert not state.is_spent
        parts.append(y)
    wanted = [x, *layer.parameters()]
    mine = torch.autograd.grad(torch.cat(parts, 1).square().sum(), wanted, retain_graph=True)
    for a, b in zip(mine, torch.autograd.grad(layer(x).square().sum(), wanted)):
        torch.testing.assert_close(a, b)
    assert state is not None
    assert state.ring.requires_grad
    assert not state.detach().ring.requires_grad


def test_a_state_of_inference_mode_goes_on_outside(prompted: Prompted) -> None:
    layer, x, _ = prompted
    expected = layer(x)
    with torch.inference_mode():
        state = layer.step(x[:, :5])[1]
        _, state = layer.step(x[:, 5:6], state)
    with torch.no_grad():
        y, state = layer.step(x[:, 6:7], state)
    torch.testing.assert_close(y, expected[:, 6:7])
    torch.testing.assert_close(layer.step(x[:, 7:8], state)[0], expected[:, 7:8])


def test_dropout_drops_weights_in_training_only() -> None:
    layer = lively(4, 2).eval()
    dropping = CausalAttention(6, 3, 4, stride=2, dropout=0.5).double()
    dropping.load_state_dict(layer.state_dict())
    x = torch.randn(1, 20, 6, dtype=torch.float64)
    with torch.no_grad():
        mean = dropping(x.expand(2000, -1, -1)).mean(0, keepdim=True)
        torch.testing.assert_close(mean, layer(x), atol=0.5, rtol=0)
        assert not torch.allclose(dropping(x), layer(x))
        dropping.eval()
        assert torch.equal(dropping(x), layer(x))
    assert "dropout=0.5" in repr(dropping)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_half_precision_stays_near(dtype: torch.dtype) -> None:
    layer, x = lively(5, 3), torch.randn(2, 40, 6, dtype=torch.float64)
    expected = layer(x)
    low = lively(5, 3).to(dtype)
    with torch.no_grad():
        y, state = low.step(x[:, :30].to(dtype))
        y = torch.cat([y, low.step(x[:, 30:31].to(dtype), state)[0]], dim=1)
    atol = {torch.float32: 1e-5, torch.bfloat16: 0.15}[dtype]
    torch.testing.assert_close(y.double(), expected[:, :31], atol=atol, rtol=0)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        y, state = lively(5, 3).float().step(x[:, :30].float())
        assert state.ring.dtype == torch.bfloat16


class Largest(TorchDispatchMode):
    """Notes the elements of the largest tensor that anything gives."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for part in result if isinstance(result, tuple | list) else [result]:
            if isinstance(part, torch.Tensor):
                self.elements = max(self.elements, part.untyped_storage().nbytes() // 4)
        return result


@pytest.mark.parametrize(("reach", "stride"), [(32, 1), (32, 32)])
def test_no_tensor_of_a_prompt_is_larger_than_its_projection(reach: int, stride: int) -> None:
    """Neither reading a prompt nor training on it makes the reach-fold of the sequence."""
    layer, x = CausalAttention(64, 32, reach, stride=stride), torch.rand(2, 2048, 64)
    with torch.no_grad(), Largest() as largest:
        layer.step(x)
    assert largest.elements <= 3 * x.numel()
    with Largest() as largest:
        layer(x).sum().backward()
    logits = 4096 * layer.heads * (64 + reach)
    assert largest.elements <= max(3 * x.numel(), logits)


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore")  # what the compiler says of itself
@pytest.mark.parametrize(
    "backend",
    ["eager", *(pytest.param(b, marks=pytest.mark.slow) for b in ("aot_eager", "inductor"))],
)
def test_compiles_whole(backend: str) -> None:
    torch.compiler.reset()
    layer = lively(3, 2)
    whole = torch.compile(layer, backend=backend, fullgraph=True)
    step = torch.compile(layer.step, backend=backend, fullgraph=True)
    x = torch.randn(2, 12, 6, dtype=torch.float64, requires_grad=True)
    padding = torch.arange(12).expand(2, -1) < torch.tensor([[2], [0]])
    for arguments in ((x,), (x, padding)):
        mine, theirs = (
            torch.autograd.grad(run(*arguments).square().sum(), [x, *layer.parameters()])
            for run in (whole, layer)
        )
        for a, b in zip(mine, theirs):
            torch.testing.assert_close(a, b)
    expected = layer(x)
    with torch.no_grad():
        _, state = step(x[:, :5])
        for n in range(5, 12):
            before = state
            y, state = step(x[:, n : n + 1], state)
            assert before.is_spent
            torch.testing.assert_close(y[:, 0], expected[:, n])


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_stacked_layers_run_under_vmap() -> None:
    layers = [lively(3, 2), lively(3, 2)]
    layers[1].qkv.weight.data.mul_(2)
    parameters, buffers = stack_module_state(layers)
    x, padding = torch.randn(2, 9, 6, dtype=torch.float64), torch.zeros(2, 9, dtype=torch.bool)
    padding[0, :3] = True
    with torch.no_grad():  # torch has no vmap of its kernels for masks with gradients
        run = torch.vmap(lambda p, b: functional_call(layers[0], (p, b), (x, padding)))
        stacked = run(parameters, buffers)
    for y, layer in zip(stacked, layers):
        torch.testing.assert_close(y, layer(x, padding))
