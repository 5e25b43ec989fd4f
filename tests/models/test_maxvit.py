"""MaxViT at any size and configuration, and what users of a backbone expect."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import small_maxvit
from multiaxis import create_model
from multiaxis.errors import ConfigError, ShapeError
from multiaxis.models.maxvit import MaxViT, MaxViTConfig
from multiaxis.models.maxvit.blocks import Conv2d, DropPath
from multiaxis.models.maxvit.groups import parameter_groups

PICTURE = torch.rand(2, 3, 70, 45, generator=torch.Generator().manual_seed(5))


@pytest.mark.thorough
@settings(max_examples=25, deadline=None)
@given(
    sides=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    policy=st.sampled_from(["pad", "fit"]),
)
def test_any_size_runs_and_a_picture_alone_gives_what_it_gives_in_a_batch(
    sides: tuple[int, int], policy: str
) -> None:
    model = small_maxvit.lively(replace(small_maxvit.CONFIG, window_policy=policy))
    x = torch.rand(2, 3, *sides)
    with torch.no_grad():
        logits, alone = model(x), model(x[:1])
        maps = model.forward_pyramid(x)
    assert logits.isfinite().all()
    torch.testing.assert_close(logits[:1], alone, rtol=1e-4, atol=1e-5)
    for features, channels, stride in zip(maps, model.pyramid_channels, model.pyramid_strides):
        assert features.shape == (2, channels, -(-sides[0] // stride), -(-sides[1] // stride))


@pytest.mark.parametrize("sides", [(1, 1), (1000, 37)])
def test_the_extremes_train(sides: tuple[int, int]) -> None:
    model = small_maxvit.lively().train()
    model(torch.rand(2, 3, *sides)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_policies_agree_where_windows_divide() -> None:
    config = replace(small_maxvit.CONFIG, window_size=3, grid_size=3)
    models = [small_maxvit.lively(replace(config, window_policy=p)) for p in ("pad", "fit")]
    models.append(small_maxvit.lively(replace(config, window_policy="fixed")))
    x = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        first, *others = (model(x) for model in models)
    assert all(torch.equal(first, other) for other in others)


def test_fit_is_the_authors_scale_ratio() -> None:
    """A table stored for 3 x 3 windows, at a picture whose windows are 5 x 5."""
    small = replace(small_maxvit.CONFIG, window_size=3, grid_size=3, window_policy="fit")
    large = replace(small_maxvit.CONFIG, window_size=5, grid_size=5, scale_ratio="5/3")
    fitting, scaled = small_maxvit.lively(small), small_maxvit.lively(large)
    x = torch.rand(1, 3, 160, 160)
    with torch.no_grad():
        assert torch.equal(fitting(x), scaled(x))


def test_fixed_windows_refuse_and_say_what_they_take() -> None:
    model = MaxViT(replace(small_maxvit.CONFIG, window_policy="fixed"))
    with pytest.raises(ShapeError, match=r"100 x 128.*multiples of 128 .*multiples of 128"):
        model(torch.rand(1, 3, 100, 128))
    model(torch.rand(2, 3, 127, 126))  # maps of 32, 16, 8, 4: ceil


@pytest.mark.parametrize(
    "x",
    [
        torch.rand(3, 8, 8),
        torch.rand(1, 4, 8, 8),
        torch.rand(1, 3, 0, 8),
        torch.zeros(1, 3, 8, 8, dtype=torch.uint8),
    ],
)
def test_wrong_pictures(x: torch.Tensor) -> None:
    with pytest.raises(ShapeError, match=r"received .* of shape .*accepted are floats"):
        small_maxvit.lively()(x)


def test_layouts_give_the_same() -> None:
    model = small_maxvit.lively()
    with torch.no_grad():
        expected = model(PICTURE)
        assert torch.equal(model(PICTURE.to(memory_format=torch.channels_last)), expected)
        flipped = PICTURE.flip(3).contiguous().flip(3)
        assert torch.equal(model(flipped), expected)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 3, 5]), st.booleans(), st.booleans()
)
def test_same_padding(height: int, width: int, kernel: int, depthwise: bool, train: bool) -> None:
    """Against explicit zeros: an odd total puts the extra one last."""
    groups = 2 if depthwise else 1
    layer = Conv2d(2, 4, kernel, stride=2, groups=groups)
    x = torch.rand(1, 2, height, width)
    amounts = []
    for side in (width, height):
        total = max((-(-side // 2) - 1) * 2 + kernel - side, 0)
        amounts += [total // 2, total - total // 2]
    padded = torch.nn.functional.pad(x, amounts)
    expected = torch.nn.functional.conv2d(padded, layer.weight, layer.bias, stride=2, groups=groups)
    with torch.set_grad_enabled(train):
        torch.testing.assert_close(layer(x), expected)


def test_drop_path_drops_whole_samples_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    layer = DropPath(0.25).train()
    y = layer(torch.ones(4000, 2, 3))
    assert y.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert (y == y[:, :1, :1]).all()
    assert abs(y.mean().item() - 1) < 0.05
    assert layer.eval()(torch.ones(2, 2)).eq(1).all()


def test_drop_rates_are_the_authors() -> None:
    rates = MaxViTConfig(drop_path=0.2).drop_rates
    flat = [rate for stage in rates for rate in stage]
    assert flat == pytest.approx([0.2 * k / 11 for k in range(11)])
    constant = MaxViTConfig(drop_path=0.2, drop_path_anneal=False).drop_rates
    assert {rate for stage in constant for rate in stage} == {0.2}


@pytest.mark.parametrize(
    "change",
    [
        {"downsample_loc": "expand_conv"},
        {"downsample_loc": "inputs"},
        {"downsample_loc": "inputs", "pool_type": "max"},
        {"relative_bias": "shared"},
        {"relative_bias": None},
        {"expansion_rate": 1},
        {"kernel_size": 5},
        {"activation": "silu"},
        {"activation": "relu"},
        {"head_hidden": None},
        {"head_hidden": 11},
        {"num_classes": 0},
        {"in_channels": 1},
        {"flavour": "torchvision"},
        {"depths": (1, 1, 1), "widths": (16, 24, 32)},
        {"window_size": (4, 2), "grid_size": (3, 5)},
        {"drop_path": 0.3},
    ],
)
def test_any_configuration_runs_forward_and_backward(change: dict[str, object]) -> None:
    config = replace(small_maxvit.CONFIG, **change)  # pyright: ignore[reportArgumentType]
    model = small_maxvit.lively(config)
    x = torch.rand(2, config.in_channels, 65, 40)
    out = model.train()(x)
    out.square().sum().backward()
    assert out.shape == (2, config.num_classes or config.widths[-1])
    touched = [p for p in model.parameters() if p.grad is not None]
    assert len(touched) == len(list(model.parameters()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"head_dim": 7}, "head_dim is 7: accepted is a divisor of every width"),
        ({"depths": (1, 2)}, "depths is .* as many numbers as widths"),
        ({"window_size": 0}, "window_size is .*two as \\(rows, columns\\)"),
        ({"window_policy": "crop"}, "window_policy is 'crop': accepted is 'pad', 'fit', 'fixed'"),
        ({"scale_ratio": "__import__('os')"}, "scale_ratio is .* accepted is a positive number"),
        ({"scale_ratio": "1/0"}, "scale_ratio"),
        ({"drop_path": 1.0}, "drop_path is 1.0"),
        ({"kernel_size": 2}, "an odd number"),
        ({"num_classes": -1}, "num_classes is -1"),
        ({"widths": "64"}, "widths is '64'"),
        ({"expansion_rate": 1, "downsample_loc": "expand_conv"}, "downsample_loc"),
        ({"windows": 7}, "unknown field of MaxViTConfig 'windows': did you mean"),
    ],
)
def test_bad_configurations(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        create_model("maxvit", **change)


@pytest.mark.thorough
def test_the_issue_of_names() -> None:
    model = create_model(
        "maxvit", stem_widths=(24, 20), depths=(1, 2, 1, 2), widths=(24, 40, 56, 72), head_dim=8,
        window_size=4, grid_size=2, num_classes=7,
    )  # fmt: skip
    assert model(torch.rand(1, 3, 64, 64)).shape == (1, 7)
    assert create_model("maxvit_tiny", image_size=384).config.windows == ((12, 12), (12, 12))
    wide = create_model("maxvit_pico", image_size=(256, 320)).config
    assert (wide.windows[0], wide.table_windows[0]) == ((8, 10), (7, 7))
    with pytest.raises(ConfigError, match="did you mean maxvit_tiny"):
        create_model("maxvit_tinny")


def test_chosen_levels_of_the_pyramid() -> None:
    model = small_maxvit.lively()
    with torch.no_grad():
        every = model.forward_pyramid(PICTURE)
        some = model.forward_pyramid(PICTURE, levels=(3, 1))
        assert torch.equal(model.forward_features(PICTURE), every[-1])
        assert torch.equal(model.forward_head(every[-1]), model(PICTURE))
    assert [torch.equal(a, b) for a, b in zip(some, (every[3], every[1]))] == [True, True]
    for levels in [(5,), (-1,), ()]:
        with pytest.raises(ConfigError, match=r"give at least one of \[0, 1, 2, 3, 4\]"):
            model.forward_pyramid(PICTURE, levels=levels)


def test_reset_classifier() -> None:
    model = small_maxvit.lively()
    norm = model.head.norm.weight.clone()
    features = model.forward_features(PICTURE)
    model.reset_classifier(3)
    assert model(PICTURE).shape == (2, 3)
    assert torch.equal(model.head.norm.weight, norm)
    assert not model.head.training
    model.reset_classifier(0)
    pooled = model.head.norm(features.mean(dim=(2, 3)))
    torch.testing.assert_close(model(PICTURE), pooled)
    model.reset_classifier(5, head_hidden=None)
    assert model.head.hidden is None
    assert model.double()(PICTURE.double()).shape == (2, 5)


@pytest.mark.thorough
def test_gradient_checkpointing_changes_nothing() -> None:
    """Gradients, batch statistics and their counter; dropped paths too."""
    plain = small_maxvit.lively(replace(small_maxvit.CONFIG, drop_path=0.5)).train()
    saving = copy.deepcopy(plain)
    saving.set_grad_checkpointing()
    for model in (plain, saving):
        torch.manual_seed(3)
        model(PICTURE).square().sum().backward()
    pairs = zip(plain.parameters(), saving.parameters(), strict=True)
    assert all(torch.equal(a.grad, b.grad) for a, b in pairs)
    for name, value in plain.state_dict().items():
        assert torch.equal(value, saving.state_dict()[name]), name


def test_freezing() -> None:
    model = small_maxvit.lively().train()
    model.freeze_stages(2)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model.eval()
    model.train()
    model(PICTURE).square().sum().backward()
    optimiser.step()
    moved = {name for name, value in model.state_dict().items() if not value.equal(before[name])}
    frozen = ("stem.", "stages.0.", "stages.1.")
    assert moved
    assert not any(name.startswith(frozen) for name in moved)
    assert any("running_mean" in name for name in moved)
    model.freeze_stages(-1)
    assert all(p.requires_grad for p in model.parameters())
    assert model.stem.training
    with pytest.raises(ConfigError, match="accepted is -1 to 4"):
        model.freeze_stages(5)


def test_parameter_groups() -> None:
    model = small_maxvit.lively()
    groups = parameter_groups(model, lr=1e-3, weight_decay=0.05, layer_decay=0.5)
    seen = [id(p) for group in groups for p in group["params"]]
    assert sorted(seen) == sorted(id(p) for p in model.parameters())
    torch.optim.AdamW(groups)
    found = {id(p): (g["lr"], g["weight_decay"]) for g in groups for p in g["params"]}
    by_name = {name: found[id(p)] for name, p in model.named_parameters()}
    blocks = sum(small_maxvit.CONFIG.depths)
    assert by_name["head.logits.weight"] == (1e-3, 0.05)
    assert by_name["stem.conv1.weight"] == (1e-3 * 0.5 ** (blocks + 1), 0.05)
    assert by_name["stages.3.1.mbconv.expand.weight"] == (1e-3 * 0.5, 0.05)
    # The authors' pattern: .*(bias|scale|gain|gamma|beta).*, which takes in the bias tables.
    for name, (_, decay) in by_name.items():
        excluded = name.endswith(("bias", "table")) or "norm" in name
        assert (decay == 0) == excluded, name


def test_bias_tables_follow_new_weights() -> None:
    model, other = small_maxvit.lively(seed=0), small_maxvit.lively(seed=1)
    with torch.no_grad():
        first = model(PICTURE)
        expected = other(PICTURE)
        model.load_state_dict(other.state_dict())
        assert not torch.equal(first, expected)
        assert torch.equal(model(PICTURE), expected)


def test_bfloat16_and_autocast() -> None:
    model = small_maxvit.lively()
    with torch.no_grad():
        expected = model(PICTURE)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = model(PICTURE)
        low = model.bfloat16()(PICTURE.bfloat16())
    assert low.dtype == torch.bfloat16
    scale = expected.abs().max()
    assert (mixed.float() - expected).abs().max() < 0.1 * scale
    assert (low.float() - expected).abs().max() < 0.1 * scale
