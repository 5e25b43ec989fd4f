from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiaxis.degrade import DEGRADATIONS, degrade, degrade_picture, format_chain, parse_chain
from multiaxis.degrade.blur import trajectory
from multiaxis.degrade.kernels import (
    convolve,
    disc,
    gaussian,
    joined,
    line,
    rasterise,
    smooth_field,
)
from multiaxis.degrade.noise import CameraNoise, GaussianNoise, SensorNoise
from multiaxis.degrade.tone import Jpeg, Levels, LowLight
from multiaxis.degrade.weather import Drops, Haze, Rain
from multiaxis.errors import ConfigError


def picture(height: int = 48, width: int = 64) -> np.ndarray:
    return np.tile(smooth_field((height, width), (3, 4), np.random.default_rng(0))[..., None], 3)


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_every_degradation(name: str) -> None:
    x = picture()
    before = x.copy()
    one, drawn = degrade_picture(x, parse_chain(name), 3)
    again, _ = degrade_picture(x, parse_chain(name), 3)
    other, _ = degrade_picture(x, parse_chain(name), 4)
    exact, _ = degrade_picture(x, parse_chain(format_chain(drawn)), 3)
    assert np.array_equal(x, before), "the input was changed"
    assert one.shape == x.shape
    assert one.dtype == np.float32
    assert one.min() >= 0
    assert one.max() <= 1
    assert np.array_equal(one, again)
    assert np.array_equal(one, other) == (name == "levels")  # the only one without chance
    assert not np.array_equal(one, x)
    assert np.isfinite(exact).all()
    assert all(not isinstance(v, tuple) for link in drawn for v in vars(link).values())


@pytest.mark.parametrize("size", [(1, 1), (1, 200), (7, 3)])
@pytest.mark.parametrize("name", DEGRADATIONS)
def test_any_size(name: str, size: tuple[int, int]) -> None:
    y, _ = degrade_picture(np.full((*size, 3), 0.5, np.float32), parse_chain(name), 0)
    assert y.shape == (*size, 3)
    assert np.isfinite(y).all()


def test_gaussian_noise_has_its_strength() -> None:
    flat = np.full((256, 256, 3), 0.5, np.float32)
    noise = degrade(flat, (GaussianNoise(25.0),), np.random.default_rng(0))[0] - flat
    assert abs(noise.std() * 255 - 25) < 0.2
    assert abs(noise.mean() * 255) < 0.3
    assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.02


def test_sensor_noise_grows_with_light() -> None:
    halves = np.full((128, 128, 3), 0.1, np.float32)
    halves[64:] = 0.8
    noise = SensorNoise(-5.0)(halves, np.random.default_rng(0)) ** 2.2 - halves**2.2
    assert noise[64:].std() > 2 * noise[:64].std()


def test_camera_noise_comes_in_blotches_of_colours_that_go_together() -> None:
    grey = np.full((128, 128, 3), 0.5, np.float32)

    def noise(**settings: float) -> np.ndarray:
        fields = {"log_shot": -6.0, "gain": 1.8, "matrix": -0.3, "smooth": 0.6, **settings}
        camera = CameraNoise(**fields)
        made = camera(grey, np.random.default_rng(3)) - grey
        return made - made.mean(axis=(0, 1))

    def together(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])

    made = noise()
    assert together(made[:, 1:, 1], made[:, :-1, 1]) > 0.5, "a neighbour is alike"
    assert abs(together(made[:, 16:, 1], made[:, :-16, 1])) < 0.1, "a distant one is not"
    apart, near = noise(matrix=0.4), noise(matrix=-0.8)
    assert together(near[..., 0], near[..., 2]) > 0.5 > together(apart[..., 0], apart[..., 2])
    sharp, smooth = noise(smooth=0.0), noise(smooth=2.0)
    assert sharp.std() > 2 * smooth.std()
    assert noise(log_shot=-4.0).std() > 2 * noise(log_shot=-6.0).std()


def test_a_demosaicing_keeps_what_its_photosites_saw() -> None:
    from multiaxis.degrade.noise import _demosaiced

    sites = np.random.default_rng(0).standard_normal((16, 16, 3)).astype(np.float32)
    full = _demosaiced(sites, np.random.default_rng(1))
    seen = np.isclose(full, sites, atol=1e-6)[1:-1, 1:-1]  # crops have a margin around them
    assert (seen.sum(axis=2) == 1).all(), "each photosite sees one colour"
    assert [int(seen[..., band].sum()) for band in range(3)] == [49, 98, 49]
    flat = np.full((12, 12, 3), 0.3, np.float32)
    again = _demosaiced(flat, np.random.default_rng(1))
    assert np.allclose(again[2:-2, 2:-2], 0.3, atol=1e-6)


def test_a_known_depth_gives_the_formula() -> None:
    x, depth = picture(), np.full((48, 64), 2.0, np.float32)
    hazy = Haze(airlight=0.9, beta=0.5).over(x, depth)
    t = np.exp(-1.0)
    assert np.allclose(hazy, t * x + (1 - t) * 0.9, atol=1e-6)
    assert np.array_equal(Haze(airlight=0.9, beta=0.0)(x, np.random.default_rng(0)), x)


def test_rain_only_brightens_and_low_light_only_darkens() -> None:
    x = picture()
    rainy, _ = degrade_picture(x, (Rain(),), 1)
    assert (rainy >= x - 1e-6).all()
    assert (rainy > x + 0.05).mean() > 0.02
    dark, _ = degrade_picture(x, (LowLight(gamma=3.0),), 1)
    assert dark.mean() < 0.6 * x.mean()


