"""Answers that agree with what is known: light, noise of a sigma, shrinking by means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from multiaxis import Restorer, Sampling
from multiaxis.cli.app import main
from multiaxis.errors import ConfigError
from multiaxis.images import Picture
from multiaxis.tasks.restore.losses import start_at_input
from multiaxis.tasks.restore.refine.consistency import Downscale, Light, Noise, parse_consistency
from multiaxis.tasks.restore.refine.explain import blur, with_means, within_noise
from multiaxis.tasks.restore.refine.refiner import Refiner
from multiaxis.tasks.restore.refine.store import load_refiner, save_refiner
from small_refiner import write_refiner

RULES = ("light", "noise:sigma=30", "downscale:factor=4")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_refiner(tmp_path_factory.mktemp("refiner") / "r.safetensors", from_input=True)


def restorer(weights: Path, consistent: str | None, **rest: object) -> Restorer:
    drawn = Sampling(steps=4, consistent=consistent)
    return Restorer("denoise", weights=weights, sampling=drawn, device="cpu", **rest)  # pyright: ignore[reportArgumentType]


def means(picture: np.ndarray, factor: int) -> np.ndarray:
    """Of squares, the last ones cut, written otherwise than in the package."""
    rows, columns = range(0, picture.shape[0], factor), range(0, picture.shape[1], factor)
    cells = [[picture[y : y + factor, x : x + factor].mean((0, 1)) for x in columns] for y in rows]
    return np.array(cells)


def enlarged(small: np.ndarray, factor: int, size: tuple[int, int]) -> np.ndarray:
    return small.repeat(factor, 0).repeat(factor, 1)[: size[0], : size[1]]


def window_rms(difference: torch.Tensor) -> torch.Tensor:
    return blur(difference.square().mean(dim=-1, keepdim=True), 8.0).sqrt()


def test_light_stays_that_of_the_prediction(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grey = np.full((64, 64, 3), 0.5, np.float32)

    def denoise(self, degraded, remarks, z, level):
        return (z - level**0.5) / (1 - level) ** 0.5  # a residual of 1: lighter by a tenth

    monkeypatch.setattr(Refiner, "_denoise", denoise)
    found = [
        restorer(weights, rule)._drawn(torch.from_numpy(grey)[None]).frames[0]
        for rule in (None, "light")
    ]
    torch.testing.assert_close(found[0], torch.full((1, 64, 64, 3), 0.6))
    torch.testing.assert_close(found[1], torch.full((1, 64, 64, 3), 0.5))


def test_blurring_keeps_light_and_takes_detail() -> None:
    noise = torch.randn(1, 80, 80, 2)
    assert float(blur(noise, 8.0).std()) < 0.1
    torch.testing.assert_close(blur(torch.ones(1, 9, 5, 3), 8.0), torch.ones(1, 9, 5, 3))


@pytest.mark.parametrize("size", [(20, 24), (21, 30), (3, 2)])
def test_shrunk_answers_are_the_shrunk_input(weights: Path, size: tuple[int, int]) -> None:
    picture = np.random.default_rng(2).random((*size, 3), np.float32)
    one = restorer(weights, "downscale:factor=4")
    # What a picture's file holds: values in [0, 1].
    drawn, _ = one.draw_pictures(Picture(picture))
    np.testing.assert_allclose(means(drawn[0].pixels, 4), means(picture, 4), atol=1e-6)
    free, _ = restorer(weights, None).draw_pictures(Picture(picture))
    assert np.abs(means(free[0].pixels, 4) - means(picture, 4)).max() > 1e-3


@given(st.tuples(st.integers(1, 12), st.integers(1, 12)), st.integers(2, 6), st.integers(0, 9))
@settings(max_examples=25, deadline=None)
def test_means_hold_where_values_meet_their_limits(
    size: tuple[int, int], factor: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    given = rng.random((*size, 3), np.float32) ** 4  # many squares are dark
    wild = rng.normal(0.5, 1, (*size, 3)).astype(np.float32)
    found = with_means(torch.from_numpy(wild)[None], torch.from_numpy(given)[None], factor)[0]
    assert 0 <= found.min() <= found.max() <= 1
    np.testing.assert_allclose(means(found.numpy(), factor), means(given, factor), atol=2e-6)


def test_the_nearest_picture_of_these_means_is_taken() -> None:
    picture = torch.tensor([-0.5, 0.1, 0.2, 0.4]).view(1, 2, 2, 1)
    found = with_means(picture, torch.full((1, 2, 2, 1), 0.25), 2)
    # A shift of 0.1 lifts three to 0.2, 0.3 and 0.5; the first stays at its limit.
    wanted = torch.tensor([0.0, 0.2, 0.3, 0.5]).view(1, 2, 2, 1)
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=0)


def test_noise_that_explains_the_difference_changes_nothing() -> None:
    random = torch.Generator().manual_seed(1)
    truth = torch.rand(1, 90, 120, 3, generator=random)
    given = truth + 0.2 * torch.randn(truth.shape, generator=random)
    assert torch.equal(within_noise(truth, given, 0.2), truth)
    assert torch.equal(within_noise(given, given, 0.2), given)


def test_no_window_differs_by_more_than_noise_explains() -> None:
    random = torch.Generator().manual_seed(1)
    given = torch.rand(1, 90, 120, 3, generator=random)
    far = given + 0.1 * torch.randn(given.shape, generator=random)
    far[:, :40, 60:] += 0.8  # a light patch that the input has not
    found = within_noise(far, given, 0.1)
    assert float(window_rms(far - given).max()) > 0.7
    assert float(window_rms(found - given).max()) < 1.1 * 0.1 * 1.011
    assert torch.equal(found[:, 70:], far[:, 70:])  # beyond the window's reach


@pytest.mark.parametrize("rule", RULES[1:])
def test_a_perfect_denoiser_still_restores_the_truth(
    weights: Path, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    rng = np.random.default_rng(8)
    truth = rng.random((42, 55, 3), np.float32)
    if rule.startswith("noise"):
        picture = np.clip(truth + rng.normal(0, 30 / 255, truth.shape), 0, 1).astype(np.float32)
    else:
        picture = enlarged(means(truth, 4), 4, (42, 55))
    one = restorer(weights, rule)
    predicted = one._predicted(torch.from_numpy(picture)[None], None).frames
    residual = 10 * (torch.from_numpy(truth) - predicted)

    def denoise(self, degraded, remarks, z, level):
        return (z - level**0.5 * residual) / (1 - level) ** 0.5

    monkeypatch.setattr(Refiner, "_denoise", denoise)
    np.testing.assert_allclose(one.restore(picture), truth, atol=1e-5)


def test_each_step_is_corrected(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []
    grey = torch.full((1, 20, 20, 3), 0.5)

    def denoise(self, degraded, remarks, z, level):
        seen.append(z)
        return (z - level**0.5 * 2) / (1 - level) ** 0.5  # lighter by a fifth

    monkeypatch.setattr(Refiner, "_denoise", denoise)
    for rule in (None, "downscale:factor=4"):
        drawn = Sampling(steps=50, consistent=rule, sampler="ddim")
        Restorer("denoise", weights=weights, sampling=drawn, device="cpu")._drawn(grey)
    free, kept = seen[49], seen[99]  # before the last step, almost without noise
    assert abs(float(free.mean()) - 2) < 0.05
    assert abs(float(kept.mean())) < 0.05


@pytest.mark.thorough
@pytest.mark.parametrize("rule", RULES)
def test_batches_and_tiles_change_nothing(weights: Path, tmp_path: Path, rule: str) -> None:
    network = load_refiner(weights)
    start_at_input(network.denoiser)  # each pixel by itself: tiles see what the whole sees
    save_refiner(network, tmp_path / "r.safetensors")
    pictures = torch.rand(2, 3, 66, 70, generator=torch.Generator().manual_seed(3))
    one, tiled = (restorer(tmp_path / "r.safetensors", rule, tile=tile) for tile in (None, 64))
    alone = one.restore(pictures[1])
    assert torch.equal(one.restore(pictures)[1], alone)
    torch.testing.assert_close(tiled.restore(pictures[1]), alone, atol=1e-5, rtol=0)


def test_words() -> None:
    assert parse_consistency("light") == Light()
    assert parse_consistency("noise:sigma=12.5") == Noise(12.5)
    assert parse_consistency("downscale:factor=8") == Downscale(8)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("dark", "unknown consistency 'dark'"),
        ("lihgt", "did you mean light"),
        ("light:8", "light takes no number, and received '8'"),
        ("noise", "says no sigma: accepted is light, noise:sigma=50 or downscale:factor=4"),
        ("noise:50", "says no sigma"),
        ("noise:sigma=much", "says no sigma"),
        ("noise:sigma=nan", "says no sigma"),
        ("noise:sigma=0", "the noise's sigma is 0: accepted is 0.1 to 255"),
        ("noise:factor=4", "says no sigma"),
        ("downscale:factor=1", "downscale's factor is 1: accepted is 2 to 64"),
        ("downscale:factor=2.5", "factor is 2.5: accepted is a whole number, 2 to 64"),
    ],
)
def test_words_that_cannot_be(word: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match=message):
        Sampling(consistent=word)
    with pytest.raises(SystemExit) as caught:
        main(["restore", "a.png", "--task", "denoise", "--samples", "2", "--consistent", word])
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert message.split(":")[0] in " ".join(told.split())


def test_the_command_keeps_means_in_the_file(weights: Path, tmp_path: Path) -> None:
    levels = np.random.default_rng(4).integers(0, 256, (16, 18, 3), np.uint8)
    Image.fromarray(levels).save(tmp_path / "a.png")
    words = ["restore", tmp_path / "a.png", "--task", "denoise", "-w", weights, "--samples", 2]
    words += ["--steps", 2, "--consistent", "downscale:factor=4", "-o", tmp_path / "o.png"]
    with pytest.raises(SystemExit) as caught:
        main([*map(str, words), "--device", "cpu", "-q"])
    assert caught.value.code == 0
    for name in ("o.png", "o_2.png"):
        made = np.array(Image.open(tmp_path / name), np.float64)
        assert np.abs(means(made, 4) - means(levels.astype(np.float64), 4)).max() < 0.5
