"""Answers by seed and number, in Python and by the command; trained jointly or not."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from multiaxis import Restorer, Sampling, restore
from multiaxis.cli.app import main
from multiaxis.errors import ConfigError, WeightsError
from multiaxis.images import Picture
from multiaxis.tasks.restore.refine.config import DenoiserConfig, RefinerConfig
from multiaxis.tasks.restore.refine.diffusion import noise_of, noisy
from multiaxis.tasks.restore.refine.network import see
from multiaxis.tasks.restore.refine.refiner import Refiner, sharpness
from multiaxis.tasks.restore.refine.store import load_refiner
from multiaxis.train import train
from multiaxis.train.log import Report
from multiaxis.train.loop import read_log
from small_recipe import make_pictures
from small_refiner import DENOISER, UNET, refiner_recipe, write_refiner


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_refiner(tmp_path_factory.mktemp("refiner") / "r.safetensors")


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.random.default_rng(3).random((21, 30, 3), np.float32)


def restorer(weights: Path, tile: int | None = None, **sampling: object) -> Restorer:
    drawn = Sampling(**{"steps": 3, **sampling})  # pyright: ignore[reportArgumentType]
    return Restorer("denoise", weights=weights, sampling=drawn, device="cpu", tile=tile)


def answers(one: Restorer, picture: np.ndarray) -> np.ndarray:
    drawn, _ = one.draw_pictures(Picture(picture))
    return np.stack([each.pixels for each in drawn])


@pytest.mark.thorough
def test_a_seed_gives_its_answers_again_and_each_is_another(
    weights: Path, picture: np.ndarray
) -> None:
    three = answers(restorer(weights, samples=3, seed=5), picture)
    assert three.shape == (3, 21, 30, 3)
    assert np.array_equal(answers(restorer(weights, samples=2, seed=5), picture), three[:2])
    assert len({one.tobytes() for one in three}) == 3
    assert not np.array_equal(answers(restorer(weights, samples=3, seed=6), picture), three)
    assert np.array_equal(restorer(weights, seed=5).restore(picture), three[0])
    ddim = answers(restorer(weights, samples=1, seed=5, sampler="ddim"), picture)
    assert not np.array_equal(ddim[0], three[0])


def test_a_picture_is_the_same_in_a_batch(weights: Path, picture: np.ndarray) -> None:
    one = restorer(weights)
    other = 1 - picture
    batch = torch.from_numpy(np.stack([other, picture])).permute(0, 3, 1, 2)
    found = one.restore(batch)
    assert torch.equal(found[1], one.restore(batch[1]))


@pytest.mark.thorough
def test_noise_is_that_of_the_whole_picture_in_tiles(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = np.random.default_rng(1).random((70, 90, 3), np.float32)
    seen: list[torch.Tensor] = []
    drawn = Refiner._noise

    def noise(self, *arguments):
        seen.append(drawn(self, *arguments))
        return seen[-1]

    monkeypatch.setattr(Refiner, "_noise", noise)
    whole, tiled = (answers(restorer(weights, tile, steps=2), picture) for tile in (None, 64))
    assert whole.shape == tiled.shape
    assert len(seen) == 4
    assert all(torch.equal(a, b) for a, b in zip(seen[:2], seen[2:], strict=True))


def test_a_perfect_denoiser_restores_the_truth(
    weights: Path, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = np.random.default_rng(8).random(picture.shape, np.float32)
    one = restorer(weights, steps=5)
    predicted = one._predicted(torch.from_numpy(picture)[None], None).frames
    residual = 10 * (torch.from_numpy(truth) - predicted)

    def denoise(self, degraded, remarks, z, level):
        return (z - level**0.5 * residual) / (1 - level) ** 0.5

    monkeypatch.setattr(Refiner, "_denoise", denoise)
    np.testing.assert_allclose(one.restore(picture), truth, atol=1e-5)


@pytest.mark.thorough
def test_what_is_kept_of_several_answers(weights: Path, picture: np.ndarray) -> None:
    each = answers(restorer(weights, samples=4), picture)
    average, spread = restorer(weights, samples=4, keep="average").draw_pictures(Picture(picture))
    # The average is taken before values are clipped.
    inside = ((each > 0) & (each < 1)).all(axis=0)
    np.testing.assert_allclose(average[0].pixels[inside], each.mean(axis=0)[inside], atol=1e-6)
    assert spread is not None
    wanted = each.std(axis=0, ddof=1).mean(axis=-1)
    clear = inside.all(axis=-1)
    np.testing.assert_allclose(spread[clear], wanted[clear], atol=1e-5)
    sharp = answers(restorer(weights, samples=4, keep="sharpest"), picture)
    scores = [sharpness(torch.from_numpy(one)[None]) for one in each]
    assert np.array_equal(sharp[0], each[int(np.argmax(scores))])
    _, nothing = restorer(weights).draw_pictures(Picture(picture))
    assert nothing is None


class Reddest:
    def open(self):
        return lambda picture: float(picture[..., 0].mean())


@pytest.mark.thorough
def test_a_judge_picks_an_answer(weights: Path, picture: np.ndarray) -> None:
    each = answers(restorer(weights, samples=4), picture)
    kept = answers(restorer(weights, samples=4, keep="rated", judge=Reddest()), picture)
    assert np.array_equal(kept[0], each[int(each[..., 0].mean(axis=(1, 2)).argmax())])


def test_grey_alpha_and_strength_are_kept(weights: Path, picture: np.ndarray) -> None:
    one = restorer(weights)
    assert one.restore(picture[..., 0]).shape == (21, 30)
    alpha = np.concatenate([picture, picture[..., :1]], axis=-1)
    assert np.array_equal(one.restore(alpha)[..., 3], alpha[..., 3])
    half = Restorer("denoise", weights=weights, sampling=one.sampling, strength=0.0, device="cpu")
    np.testing.assert_allclose(half.restore(picture), picture, atol=1e-6)


def test_progress_comes_to_its_end(weights: Path, picture: np.ndarray) -> None:
    told: list[float] = []
    one = restorer(weights, samples=2)
    one.restore_picture(Picture(picture), on_progress=told.append)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"samples": 0}, "number of samples is 0: accepted is 1 to 1000"),
        ({"steps": 1001}, "number of steps is 1001"),
        ({"seed": -1}, "seed is -1"),
        ({"sampler": "euler"}, "unknown sampler 'euler'"),
        ({"keep": "best"}, "unknown choice of samples 'best'"),
        ({"keep": "rated"}, "rated by a rater"),
    ],
)
def test_drawings_that_cannot_be(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Sampling(**fields)  # pyright: ignore[reportArgumentType]


def test_other_weights_draw_nothing(weights: Path) -> None:
    with pytest.raises(ConfigError, match="denoise-nano draws no answers"):
        Restorer("denoise", weights="denoise-nano", sampling=Sampling())
    with pytest.raises(ConfigError, match="planes is 0"):
        DenoiserConfig(planes=0)
    with pytest.raises(ConfigError, match="no configuration of a refiner"):
        RefinerConfig.from_fields({"predictor": {}})
    with pytest.raises(ConfigError, match="received 3 answers to keep: this gives one"):
        restore("a.png", task="denoise", weights=weights, sampling=Sampling(samples=3))
    from multiaxis import Generator

    with pytest.raises(WeightsError, match="but a refiner, for multiaxis restore --samples"):
        Generator(weights)


def test_the_packaged_refiner_draws_where_nothing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MULTIAXIS_HOME", str(tmp_path / "nothing"))
    rng = np.random.default_rng(1)
    clean = np.full((40, 52, 3), 0.3, np.float32)
    noisy = np.clip(clean + rng.normal(0, 0.1, clean.shape), 0, 1).astype(np.float32)
    sampling = Sampling(samples=2, steps=3)
    drawn = answers(Restorer("denoise", sampling=sampling, device="cpu", offline=True), noisy)
    assert drawn.shape == (2, *clean.shape)
    assert not np.array_equal(*drawn)
    assert np.sqrt(((drawn - clean) ** 2).mean(axis=(1, 2, 3))).max() < 0.03
    with pytest.raises(ConfigError, match="for derain, name the weights of one that you trained"):
        Restorer("derain", sampling=sampling, offline=True)
    with pytest.raises(ConfigError, match="for one task, and you named 2"):
        Restorer("denoise,derain", sampling=sampling, offline=True)


@pytest.mark.thorough
def test_the_command_writes_answers_and_their_spread(
    weights: Path, picture: np.ndarray, tmp_path: Path
) -> None:
    Image.fromarray((picture * 255).astype(np.uint8)).save(tmp_path / "a.png")
    words = ("restore", tmp_path / "a.png", "--task", "denoise", "--weights", weights)
    words = (*words, "--steps", 2, "--device", "cpu", "-q")
    spread = tmp_path / "elsewhere" / "u.png"
    spread.parent.mkdir()
    three = ("--samples", 3, "--seed", 2, "-o", tmp_path / "o.png", "--uncertainty", spread)
    assert run(*words, *three, "--resume") == 0
    each = np.stack([np.array(Image.open(tmp_path / f"{n}.png")) for n in ("o", "o_2", "o_3")])
    assert len({one.tobytes() for one in each}) == 3
    levels = np.array(Image.open(spread)) / 65535 / 4
    assert levels.shape == (21, 30)
    assert 0 < levels.max() < 1
    average = (*words, "--samples", 3, "--seed", 2, "--average", "-o", tmp_path / "m.png")
    assert run(*average) == 0
    assert not (tmp_path / "m_2.png").exists()
    mean = np.array(Image.open(tmp_path / "m.png"))
    inside = ((each > 0) & (each < 255)).all(axis=0)
    assert np.abs(mean[inside].astype(int) - each.mean(axis=0)[inside]).max() <= 1
    before = spread.stat().st_mtime_ns
    assert run(*words, *three, "--resume") == 0
    assert spread.stat().st_mtime_ns == before


@pytest.mark.slow
def test_workers_write_what_one_process_writes(
    weights: Path, picture: np.ndarray, tmp_path: Path
) -> None:
    for k in range(3):
        Image.fromarray((np.roll(picture, k, 0) * 255).astype(np.uint8)).save(tmp_path / f"{k}.png")
    files = [tmp_path / f"{k}.png" for k in range(3)]
    words = ("restore", *files, "--task", "denoise", "--weights", weights, "--samples", 2)
    words = (*words, "--steps", 2, "--device", "cpu", "-q")
    assert run(*words, "-o", tmp_path / "one") == 0
    assert run(*words, "-o", tmp_path / "two", "--workers", 2) == 0
    made = sorted(path.name for path in (tmp_path / "one").glob("*.png"))
    assert made == ["0.png", "0_2.png", "1.png", "1_2.png", "2.png", "2_2.png"]
    for name in made:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--average", "--pick", "sharpest", "--samples", "2"), "give one of them"),
        (("--average",), "need several answers, and --samples is 1"),
        (("--pick", "rated", "--samples", "2"), "--pick rated and --rater FILE belong together"),
        (("--samples", "2", "--uncertainty", "u.jpg"), "a name that ends in .png"),
        (("--samples", "0"), "number of samples is 0"),
    ],
)
def test_words_that_cannot_be(
    words: tuple[str, ...],
    message: str,
    weights: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("restore", "a.png", "--task", "denoise", "--weights", weights, *words) == 2
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("photographs"))


@pytest.mark.thorough
def test_a_stopped_training_resumes_to_the_bit_and_restores(
    photographs: Path, tmp_path: Path
) -> None:
    recipe = refiner_recipe(photographs)
    train(recipe, tmp_path / "whole")

    def stop(report: Report) -> None:
        if report.step == 3 and report.score is None:
            os.kill(os.getpid(), signal.SIGTERM)

    assert train(recipe, tmp_path / "parts", on_report=stop).stopped_by == signal.SIGTERM
    done = train(recipe, tmp_path / "parts")
    one, two = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    whole, parts = (read_log(tmp_path / name)[-1]["scores"] for name in ("whole", "parts"))
    assert whole == parts
    assert whole.keys() == {"predicted", "refined"}
    assert restorer(done.weights).restore(np.zeros((5, 6, 3), np.float32)).shape == (5, 6, 3)


@pytest.mark.parametrize("frozen", [True, False])
def test_the_predictor_learns_only_jointly(photographs: Path, *, frozen: bool) -> None:
    recipe = refiner_recipe(photographs, frozen=frozen)
    objective = recipe.objective.open(recipe, recipe.data.open())
    models = objective.build(recipe.model)
    objective.check(models, None)
    torch.nn.init.normal_(models["model"].get_parameter("denoiser.stages.0.heads.0.weight"))
    from multiaxis.data.batch import collate
    from multiaxis.data.numbered import NumberedSamples

    samples = NumberedSamples(recipe.data.open(), 0)  # pyright: ignore[reportArgumentType]
    batch = objective.prepare(collate([samples[k] for k in range(2)]))
    objective.losses(models, batch, "model")["noise"].sum().backward()
    moved = [p.grad is not None for p in models["model"].predictor.parameters()]  # pyright: ignore[reportAttributeAccessIssue]
    assert any(moved) is not frozen
    assert torch.equal(batch["level"], objective.prepare(batch)["level"])
    assert ((batch["level"] > 0) & (batch["level"] < 1)).all()


def test_a_first_answer_takes_all_for_noise(weights: Path, photographs: Path) -> None:
    recipe = refiner_recipe(photographs)
    network = recipe.objective.open(recipe, None).build(recipe.model)["model"]  # pyright: ignore[reportArgumentType]
    x, noise = torch.rand(2, 3, 16, 16), torch.randn(2, 3, 16, 16)
    predicted, told, wanted = network(x, x, noise, torch.full((2,), 0.5))
    torch.testing.assert_close(predicted, x)
    torch.testing.assert_close(told, 0.5**0.5 * noise)
    assert torch.equal(wanted, noise)
    assert load_refiner(weights).config.denoiser.features == 4


@pytest.mark.parametrize("kind", ["maxim", "unet"])
def test_a_first_velocity_is_nothing_and_the_right_one_leads_to_the_truth(
    kind: str, photographs: Path
) -> None:
    denoiser = replace(DENOISER if kind == "maxim" else UNET, tells="velocity", shown=True)
    recipe = refiner_recipe(photographs, denoiser=denoiser)
    network = recipe.objective.open(recipe, None).build(recipe.model)["model"]  # pyright: ignore[reportArgumentType]
    x, truth, noise = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16), torch.randn(2, 3, 16, 16)
    predicted, told, wanted = network(x, truth, noise, torch.tensor([0.2, 0.8]))
    torch.testing.assert_close(told, torch.zeros_like(x), atol=1e-6, rtol=0)
    residual = denoiser.scale * (truth - predicted)
    for k, level in enumerate((0.2, 0.8)):
        z = noisy(residual[k], noise[k], level)
        torch.testing.assert_close(noise_of(z, wanted[k], level), noise[k])


def test_velocities_move_a_predictor_as_noise_does(photographs: Path) -> None:
    """Where the denoiser is the same, and the loss is of the noise that follows."""
    x, noise, level = torch.rand(2, 3, 16, 16), torch.randn(2, 3, 16, 16), torch.tensor([0.3, 0.7])
    moved = list[torch.Tensor]()
    for tells in ("noise", "velocity"):
        torch.manual_seed(1)
        recipe = refiner_recipe(photographs, denoiser=replace(DENOISER, tells=tells))
        network = recipe.objective.open(recipe, None).build(recipe.model)["model"]  # pyright: ignore[reportArgumentType]
        _, told, wanted = network(x, x.flip(3), noise, level)
        shares = level[:, None, None, None]
        if tells == "noise":  # the same guess: the network's first answer, z, as a velocity of 0
            residual = network.config.denoiser.scale * (x.flip(3) - network.predictor(x))
            z = noisy(residual, noise, shares)
            told = (1 - shares).sqrt() * z
            difference = told - wanted
        else:
            difference = shares.sqrt() * (told - wanted)
        difference.square().sum().backward()
        moved.append(
            torch.cat(
                [p.grad.flatten() for p in network.predictor.parameters() if p.grad is not None]
            )
        )
    assert float(moved[0].abs().max()) > 0
    torch.testing.assert_close(moved[1], moved[0], rtol=1e-3, atol=1e-3)


def test_a_denoiser_that_sees_the_prediction_answers_by_it(
    tmp_path: Path, picture: np.ndarray
) -> None:
    denoiser = replace(DENOISER, shown=True, tells="velocity")
    path = write_refiner(tmp_path / "r.safetensors", denoiser=denoiser)
    network = load_refiner(path)
    assert network.config.denoiser == denoiser
    z, level = torch.randn(1, 8, 8, 3), torch.tensor([0.5])
    one, other = (
        network.denoiser(see(z, z, shown, level, denoiser).movedim(-1, 1))
        for shown in (torch.zeros(1, 8, 8, 3), torch.ones(1, 8, 8, 3))
    )
    assert not torch.allclose(one[:, :3], other[:, :3])
    assert answers(restorer(path, samples=2), picture).shape == (2, 21, 30, 3)
