"""Scores of sets have their closed forms, and torchmetrics' values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiaxis.errors import ConfigError, ShapeError
from multiaxis.score.sets import frechet_distance, inception_score, kernel_distance

SEEDS = st.integers(0, 2**32 - 1)


def whitened(seed: int, count: int = 40, width: int = 3) -> np.ndarray:
    """A set whose mean is exactly 0 and whose covariance is exactly 1."""
    x = np.random.default_rng(seed).standard_normal((count, width))
    x -= x.mean(axis=0)
    return x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T


@given(SEEDS, st.floats(-5, 5), st.floats(0.1, 4))
def test_gaussians_have_their_closed_form(seed: int, shift: float, spread: float) -> None:
    x, y = whitened(seed), whitened(seed + 1) * spread + np.array([shift, 0, 0])
    assert frechet_distance(x, y) == pytest.approx(shift**2 + 3 * (1 - spread) ** 2, abs=1e-7)
    assert frechet_distance(y, x) == pytest.approx(frechet_distance(x, y), abs=1e-7)


@given(SEEDS)
def test_equal_sets_have_no_distance_in_any_order(seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal((20, 5)) @ np.ones((5, 5))  # of rank 1
    assert frechet_distance(x, x[::-1]) == pytest.approx(0, abs=1e-5)
    assert frechet_distance(x, x + 2) == pytest.approx(20, rel=1e-5)


def test_correlated_gaussians_have_the_root_of_their_product() -> None:
    from scipy.linalg import sqrtm

    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((50, 4)) @ rng.standard_normal((4, 4)) for _ in range(2))
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    wanted = np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(a + b - 2 * np.real(sqrtm(a @ b)))
    assert frechet_distance(x, y) == pytest.approx(float(wanted), rel=1e-6)


def test_the_kernel_distance_has_no_bias() -> None:
    rng = np.random.default_rng(1)
    found = [kernel_distance(*rng.standard_normal((2, 20, 3))) for _ in range(300)]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(300)
    x = rng.standard_normal((20, 3))
    assert kernel_distance(x, x + 2) > 1


def test_the_inception_score_has_its_extremes() -> None:
    sure = np.tile(np.eye(4) * 1000, (5, 1))
    assert inception_score(sure, 5) == pytest.approx((4, 0))
    assert inception_score(np.zeros((20, 4)), 2) == pytest.approx((1, 0))
    assert inception_score(sure[:1].repeat(6, axis=0), 1) == pytest.approx((1, 0))
    half = np.array([[0, np.log(3)], [np.log(3), 0]])  # 1/4 and 3/4, each way
    wanted = np.exp(0.25 * np.log(0.5) + 0.75 * np.log(1.5))
    assert inception_score(half, 1)[0] == pytest.approx(wanted)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Metric:UserWarning")  # of the memory that they take
def test_torchmetrics_agrees() -> None:
    import torch
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.inception import InceptionScore
    from torchmetrics.image.kid import KernelInceptionDistance

    class As(torch.nn.Module):
        num_features = 6

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((2, 60, 6))
    y = y @ rng.standard_normal((6, 6)) + 0.3
    fid = FrechetInceptionDistance(feature=As()).set_dtype(torch.float64)
    kid = KernelInceptionDistance(feature=As(), subsets=1, subset_size=60)
    for metric in (fid, kid):
        metric.update(torch.from_numpy(x), real=True)
        metric.update(torch.from_numpy(y), real=False)
    assert float(fid.compute()) == pytest.approx(frechet_distance(x, y), rel=1e-9)
    assert float(kid.compute()[0]) == pytest.approx(kernel_distance(x, y), rel=1e-9)
    score = InceptionScore(feature=As(), splits=2)
    logits = (
        y[:1].repeat(30, axis=0),
        y[1:2].repeat(30, axis=0),
    )  # it shuffles: halves must not matter
    for half in logits:
        score = InceptionScore(feature=As(), splits=2)
        score.update(torch.from_numpy(np.concatenate([half, half])))
        wanted = inception_score(np.concatenate([half, half]), 2)
        assert [float(x) for x in score.compute()] == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize(
    ("real", "made"),
    [
        (np.zeros((1, 3)), np.zeros((4, 3))),
        (np.zeros((4, 3)), np.zeros((4, 2))),
        (np.zeros(4),) * 2,
    ],
)
def test_features_that_do_not_fit(real: np.ndarray, made: np.ndarray) -> None:
    for distance in (frechet_distance, kernel_distance):
        with pytest.raises(ShapeError, match="2 samples or more"):
            distance(real, made)


def test_logits_that_do_not_fit() -> None:
    with pytest.raises(ShapeError, match=r"accepted is \(samples, classes\)"):
        inception_score(np.zeros(3))
    with pytest.raises(ConfigError, match="splits is 10: accepted is 1 to the 3 samples"):
        inception_score(np.zeros((3, 2)))
    with pytest.raises(ShapeError, match="NaN"):
        inception_score(np.full((3, 2), np.nan), 1)
