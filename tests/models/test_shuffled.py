"""Small MAXIMs: pixels stacked into channels, and coefficients for colours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import small_maxim
from multiaxis import streamed
from multiaxis.errors import ConfigError
from multiaxis.models.maxim import Maxim, MaximConfig
from multiaxis.models.maxim.ends import recolour, shuffle, smooth, unshuffle
from multiaxis.models.maxim.plan import maps_memory
from multiaxis.models.store import write_safetensors
from multiaxis.zoo import open_model

SMALL = {"num_stages": 1, "num_supervision_scales": 1, "depth": 2}
KINDS = [{"shuffle": 2}, {"affine": True}, {"shuffle": 4, "affine": True}, {"shuffle": 3}]


def lively(**change: object) -> Maxim:
    """Every parameter off its start, in double precision."""
    torch.manual_seed(0)
    config = replace(small_maxim.CONFIG, **SMALL, **change)  # pyright: ignore[reportArgumentType]
    model = Maxim(config).eval().double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.05)
    return model


def picture(model: Maxim) -> torch.Tensor:
    rows, columns = model.config.size_multiple
    return torch.rand(2, 3, 2 * rows, 3 * columns, dtype=torch.float64)


def test_unshuffled_pixels_are_torchs_in_another_order_and_come_back() -> None:
    x = torch.rand(2, 6, 9, 3)
    stacked = unshuffle(x, 3)
    assert stacked.shape == (2, 2, 3, 27)
    assert torch.equal(shuffle(stacked, 3), x)
    theirs = torch.nn.functional.pixel_unshuffle(x.permute(0, 3, 1, 2), 3)
    ours = stacked.unflatten(-1, (9, 3)).transpose(-1, -2).flatten(-2).permute(0, 3, 1, 2)
    assert torch.equal(ours, theirs)


def test_coefficients_are_a_matrix_and_an_offset_for_each_output() -> None:
    x, matrix, offset = torch.rand(5, 4, 3), torch.rand(3, 3), torch.rand(3)
    rows = torch.cat([matrix, offset[:, None]], dim=1).flatten()
    assert torch.allclose(recolour(x, rows.expand(5, 4, -1)), x + x @ matrix.T + offset)


def test_coefficients_are_smoothed_as_by_a_kernel_and_stripes_are_gone() -> None:
    x = torch.rand(2, 5, 7, 3, dtype=torch.float64)
    kernel = torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64) / 4
    weight = torch.outer(kernel, kernel).expand(3, 1, 3, 3)
    padded = nn.functional.pad(x.permute(0, 3, 1, 2), (1, 1, 1, 1), mode="replicate")
    expected = nn.functional.conv2d(padded, weight, groups=3).permute(0, 2, 3, 1)
    assert torch.allclose(smooth(x), expected, rtol=1e-14)
    stripes = torch.arange(8).remainder(2).to(x).view(1, 1, 8, 1).expand(1, 4, 8, 1)
    assert torch.equal(smooth(stripes)[:, :, 1:-1], torch.full_like(stripes[:, :, 1:-1], 0.5))
    one = torch.rand(1, 1, 1, 2)
    assert torch.equal(smooth(one), one)


@pytest.mark.parametrize("change", KINDS)
def test_the_streamed_form_is_the_plain_one(change: dict[str, object]) -> None:
    model = lively(**change)
    x = picture(model)
    with torch.no_grad():
        expected = model(x)
    assert expected.shape == x.shape
    assert float((expected - x).abs().max()) > 0.01, "it does something"
    assert float((streamed(model)(x) - expected).abs().max() / expected.abs().max()) < 1e-12


@pytest.mark.parametrize("change", KINDS)
def test_without_a_head_the_picture_stays(change: dict[str, object]) -> None:
    model = lively(**change)
    with torch.no_grad():
        for parameter in model.stages[-1].heads.parameters():  # pyright: ignore[reportAttributeAccessIssue]
            parameter.zero_()
        x = picture(model)
        assert torch.equal(model(x), x)


def test_a_change_of_light_keeps_detail_that_the_u_net_never_sees() -> None:
    """One matrix everywhere: what is between the coefficients passes through it exactly."""
    model = lively(shuffle=4, affine=True)
    heads = model.stages[-1].heads
    assert isinstance(heads, nn.ModuleDict)
    head = heads["0"]
    assert isinstance(head, nn.Conv2d)
    assert head.bias is not None
    rows = torch.rand(3, 4, dtype=torch.float64)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(rows.flatten())
        x = picture(model)
        expected = x + torch.einsum("oc,bchw->bohw", rows[:, :3], x) + rows[:, 3, None, None]
        assert torch.allclose(model(x), expected)


def test_shuffled_maps_take_their_share_of_memory() -> None:
    config = replace(small_maxim.CONFIG, **SMALL)  # pyright: ignore[reportArgumentType]
    whole = maps_memory(config, 10**6, 4)
    assert maps_memory(replace(config, shuffle=4), 10**6, 4) == pytest.approx(whole / 16)
    size = config.size_multiple[0]
    assert replace(config, shuffle=4).size_multiple == (4 * size, 4 * size)


def test_a_file_states_both(tmp_path: Path) -> None:
    import json
    from dataclasses import asdict

    model = lively(shuffle=4, affine=True).float()
    about = {"config": json.dumps(asdict(model.config))}
    write_safetensors(tmp_path / "a.safetensors", model.state_dict(), about)
    again = open_model(tmp_path / "a.safetensors")
    assert again.config == model.config
    x = picture(model).float()
    with torch.no_grad():
        assert torch.equal(again(x), model(x))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"shuffle": 0}, "shuffle is 0: accepted is a whole number from 1 to 16"),
        ({"shuffle": 17}, "from 1 to 16"),
        ({"shuffle": 2.0}, "whole number"),
        ({"affine": 1}, "True or False"),
        ({"shuffle": 2, "num_stages": 2}, "unless num_stages and num_supervision_scales are 1"),
        ({"affine": True, "num_supervision_scales": 2}, "unless num_stages"),
        ({"shuffle": 2, "num_outputs": 1}, "num_outputs is in_channels"),
    ],
)
def test_what_cannot_be(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(MaximConfig(features=4), **{**SMALL, **fields})  # pyright: ignore[reportArgumentType]
