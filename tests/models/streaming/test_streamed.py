"""The streamed form equals the plain one: any configuration, size, piece size, dtype."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib import import_module

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import small_maxim
from multiaxis import create_model, streamed
from multiaxis.axis import block, grid
from multiaxis.errors import ConfigError, ShapeError
from multiaxis.models.maxim import VARIANTS, Maxim, MaximConfig
from multiaxis.models.maxim.plan import live_units, peak_memory
from multiaxis.models.maxim.streaming import convolution, pieces
from multiaxis.models.maxim.streaming.workspace import Sizes, Workspace


def lively(**change: object) -> Maxim:
    """Every parameter off its start, in double precision."""
    torch.manual_seed(0)
    model = Maxim(replace(small_maxim.CONFIG, **change)).eval().double()  # pyright: ignore[reportArgumentType]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.05)
    return model


def differ(model: Maxim, x: torch.Tensor) -> float:
    """Largest difference, over the largest output."""
    with torch.no_grad():
        expected = model(x)
    found = streamed(model)(x)
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.thorough
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"num_stages": 1},
        {"num_stages": 3, "depth": 2, "num_supervision_scales": 1},
        {"use_bias": False},
        {"use_cross_gating": False},
        {"use_global_mlp": False, "num_groups": 2},
        {"num_outputs": 1},
        {"num_outputs": 1, "in_channels": 1, "num_supervision_scales": 2},
        {"block_size_hr": (4, 2), "grid_size_hr": (2, 4), "block_size_lr": (1, 2)},
        {"num_bottleneck_blocks": 0, "high_res_stages": 1},
        {"input_proj_factor": 4, "block_gmlp_factor": 4, "grid_gmlp_factor": 6},
    ],
)
def test_any_configuration(change: dict[str, object]) -> None:
    model = lively(**change)
    rows, columns = model.config.size_multiple
    x = torch.rand(2, model.config.in_channels, 2 * rows, 3 * columns, dtype=torch.float64)
    assert differ(model, x) < 1e-12


@cache
def two_stages() -> Maxim:
    return lively(num_stages=2)


@pytest.mark.thorough
@settings(max_examples=12)
@given(
    sizes=st.tuples(st.integers(1, 4), st.integers(1, 5)),
    piece=st.integers(6, 14),
    band=st.integers(6, 16),
)
def test_any_size_and_piece_size(sizes: tuple[int, int], piece: int, band: int) -> None:
    """Down to pieces of one window and bands of a few rows."""
    model = two_stages()
    rows, columns = model.config.size_multiple
    x = torch.rand(1, 3, sizes[0] * rows, sizes[1] * columns, dtype=torch.float64)
    with pytest.MonkeyPatch.context() as patch:
        sizes = Sizes(2**piece, 2**band)
        module = import_module("multiaxis.models.maxim.streaming.streamed")
        patch.setattr(module, "find_sizes", lambda _: sizes)
        assert differ(model, x) < 1e-12


@pytest.mark.thorough
def test_float32_at_real_width() -> None:
    """Within float rounding."""
    torch.manual_seed(0)
    model = create_model("maxim_s2")
    assert differ(model, torch.rand(1, 3, 64, 128)) < 1e-5


def test_bfloat16_runs_close() -> None:
    model = create_model("maxim", **{**small_fields(), "num_stages": 1})
    x = torch.rand(1, 3, *model.config.size_multiple)
    with torch.no_grad():
        expected = model(x)
        plain = model.bfloat16()(x.bfloat16())
    found = streamed(model)(x.bfloat16())
    assert found.dtype == torch.bfloat16
    error, plain_error = ((y.float() - expected).square().mean() for y in (found, plain))
    assert error < 2 * plain_error


def small_fields() -> dict[str, object]:
    names = ("features", "block_size_hr", "grid_size_hr", "block_size_lr")
    return {name: getattr(small_maxim.CONFIG, name) for name in names}


def test_the_model_and_the_picture_stay_as_they_are() -> None:
    model = lively()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x = torch.rand(1, 3, *model.config.size_multiple, dtype=torch.float64)
    kept = x.clone()
    run = streamed(model)
    first = run(x)
    assert torch.equal(first, run(x))
    assert torch.equal(x, kept)
    assert all(torch.equal(before[name], v) for name, v in model.state_dict().items())


def test_what_cannot_work() -> None:
    with pytest.raises(ConfigError, match="cannot stream a Linear"):
        streamed(torch.nn.Linear(1, 1))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ShapeError, match="multiples of"):
        streamed(lively())(torch.rand(1, 3, 5, 5, dtype=torch.float64))


@pytest.mark.parametrize(("kind", "split"), [(False, block), (True, grid)])
def test_views_are_windows(kind: bool, split: object) -> None:
    x = torch.rand(12, 8, 3)
    view = pieces.windows_view(x, (3, 2), is_grid=kind)
    everything = pieces.gather(view, slice(None), slice(None), x.dtype)
    assert torch.equal(everything.transpose(0, 1), split(x[None], (3, 2))[0])
    out = torch.zeros_like(x)
    target = pieces.windows_view(out, (3, 2), is_grid=kind)
    for place in pieces.window_pieces((12, 8), (3, 2), 13):
        pieces.scatter(target, *place, pieces.gather(view, *place, x.dtype))
        pieces.scatter_add(target, *place, pieces.gather(view, *place, x.dtype))
    assert torch.equal(out, 2 * x)


@settings(max_examples=50)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    size=st.integers(3, 12),
    multiple=st.sampled_from([1, 2]),
    halo=st.sampled_from([0, 2]),
)
def test_bands_cover_a_map_once(
    height: int, width: int, size: int, multiple: int, halo: int
) -> None:
    x = torch.arange(height * multiple).view(-1, 1, 1).expand(-1, width, 2).float()
    work = Workspace(
        device=x.device,
        storage=torch.float32,
        compute=torch.float32,
        sizes=Sizes(2**size, 2**size),
    )
    seen = []
    for rows in work.bands(x, multiple=multiple, halo=halo):
        assert rows.start % multiple == 0
        near, inner = pieces.with_halo(rows, halo, len(x))
        assert near.start in (0, rows.start - halo)
        assert near.stop in (len(x), rows.stop + halo)
        seen.append(x[near][inner])
    assert torch.equal(torch.cat(seen), x)


@pytest.mark.parametrize("ratio", [2, 4, 8])
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 3), (6, 4)])
def test_shrinking_is_that_of_the_model(ratio: int, size: tuple[int, int]) -> None:
    x = torch.rand(size[0] * ratio, size[1] * ratio, 3, dtype=torch.float64)
    expected = torch.nn.functional.interpolate(
        x[None].permute(0, 3, 1, 2), size, mode="bilinear", antialias=True
    )
    found = convolution.shrink(x, ratio)[None].permute(0, 3, 1, 2)
    assert torch.allclose(found, expected, rtol=0, atol=1e-14)


def test_memory_of_dead_maps_is_used_again_and_never_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Spoiled as it goes back: whoever reads a map after its death gives no number."""
    give_back = Workspace.give_back
    count = 0

    def spoil(self: Workspace, memory: torch.Tensor) -> None:
        nonlocal count
        count += 1
        memory.fill_(torch.nan)
        give_back(self, memory)

    monkeypatch.setattr(Workspace, "give_back", spoil)
    model = lively()
    assert differ(model, torch.rand(1, 3, *model.config.size_multiple, dtype=torch.float64)) < 1e-12
    assert count > 20


def test_the_plan() -> None:
    """5.56 maps at the peak, 3.81 where no other stage follows."""
    assert live_units(VARIANTS["maxim_s2"]) == 5.5625
    assert live_units(VARIANTS["maxim_s3"]) == 5.5625
    assert live_units(VARIANTS["maxim_s1"]) == 3.8125
    per_pixel = (
        peak_memory(VARIANTS["maxim_s2"], 10**9, 4, 0)
        - peak_memory(MaximConfig(features=32, num_stages=2, num_supervision_scales=3), 0, 4, 0)
    ) / 10**9
    assert 704 < per_pixel < 760
