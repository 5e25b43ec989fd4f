"""What must hold for any picture: formulas, a slow reference, refusals."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from multiaxis.errors import ConfigError, ShapeError
from multiaxis.score import (
    PROTOCOLS,
    SSIM_KINDS,
    Protocol,
    get_protocol,
    luma_matlab,
    luma_opencv,
    luma_unrounded,
    psnr,
    score_pair,
    ssim,
)

KINDS = st.sampled_from(sorted(SSIM_KINDS))


def rgb8():
    """Small 8-bit RGB pictures of varied contrast."""

    def build(height, width, seed, contrast):
        noise = np.random.default_rng(seed).normal(128, contrast, (height, width, 3))
        return np.clip(noise, 0, 255).astype(np.uint8)

    side, seed = st.integers(11, 14), st.integers(0, 2**32 - 1)
    return st.builds(build, side, side, seed, st.sampled_from([0.0, 2.0, 40.0, 200.0]))


@st.composite
def pairs(draw):
    prediction = draw(rgb8())
    noise = np.random.default_rng(draw(st.integers(0, 99))).normal(0, 30, prediction.shape)
    return prediction, np.clip(prediction + noise, 0, 255).astype(np.uint8)


def slow_ssim(a, b, kind, data_range):
    """One window at a time, straight from the definition, on a plane or a volume."""
    taps = np.array(kind.taps)
    radius = len(taps) // 2
    weights = taps
    for _ in range(a.ndim - 1):
        weights = np.multiply.outer(weights, taps)
    if kind.border:
        a, b = np.pad(a, radius, mode="edge"), np.pad(b, radius, mode="edge")
    unbias = weights.size / (weights.size - 1) if kind.sample_covariance else 1
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    values = []
    for corner in np.ndindex(*(n - 2 * radius for n in a.shape)):
        window = tuple(slice(k, k + len(taps)) for k in corner)
        p, t = a[window], b[window]
        mp, mt = (weights * p).sum(), (weights * t).sum()
        vp, vt = (unbias * (weights * (x - m) ** 2).sum() for x, m in ((p, mp), (t, mt)))
        cov = unbias * (weights * (p - mp) * (t - mt)).sum()
        values.append((2 * mp * mt + c1) * (2 * cov + c2) / ((mp**2 + mt**2 + c1) * (vp + vt + c2)))
    return np.mean(values)


@pytest.mark.parametrize("kind", SSIM_KINDS)
def test_ssim_equals_the_slow_reference(kind):
    rng = np.random.default_rng(5)
    a = rng.uniform(0, 255, (12, 13, 3))
    b = np.clip(a + rng.normal(0, 40, a.shape), 0, 255)
    chosen = SSIM_KINDS[kind]
    if chosen.volume:
        expected = slow_ssim(a, b, chosen, 255)
    else:
        expected = np.mean([slow_ssim(a[..., c], b[..., c], chosen, 255) for c in range(3)])
    assert ssim(a, b, data_range=255, kind=kind) == pytest.approx(expected, abs=1e-12)
    assert ssim(a[..., 0], b[..., 0], data_range=255, kind=kind) == pytest.approx(
        slow_ssim(a[..., 0], b[..., 0], chosen, 255), abs=1e-12
    )


@given(rgb8(), KINDS)
def test_identical_pictures_are_perfect(picture, kind):
    assert psnr(picture, picture, data_range=255) == math.inf
    assert ssim(picture, picture, data_range=255, kind=kind) == 1


@given(pairs(), KINDS)
def test_symmetric(pair, kind):
    a, b = pair
    assert psnr(a, b, data_range=255) == psnr(b, a, data_range=255)
    assert ssim(a, b, data_range=255, kind=kind) == ssim(b, a, data_range=255, kind=kind)


@given(pairs(), KINDS)
def test_scale_does_not_matter_with_its_range(pair, kind):
    a, b = (picture / 255 for picture in pair)
    if (a == b).all():
        return
    assert psnr(a, b, data_range=1) == pytest.approx(psnr(*pair, data_range=255))
    assert ssim(a, b, data_range=1, kind=kind) == pytest.approx(
        ssim(*pair, data_range=255, kind=kind), abs=1e-9
    )


@given(rgb8(), st.integers(1, 1000))
def test_constant_offset(picture, offset):
    value = psnr(picture.astype(np.float64) + offset, picture, data_range=255)
    assert value == pytest.approx(20 * math.log10(255 / offset))


@given(pairs(), KINDS)
def test_ssim_is_at_most_one(pair, kind):
    assert abs(ssim(*pair, data_range=255, kind=kind)) <= 1 + 1e-12


@given(hnp.arrays(np.uint8, (11, 11, 3)))
def test_lumas(picture):
    red, green, blue = np.moveaxis(picture.astype(np.float64), 2, 0)
    exact = 16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255
    np.testing.assert_allclose(luma_unrounded(picture), exact, atol=1e-10)
    assert np.abs(luma_matlab(picture) - exact).max() <= 0.5 + 1e-9
    full = 0.299 * red + 0.587 * green + 0.114 * blue
    assert np.abs(luma_opencv(picture) - full).max() <= 0.5 + 3 * 255 / 2**15


def test_luma_ends_and_ties():
    ends = np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)
    assert luma_matlab(ends).tolist() == [[16, 235]]
    assert luma_opencv(ends).tolist() == [[0, 255]]


def test_rounded_luma_takes_a_half_up():
    tie = np.array([[[5, 65, 25]]], np.uint8)  # halfway above an even level: rint would go down
    assert luma_unrounded(tie)[0, 0] == 52.5
    assert luma_matlab(tie)[0, 0] == 53


def test_file_clips_and_rounds():
    levels = np.array([-40, 0, 0.49, 0.51, 128, 254.4, 254.6, 400]).repeat(96).reshape(16, 16, 3)
    saved = np.array([0, 0, 0, 1, 128, 254, 255, 255]).repeat(96).reshape(16, 16, 3)
    for dtype in (np.float32, np.float64):
        prediction = (levels / 255).astype(dtype)
        assert score_pair(prediction, saved.astype(np.uint8), PROTOCOLS["rgb"]).psnr == math.inf


def test_authors_neither_clip_nor_round():
    target = np.full((16, 16, 3), 255, np.uint8)
    prediction = np.full((16, 16, 3), 1.1)
    assert score_pair(prediction, target, PROTOCOLS["authors"]).psnr == pytest.approx(20)
    assert score_pair(prediction, target, PROTOCOLS["rgb"]).psnr == math.inf


def test_protocols_are_named_by_their_keys_and_documented():
    assert all(name == row.name for name, row in PROTOCOLS.items())
    assert all(row.summary and row.source and "\n" not in row.summary for row in PROTOCOLS.values())
    assert get_protocol("y") is PROTOCOLS["y"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: get_protocol("rgb-volum"),
        lambda: Protocol("own", "", "", channel="y_opencv"),
        lambda: Protocol("own", "", "", ssim="gausian"),
        lambda: ssim(np.ones((16, 16)), np.ones((16, 16)), data_range=1, kind="volum"),
    ],
)
def test_unknown_names_list_the_nearest(make):
    with pytest.raises(ConfigError, match="did you mean"):
        make()


def test_protocol_of_floats_on_luma_is_refused():
    with pytest.raises(ConfigError, match="8-bit files"):
        Protocol("own", "", "", channel="y", psnr_from="floats")
    with pytest.raises(ConfigError, match="source of PSNR"):
        Protocol("own", "", "", psnr_from="disk")


GOOD = np.zeros((16, 16, 3), np.uint8)


@pytest.mark.parametrize(
    ("prediction", "target", "words"),
    [
        (GOOD[:15], GOOD, r"\(15, 16, 3\).*\(16, 16, 3\).*crop"),
        (GOOD.astype(np.int32), GOOD, "int32.*uint8.*divide"),
        (GOOD, GOOD.astype(np.float32), "target has dtype float32.*uint8"),
        (GOOD[..., 0], GOOD[..., 0], r"target .*\(16, 16\).*height"),
        (GOOD[..., :1], GOOD[..., :1], r"\(16, 16, 1\)"),
        (np.full(GOOD.shape, np.nan), GOOD, "768 NaN or infinite.*finite"),
        (np.full(GOOD.shape, np.inf), GOOD, "NaN or infinite"),
        (GOOD[:10], GOOD[:10], "height 10, width 16.*11"),
    ],
)
def test_bad_pairs_are_refused(prediction, target, words):
    with pytest.raises(ShapeError, match=words):
        score_pair(prediction, target, PROTOCOLS["rgb"])


def test_bad_arrays_are_refused():
    empty = np.zeros((0, 4))
    with pytest.raises(ShapeError, match="no samples"):
        psnr(empty, empty, data_range=1)
    with pytest.raises(ShapeError, match="dtype complex128"):
        psnr(np.ones(3, complex), np.ones(3), data_range=1)
    with pytest.raises(ShapeError, match=r"\(2, 16, 16, 3\)"):
        ssim(np.ones((2, 16, 16, 3)), np.ones((2, 16, 16, 3)), data_range=1)
    with pytest.raises(ShapeError, match="uint8"):
        luma_opencv(np.ones((16, 16, 3)))


@pytest.mark.parametrize("data_range", [0, -1, math.nan, math.inf])
def test_bad_data_range_is_refused(data_range):
    with pytest.raises(ConfigError, match="positive"):
        psnr(GOOD, GOOD, data_range=data_range)


def test_volume_takes_pictures_below_its_window():
    tiny = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert ssim(tiny, tiny, data_range=255, kind="volume") == 1


def test_inputs_are_left_alone():
    prediction = np.linspace(-0.5, 1.5, GOOD.size).reshape(GOOD.shape)
    before = prediction.copy()
    score_pair(prediction, GOOD, PROTOCOLS["authors"])
    assert (prediction == before).all()