def test_jpeg_quality_is_worth_something() -> None:
    x = degrade_picture(picture(), parse_chain("gaussian-noise:sigma=10"), 0)[0]
    errors = [np.abs(Jpeg(q)(x, np.random.default_rng(0)) - x).mean() for q in (5.0, 50.0, 95.0)]
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.thorough
@given(length=st.floats(1, 100), shake=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_trajectories_have_their_length(length: float, shake: float, seed: int) -> None:
    path = trajectory(length, shake, np.random.default_rng(seed))
    walked = np.hypot(*np.diff(path, axis=0).T).sum()
    assert np.isclose(walked, length, rtol=1e-6)
    assert np.allclose(path.mean(axis=0), 0, atol=1e-6)
    kernel = rasterise(path)
    assert np.isclose(kernel.sum(), 1)
    assert (kernel >= 0).all()


def test_convolution_is_the_slow_sum() -> None:
    x = picture(9, 11)
    for kernel in (disc(2.3), line(5, 30), gaussian(1.2), np.array([[0.0, 1.0]])):
        rows, columns = kernel.shape
        padded = np.pad(
            x,
            [(rows // 2, rows - 1 - rows // 2), (columns // 2, columns - 1 - columns // 2), (0, 0)],
            mode="symmetric",
        )
        slow = np.zeros_like(x)
        for i in range(rows):
            for j in range(columns):
                shifted = padded[rows - 1 - i :, columns - 1 - j :][:9, :11]
                slow += kernel[i, j] * shifted
        assert np.allclose(convolve(x, kernel), slow, atol=1e-5)


@pytest.mark.parametrize(("one", "other"), [((3, 5), (4, 2)), ((1, 1), (7, 3)), ((6, 6), (6, 6))])
def test_a_joined_kernel_convolves_as_both_do(one: tuple[int, int], other: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    a, b = rng.random(one), rng.random(other)
    slow = np.zeros((one[0] + other[0] - 1, one[1] + other[1] - 1))
    for i in range(one[0]):
        for j in range(one[1]):
            slow[i : i + other[0], j : j + other[1]] += a[i, j] * b
    assert np.allclose(joined(a, b), slow)


def test_chains_are_words_and_back() -> None:
    chain = parse_chain(" rain:layers=3:angle=-10..10, jpeg:quality=60 ")
    assert parse_chain(format_chain(chain)) == chain
    assert parse_chain("") == ()


def test_a_longer_link_shifts_no_other() -> None:
    x = picture()
    _, one = degrade_picture(x, parse_chain("rain:layers=1,gaussian-noise:sigma=0..50"), 5)
    _, two = degrade_picture(x, parse_chain("rain:layers=9,gaussian-noise:sigma=0..50"), 5)
    assert one[1] == two[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("gausian-noise", "did you mean gaussian-noise"),
        ("rain:laiers=3", "unknown parameter of rain 'laiers'"),
        ("rain:layers", "unknown parameter of rain 'layers'|known are"),
        ("jpeg:quality=high", "'quality=high' is not a number"),
        ("jpeg:quality=1..2..3", "is not a number"),
        ("jpeg:quality=500", "Jpeg's quality is 500.0: accepted is a number from 1 to 100"),
        ("jpeg:quality=60..20", "LOW..HIGH"),
        ("gaussian-noise:sigma=nan", "accepted is a number"),
    ],
)
def test_bad_words(words: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_chain(words)


def test_no_drops_are_none() -> None:
    x = np.random.default_rng(0).random((16, 16, 3), np.float32)
    assert (Drops(count=0.0)(x, np.random.default_rng(1)) == x).all()


@pytest.mark.parametrize(
    ("words", "reach"),
    [
        ("rain", 24), ("rain:length=100", 60), ("rain:length=8..200", 120), ("rain:length=1", 1),
        ("motion-blur", 40), ("motion-blur:length=150", 150), ("defocus", 12),
        ("defocus:radius=2..50", 100), ("gaussian-noise", 0), ("haze", 0),
        ("camera-noise", 11), ("camera-noise:smooth=2", 20),
        ("jpeg", 16), ("shrink", 16), ("shrink:factor=16", 64),
    ],
)  # fmt: skip
def test_what_a_crop_needs_around_it_follows_the_settings(words: str, reach: int) -> None:
    (link,) = parse_chain(words)
    assert link.reach == reach


@given(st.floats(1, 200), st.floats(0, 1), st.integers(0, 10**6))
def test_no_path_leads_out_of_reach(length: float, shake: float, seed: int) -> None:
    points = trajectory(length, shake, np.random.default_rng(seed))
    (link,) = parse_chain(f"motion-blur:length={length}")
    assert np.abs(points).max() <= link.reach


def test_levels_of_a_file_lose_what_is_below_black() -> None:
    rng = np.random.default_rng(0)
    x = np.full((60, 60, 3), 0.02, np.float32)
    noisy = GaussianNoise(sigma=50.0)(x, rng)
    found = Levels()(noisy, rng)
    assert np.array_equal((found * 255).round() / np.float32(255), found)
    assert found.min() == 0
    assert found.mean() > noisy.mean() + 0.05  # half of the noise was cut off
    assert set(np.unique(Levels(bits=1.0)(noisy, rng))) == {0.0, 1.0}


def test_a_share_of_the_pictures_becomes_a_file() -> None:
    rng = np.random.default_rng(0)
    noisy = GaussianNoise(sigma=50.0)(np.full((8, 8, 3), 0.02, np.float32), rng)
    cut = [Levels(share=0.3)(noisy, np.random.default_rng(k)).min() == 0 for k in range(400)]
    assert 0.2 < np.mean(cut) < 0.4
    assert Levels(share=0.0)(noisy, rng) is noisy
