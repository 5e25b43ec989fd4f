"""The way from noise to a residual: with what would be perfect, and with what has learnt."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from multiaxis.tasks.restore.refine.diffusion import (
    TRAINED,
    _posterior,
    draw_levels,
    draw_residual,
    levels_of,
    noise_of,
    noisy,
    velocity,
)
from multiaxis.tasks.restore.refine.noise import addressed_noise


@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
@pytest.mark.parametrize("steps", [1, 2, 7, 50])
def test_a_perfect_denoiser_gives_the_truth(sampler: str, steps: int) -> None:
    truth = torch.randn(2, 3, dtype=torch.float64)

    def denoise(z: Tensor, level: float) -> Tensor:
        return (z - math.sqrt(level) * truth) / math.sqrt(1 - level)

    def draw(_: int) -> Tensor:
        return torch.randn(2, 3, dtype=torch.float64)

    found = draw_residual(denoise, draw, steps, sampler=sampler)
    torch.testing.assert_close(found, truth, rtol=1e-9, atol=1e-9)


@given(st.floats(1e-4, 0.999), st.floats(1e-4, 0.999))
def test_a_step_keeps_the_distribution_of_noisy_residuals(one: float, other: float) -> None:
    level, before = sorted((one, other))
    if before - level < 1e-6:
        return
    (of_residual, of_z), variance = _posterior(level, before)
    # z is sqrt(level) r + noise of 1 - level; a step before, so it must be with `before`.
    assert of_residual + of_z * math.sqrt(level) == pytest.approx(math.sqrt(before))
    assert of_z**2 * (1 - level) + variance == pytest.approx(1 - before)


def test_levels_fall_from_one_to_noise_alone() -> None:
    whole = levels_of(TRAINED)
    assert whole[0] == 1
    assert whole[1] == pytest.approx(1 - 1e-4)
    assert whole[-1] < 1e-4
    assert all(a > b for a, b in itertools.pairwise(whole))
    assert levels_of(10) == pytest.approx(whole[::100])


def test_levels_of_a_training_are_continuous_between_neighbours() -> None:
    drawn = draw_levels(np.random.default_rng(0), 20_000)
    assert len(np.unique(drawn)) > 19_900
    whole = np.array(levels_of(TRAINED))
    places = np.interp(-np.sqrt(drawn), -np.sqrt(whole), np.arange(TRAINED + 1)) / TRAINED
    assert 0 < places.min() < 0.01
    assert 0.99 < places.max() < 1
    assert abs(places.mean() - 0.5) < 0.01  # every step is as likely
    assert abs((TRAINED * places % 1).mean() - 0.5) < 0.01  # and every place within it


def test_noise_is_mixed_by_variance() -> None:
    residual, noise = torch.ones(2, 1), torch.full((2, 1), 2.0)
    found = noisy(residual, noise, torch.tensor([[1.0], [0.36]]))
    torch.testing.assert_close(found, torch.tensor([[1.0], [0.6 + 0.8 * 2]]))


@given(st.floats(0, 1))
def test_a_velocity_tells_the_noise(level: float) -> None:
    residual, noise = torch.randn(2, 40, dtype=torch.float64)
    z, moved = noisy(residual, noise, level), velocity(residual, noise, level)
    torch.testing.assert_close(noise_of(z, moved, level), noise)
    assert float((z**2 + moved**2).sum()) == pytest.approx(float((residual**2 + noise**2).sum()))


def test_a_velocity_of_nothing_gives_residuals_of_the_noises_size() -> None:
    """The answers with which a training by velocities starts."""

    def denoise(z: Tensor, level: float) -> Tensor:
        return noise_of(z, torch.zeros_like(z), level)

    found = draw_residual(denoise, lambda _: torch.randn(40_000), 100)
    assert float(found.std()) == pytest.approx(1, abs=0.06)


def test_noise_has_an_address() -> None:
    whole = addressed_noise(1, 2, 3, (9, 7), 3)
    assert torch.equal(addressed_noise(1, 2, 3, (4, 5), 3), whole[:4, :5])
    assert abs(float(addressed_noise(0, 0, 0, (100, 100), 3).std()) - 1) < 0.02
    for other in ((0, 2, 3), (1, 0, 3), (1, 2, 0)):
        assert not torch.equal(addressed_noise(*other, (9, 7), 3), whole)
    assert not torch.equal(whole[0], whole[1])


def measured(denoise_for, steps: int) -> tuple[float, float, float, float]:
    """The sheet's toy: a residual is a number of known size and of a random sign."""
    torch.manual_seed(7)
    size = 0.5 + torch.rand(3000)
    sign = torch.randint(0, 2, size.shape) * 2.0 - 1
    samples = torch.stack(
        [
            draw_residual(denoise_for(size), lambda _: torch.randn(size.shape), steps)
            for _ in range(8)
        ]
    )
    truth = sign * size
    return (
        float((samples.abs() - size).abs().mean()),
        float((samples > 0).float().mean()),
        float((samples[0] - truth).square().mean() / size.square().mean()),
        float((samples.mean(dim=0) - truth).square().mean() / size.square().mean()),
    )


def check_toy(off: float, positive: float, single: float, mean: float, *, exact: bool) -> None:
    assert off < (0.02 if exact else 0.15)  # sharp: never between the two
    assert abs(positive - 0.5) < (0.02 if exact else 0.1)  # diverse: both, as often
    assert single == pytest.approx(2, rel=0.1)
    assert mean == pytest.approx(1 + 1 / 8, rel=0.12)  # the average is nearer to the truth


def test_answers_are_sharp_and_diverse_and_their_mean_is_nearer() -> None:
    def best(size: Tensor):
        def denoise(z: Tensor, level: float) -> Tensor:
            believed = size * torch.tanh(math.sqrt(level) * z * size / (1 - level))
            return (z - math.sqrt(level) * believed) / math.sqrt(1 - level)

        return denoise

    check_toy(*measured(best, 50), exact=True)


@pytest.mark.slow
def test_one_training_serves_any_number_of_steps() -> None:
    torch.manual_seed(0)
    layers = (nn.Linear(6, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 1))
    network = nn.Sequential(*layers)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    rng = np.random.default_rng(0)

    def tell(z: Tensor, size: Tensor, level: Tensor) -> Tensor:
        spread = (1 - level).sqrt()
        told = [torch.cos(math.pi * 2**k * spread) for k in range(4)]
        return network(torch.stack([z, size, *told], dim=-1))[..., 0]

    for _ in range(4000):
        size = 0.5 + torch.rand(512)
        residual = size * (torch.randint(0, 2, size.shape) * 2.0 - 1)
        level = torch.from_numpy(draw_levels(rng, 512)).float()
        noise = torch.randn(512)
        z = noisy(residual, noise, level)
        loss = (tell(z, size, level) - noise).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    def learnt(size: Tensor):
        def denoise(z: Tensor, level: float) -> Tensor:
            with torch.no_grad():
                return tell(z, size, torch.full_like(z, level))

        return denoise

    for steps in (10, 50, 200):
        check_toy(*measured(learnt, steps), exact=False)
    off, *_ = measured(learnt, 1)
    assert off > 0.5  # one step of this schedule is of no use
