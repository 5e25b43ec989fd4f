"""MAXIM against a second, plain one, over configurations that no golden covers."""

from __future__ import annotations

from dataclasses import asdict
from itertools import chain

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maxim_reference import maxim
from multiaxis.models.maxim import Maxim, MaximConfig
from multiaxis.models.maxim.names.authors import from_authors
from small_maxim import to_authors

sizes = st.sampled_from([(1, 1), (1, 2), (2, 1), (2, 2), (4, 2)])


@st.composite
def configs(draw: st.DrawFn) -> MaximConfig:
    depth = draw(st.integers(1, 3))
    channels = draw(st.sampled_from([(3, 3), (1, 1), (1, 3), (3, 1), (4, 4)]))
    return MaximConfig(
        features=draw(st.sampled_from([2, 4])),
        depth=depth,
        num_stages=draw(st.integers(1, 3)),
        num_groups=draw(st.integers(1, 2)),
        use_bias=draw(st.booleans()),
        num_supervision_scales=draw(st.integers(1, depth)),
        use_global_mlp=draw(st.booleans()),
        use_cross_gating=draw(st.booleans()),
        high_res_stages=draw(st.integers(0, 3)),
        block_size_hr=draw(sizes),
        block_size_lr=draw(sizes),
        grid_size_hr=draw(sizes),
        num_bottleneck_blocks=draw(st.integers(0, 2)),
        block_gmlp_factor=draw(st.sampled_from([2, 4])),
        grid_gmlp_factor=draw(st.sampled_from([2, 4])),
        input_proj_factor=draw(st.sampled_from([2, 4])),
        channels_reduction=2,
        num_outputs=channels[1],
        in_channels=channels[0],
    )


def random_model(config: MaximConfig, seed: int = 0) -> Maxim:
    """In double precision, every parameter random, but small enough that values stay near one."""
    generator = torch.Generator().manual_seed(seed)
    model = Maxim(config).double().eval()
    for name, parameter in model.named_parameters():
        around = 1.0 if name.endswith("norm.weight") else 0.0
        torch.nn.init.normal_(parameter, around, 0.3, generator=generator)
    return model


@pytest.mark.thorough
@settings(max_examples=20, deadline=None)
@given(configs(), st.integers(0, 100))
def test_any_configuration_equals_the_reference(config: MaximConfig, seed: int) -> None:
    model = random_model(config, seed)
    rows, columns = config.size_multiple
    x = torch.rand(1, config.in_channels, rows, 2 * columns, dtype=torch.float64)
    expected = maxim(to_authors(model), asdict(config), x.permute(0, 2, 3, 1))
    with torch.no_grad():
        got = model.forward_stages(x)
    assert [len(stage) for stage in got] == [len(stage) for stage in expected]
    for mine, theirs in zip(chain(*got), chain(*expected)):
        scale = theirs.abs().max().clamp(min=1)
        torch.testing.assert_close(
            mine.permute(0, 2, 3, 1) / scale, theirs / scale, atol=1e-8, rtol=0
        )


@pytest.mark.thorough
@settings(max_examples=6, deadline=None)
@given(configs())
def test_names_and_layouts_come_back(config: MaximConfig) -> None:
    model = random_model(config)
    state = model.state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    arrays = {
        name: value[None, None].numpy() if value.ndim == 2 and "Conv" in name else value.numpy()
        for name, value in to_authors(model).items()
    }
    tensors, missing, unexpected = from_authors(arrays, shapes, config)
    assert (missing, unexpected) == ([], [])
    assert all(torch.equal(tensors[name], state[name]) for name in state)


@pytest.mark.thorough
def test_gradients_equal_the_reference() -> None:
    config = MaximConfig(
        features=2,
        depth=2,
        num_groups=1,
        channels_reduction=2,
        block_size_hr=(2, 2),
        block_size_lr=(2, 2),
        grid_size_hr=(2, 1),
    )
    model = random_model(config)
    rows, columns = config.size_multiple
    x = torch.rand(1, 3, rows, columns, dtype=torch.float64)
    parameters = dict(model.named_parameters())
    mine = torch.autograd.grad(model(x).sin().sum(), list(parameters.values()))
    arrays = {name: value.detach().requires_grad_() for name, value in to_authors(model).items()}
    out = maxim(arrays, asdict(config), x.permute(0, 2, 3, 1))[-1][-1]
    theirs = torch.autograd.grad(out.sin().sum(), list(arrays.values()))
    gradients = Maxim(config).double()
    with torch.no_grad():
        for slot, gradient in zip(gradients.parameters(), mine):
            slot.copy_(gradient)
    for name, gradient in to_authors(gradients).items():
        expected = theirs[list(arrays).index(name)]
        torch.testing.assert_close(gradient, expected, atol=1e-9, rtol=1e-6, msg=name)
