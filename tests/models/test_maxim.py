"""MAXIM against the authors' code, its counts, and its errors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import small_maxim
from multiaxis import create_model, list_models, load_weights
from multiaxis.errors import ConfigError, ShapeError
from multiaxis.models.maxim import VARIANTS, Maxim
from multiaxis.models.maxim.ends import pyramid

TOLERANCE = 1e-4  # the reference's own rounding is 2e-5 (golden B, which has no biases)
SMALL = {
    "features": 4,
    "num_stages": 2,
    "num_supervision_scales": 2,
    "block_size_hr": (2, 4),
    "grid_size_hr": (4, 2),
    "block_size_lr": (2, 2),
}

# (parameters, arrays) with three and with one supervision scale: shape evaluation of the authors'
# code.
COUNTS = {
    "maxim_s1": ((6_139_561, 766), (6_108_515, 758)),
    "maxim_s2": ((14_176_178, 1760), (13_353_830, 1664)),
    "maxim_s3": ((22_212_795, 2754), (20_599_145, 2570)),
    "maxim_m1": ((19_464_265, 766), (19_361_219, 758)),
    "maxim_m2": ((43_227_986, 1760), (40_839_110, 1664)),
    "maxim_m3": ((66_991_707, 2754), (62_317_001, 2570)),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("scales", [3, 1])
def test_counts_equal_the_authors(name: str, scales: int) -> None:
    with torch.device("meta"):
        parameters = list(create_model(name, num_supervision_scales=scales).parameters())
    expected = COUNTS[name][0 if scales == 3 else 1]
    assert (sum(p.numel() for p in parameters), len(parameters)) == expected


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["A", "B", "D"])
def test_every_stage_and_scale_equals_the_authors(name: str, shared_dir: Path) -> None:
    file = shared_dir / "golden" / "maxim" / f"{name}.npz"
    golden = np.load(file)
    config = json.loads(file.with_suffix(".json").read_text())
    x = torch.from_numpy(golden["input"]).permute(0, 3, 1, 2)
    model = create_model("maxim", in_channels=x.shape[1], **config).eval()
    load_weights(model, file)
    with torch.inference_mode():
        outputs, final = model.forward_stages(x), model(x)
    got = {
        f"output/stage_{t}/scale_{k}": picture.permute(0, 2, 3, 1).numpy()
        for t, stage in enumerate(outputs)
        for k, picture in enumerate(stage)
    }
    assert set(got) == {key for key in golden.files if key.startswith("output/")}
    for key, picture in got.items():
        np.testing.assert_allclose(picture, golden[key], atol=TOLERANCE, rtol=0, err_msg=key)
    assert torch.equal(final, outputs[-1][-1])


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "field", "value"),
    [("A", "grid_size_lr", (8, 8)), ("B", "lrelu_slope", 0.9), ("B", "dropout_rate", 0.5)],
)
def test_fields_without_effect_have_none(
    name: str, field: str, value: object, shared_dir: Path
) -> None:
    """`dropout_rate` acts while training only, the other two never."""
    file = shared_dir / "golden" / "maxim" / f"{name}.npz"
    config = {**json.loads(file.with_suffix(".json").read_text()), field: value}
    model = create_model("maxim", **config).eval()
    load_weights(model, file)
    golden = np.load(file)
    last = max(key for key in golden.files if key.startswith("output/"))
    with torch.inference_mode():
        out = model(torch.from_numpy(golden["input"]).permute(0, 3, 1, 2))
    np.testing.assert_allclose(
        out.permute(0, 2, 3, 1).numpy(), golden[last], atol=TOLERANCE, rtol=0
    )


@pytest.mark.thorough
def test_dropout_acts_while_training() -> None:
    model = create_model("maxim", **SMALL, dropout_rate=0.5).eval()
    x = torch.rand(1, 3, 32, 32)
    assert torch.equal(model(x), model(x))
    model.train()
    assert not torch.equal(model(x), model(x))


@pytest.mark.thorough
def test_every_parameter_learns() -> None:
    model = create_model("maxim", **SMALL).train()
    outputs = model.forward_stages(torch.rand(2, 3, 32, 32))
    assert [[tuple(p.shape[2:]) for p in stage] for stage in outputs] == [[(16, 16), (32, 32)]] * 2
    sum(p.square().mean() for stage in outputs for p in stage).backward()
    idle = {name for name, p in model.named_parameters() if p.grad is None}
    # Cross gating returns two maps, and where only the first is used nothing else is idle: the
    # second one is a part of the first.
    assert idle == set()


@pytest.mark.thorough
def test_a_batch_is_its_pictures_one_by_one() -> None:
    model = create_model("maxim", **SMALL).double()  # norms over 4 channels amplify rounding
    x = torch.rand(3, 3, 32, 64, dtype=torch.float64)
    with torch.inference_mode():
        torch.testing.assert_close(
            model(x), torch.cat([model(p[None]) for p in x]), atol=1e-9, rtol=0
        )


def test_input_scales_take_the_pixel_nearest_to_the_centre() -> None:
    x = torch.arange(64.0).view(1, 8, 8, 1)
    _, half, quarter = pyramid(x, 3)
    assert half[0, :, 0, 0].tolist() == [9, 25, 41, 57]  # rows 1, 3, 5, 7 of column 1
    assert quarter[0, 0, :, 0].tolist() == [18, 22]  # columns 2 and 6 of row 2


def test_size_multiples_follow_the_sizes() -> None:
    assert VARIANTS["maxim_s2"].size_multiple == (64, 64)
    sizes = {"block_size_hr": (4, 8), "grid_size_hr": (6, 4), "block_size_lr": (2, 5)}
    model = create_model("maxim", features=4, num_stages=1, **sizes)
    # rows: 12, 24, 8 and 16 in the bottleneck; columns: 8, 16, 20 and 40
    assert model.config.size_multiple == (48, 80)
    assert model(torch.rand(1, 3, 48, 80)).shape == (1, 3, 48, 80)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 100, 64), r"100 x 64 pixels.*multiples of 32.*pad to 128 x 64"),
        ((1, 3, 0, 64), "pad to 32 x 64"),
        ((1, 1, 64, 64), r"\(1, 1, 64, 64\): accepted is \(batch, 3, height, width\)"),
        ((3, 64, 64), r"accepted is \(batch, 3, height, width\)"),
    ],
)
def test_wrong_shapes_say_what_to_do(shape: tuple[int, ...], message: str) -> None:
    model = create_model("maxim", features=4, num_stages=1, depth=2)
    with pytest.raises(ShapeError, match=message):
        model(torch.zeros(shape))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("features", 0),
        ("features", 2.5),
        ("num_supervision_scales", 4),
        ("block_size_hr", (8,)),
        ("block_size_hr", 8),
        ("grid_size_lr", (0, 8)),
        ("channels_reduction", 65),
        ("dropout_rate", 1.0),
        ("num_outputs", 2),
        ("use_bias", 1),
        ("features", True),
    ],
)
def test_impossible_fields_are_named(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"{field} is .*accepted is"):
        create_model("maxim", **{field: value})


def test_odd_widths_cannot_be_halved() -> None:
    with pytest.raises(ConfigError, match="input_proj_factor"):
        create_model("maxim", features=5, input_proj_factor=1, channels_reduction=1)


def test_unknown_names_come_with_near_ones() -> None:
    with pytest.raises(ConfigError, match="did you mean maxim_s2"):
        create_model("maxim-s2")
    with pytest.raises(ConfigError, match="did you mean num_stages"):
        create_model("maxim", num_stage=1)
    assert list_models("maxim_m*") == ["maxim_m1", "maxim_m2", "maxim_m3"]


def test_removed_heads_are_refused_not_invented() -> None:
    model = create_model("maxim", **SMALL)
    x = torch.rand(1, 3, 32, 32)
    before = model(x)
    model.remove_heads([1])
    assert torch.equal(model(x), before)
    assert model.missing_heads == [1]
    with pytest.raises(ConfigError, match=r"no output heads for the scales \[1\]"):
        model.forward_stages(x)
    with pytest.raises(ConfigError, match="must stay"):
        model.remove_heads([0])


def test_one_output_on_three_channels_broadcasts_as_the_authors_do() -> None:
    config = replace(small_maxim.CONFIG, num_outputs=1)
    outputs = Maxim(config).forward_stages(torch.rand(1, 3, 16, 16))
    assert [stage[-1].shape[1] for stage in outputs] == [1, 3]


def test_bfloat16_stays_near_float32() -> None:
    torch.manual_seed(0)
    model = create_model("maxim", **SMALL)
    x = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        exact, rough = model(x), model.bfloat16()(x.bfloat16()).float()
    # Random weights are rougher than trained ones (see restoration/test_pretrained.py).
    assert (exact - rough).square().mean().sqrt() < 0.1 * exact.std()
