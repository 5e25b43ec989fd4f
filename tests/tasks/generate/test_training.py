"""Two networks learn from each other, by the losses of the paper, and resume to the bit."""

from __future__ import annotations

import os
import signal
import tarfile
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from multiaxis.data.batch import Batch
from multiaxis.data.load import Share, passes
from multiaxis.errors import ConfigError, WeightsError
from multiaxis.tasks.generate.config import DiscriminatorConfig
from multiaxis.tasks.generate.discriminator import Discriminator
from multiaxis.tasks.generate.generator import Generator
from multiaxis.tasks.generate.losses import AdversarialObjective, penalty
from multiaxis.tasks.generate.samples import PictureShards
from multiaxis.train import train
from multiaxis.train.build import prepare_blocks
from multiaxis.train.log import Report
from multiaxis.train.loop import read_log
from multiaxis.train.override import override
from small_generator import make_modes, modes_recipe


def opened(folder: Path, *words: str) -> tuple[AdversarialObjective, dict[str, nn.Module]]:
    recipe = override(modes_recipe(folder), words)
    source = recipe.data.open()
    objective = recipe.objective.open(recipe, source)
    assert isinstance(objective, AdversarialObjective)
    models = objective.build(recipe.model)
    objective.check(models, None)
    return objective, models


class Plane(nn.Module):
    """A linear discriminator, whose gradient is its weight everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 1, 3 * 8 * 8).reshape(3, 8, 8))

    def forward(self, pictures: Tensor) -> Tensor:
        return (pictures * self.weight).sum(dim=(1, 2, 3))


def test_r1_equals_finite_differences() -> None:
    torch.manual_seed(0)
    network = Discriminator(DiscriminatorConfig(widths=(4, 4)), 8).double()
    pictures = torch.randn(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    found = penalty(network(pictures), pictures)
    step = 1e-6
    with torch.no_grad():
        for k, picture in enumerate(pictures):
            shifts = step * torch.eye(picture.numel(), dtype=torch.float64)
            shifts = shifts.reshape(-1, *picture.shape)
            slopes = (network(picture + shifts) - network(picture - shifts)) / (2 * step)
            torch.testing.assert_close(found[k], slopes.square().sum(), rtol=1e-6, atol=1e-9)


def test_the_penalty_is_ten_times_the_squared_gradient_without_a_half(modes: Path) -> None:
    objective, models = opened(modes, "objective.r1=10")
    plane = Plane()
    batch = objective.prepare(Batch({"picture": torch.rand(4, 3, 8, 8)}, torch.arange(4)))
    losses = objective.losses({**models, "discriminator": plane}, batch, "discriminator")
    wanted = 10 * plane.weight.square().sum()
    torch.testing.assert_close(losses["r1"], wanted.expand(4))
    (slope,) = torch.autograd.grad(losses["r1"].mean(), plane.weight)
    torch.testing.assert_close(slope, 20 * plane.weight)


def test_losses_are_the_non_saturating_ones(modes: Path) -> None:
    objective, models = opened(modes)
    batch = objective.prepare(Batch({"picture": torch.rand(4, 3, 8, 8)}, torch.arange(4)))
    generator, discriminator = models["generator"], models["discriminator"]
    losses = objective.losses(models, batch, "discriminator")
    told = discriminator(generator(batch["discriminator"]))
    torch.testing.assert_close(losses["made"], F.softplus(told))
    torch.testing.assert_close(losses["real"], F.softplus(-discriminator(batch["picture"])))
    (deceiving,) = objective.losses(models, batch, "generator").values()
    wanted = F.softplus(-discriminator(generator(batch["generator"])))
    torch.testing.assert_close(deceiving, wanted)


def test_each_turn_reaches_its_own_model_only(modes: Path) -> None:
    objective, models = opened(modes)
    batch = objective.prepare(Batch({"picture": torch.rand(4, 3, 8, 8)}, torch.arange(4)))
    for turn, other in (("discriminator", "generator"), ("generator", "discriminator")):
        torch.stack(list(objective.losses(models, batch, turn).values())).sum().backward()
        assert all(p.grad is None for p in models[other].parameters())
        assert any(p.grad is not None for p in models[turn].parameters())
        assert all(p.requires_grad for p in models[other].parameters())
        models[turn].zero_grad()


def test_latents_depend_on_the_samples_numbers_and_the_seed_only(modes: Path) -> None:
    objective, _ = opened(modes)
    pictures = torch.zeros(4, 3, 8, 8)
    all_four = objective.prepare(Batch({"picture": pictures}, torch.arange(4)))
    last = objective.prepare(Batch({"picture": pictures[:1]}, torch.tensor([3])))
    other, _ = opened(modes, "run.seed=1")
    for turn in objective.turns:
        assert torch.equal(all_four[turn][3:], last[turn])
    assert not torch.equal(all_four["generator"], all_four["discriminator"])
    changed = other.prepare(Batch({"picture": pictures}, torch.arange(4)))
    assert not torch.equal(changed["generator"], all_four["generator"])


def test_shards_give_the_folders_squares(modes: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        for path in sorted(modes.iterdir()):
            tar.add(path, path.name)
            tar.add(path, f"{path.stem}.cls")  # classes of other uses do no harm
    recipe = override(modes_recipe(modes), [f"data.urls={tmp_path / '0.tar'}", "data.shuffle=1"])
    assert isinstance(recipe.data, PictureShards)
    stream = recipe.data.open()
    (batch,) = passes(stream, 0, Share(24), first=0, end=1)
    source = modes_recipe(modes).data.open()
    wanted = {source.sample(k, None)["picture"].tobytes() for k in range(24)}  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]
    found = batch["picture"].permute(0, 2, 3, 1).contiguous().numpy()
    assert {picture.tobytes() for picture in found} == wanted
    objective = recipe.objective.open(recipe, stream)
    objective.check(objective.build(recipe.model), None)
    wrong = override(recipe, ["data.size=16"])
    objective = wrong.objective.open(wrong, wrong.data.open())
    with pytest.raises(ConfigError, match="data has pictures of 16 pixels"):
        objective.check(objective.build(wrong.model), None)


def test_blocks_of_the_generator_are_compiled(modes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[nn.Module] = []

    def note(block: nn.Module) -> None:
        compiled.append(block)

    monkeypatch.setattr(nn.Module, "compile", note)
    _, models = opened(modes)
    prepare_blocks(models.values(), recompute=False, compile_=True)
    assert [type(block).__name__ for block in compiled] == ["Block", "Block"]
    with pytest.raises(ConfigError, match="run.recompute is true, and there are no blocks"):
        prepare_blocks(models.values(), recompute=True, compile_=False)


@pytest.mark.thorough
def test_a_stopped_training_resumes_to_the_bit(modes: Path, tmp_path: Path) -> None:
    recipe = modes_recipe(modes)
    train(recipe, tmp_path / "whole")

    def stop(report: Report) -> None:
        if report.step == 3 and report.score is None:
            os.kill(os.getpid(), signal.SIGTERM)

    assert train(recipe, tmp_path / "parts", on_report=stop).stopped_by == signal.SIGTERM
    train(recipe, tmp_path / "parts")
    last = "step_000000006/model_discriminator.safetensors"
    for file in ("weights.safetensors", last):
        one, two = (load_file(tmp_path / name / file) for name in ("whole", "parts"))
        assert one.keys() == two.keys()
        assert all(torch.equal(one[name], two[name]) for name in one)
    whole, parts = (read_log(tmp_path / name)[-1] for name in ("whole", "parts"))
    assert whole["scores"] == parts["scores"]
    assert {"frechet", "kernel"} == whole["scores"].keys()


def _falls(modes: Path, folder: Path, steps: int) -> float:
    """By what factor the distance falls, from that of a generator that has learnt for 2 steps."""
    recipe = modes_recipe(modes, steps=steps, ema=0.0)
    begun = train(override(recipe, ["run.steps=2"]), folder / "begun")
    done = train(recipe, folder / "done")
    assert begun.score is not None
    assert done.score is not None
    return begun.score / done.score


@pytest.mark.thorough
def test_it_learns_something_of_two_modes(modes: Path, tmp_path: Path) -> None:
    assert _falls(modes, tmp_path, 50) > 2


@pytest.mark.slow
def test_it_learns_two_modes(modes: Path, tmp_path: Path) -> None:
    assert _falls(modes, tmp_path, 200) > 5
    made = Generator(tmp_path / "done" / "weights.safetensors", device="cpu").generate(64)
    red, blue = made[:, :, :4, 0].mean(axis=(1, 2)), made[:, :, 4:, 2].mean(axis=(1, 2))
    assert 0.2 < (red > blue).mean() < 0.8  # both modes


def test_a_training_starts_from_a_generators_file(
    modes: Path, weights: Path, tmp_path: Path
) -> None:
    _, models = opened(modes, f"model.weights={weights}")
    state = load_file(weights)
    assert all(torch.equal(v, state[n]) for n, v in models["generator"].state_dict().items())
    with pytest.raises(WeightsError, match="has the configuration"):
        opened(modes, f"model.weights={weights}", "model.config.latent=9")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model.name=maxvit_gan"], "unknown generator 'maxvit_gan': did you mean maxvit_gan"),
        (["model.config.width=8"], "unknown field of a generator 'width': did you mean widths"),
        (["data.size=16"], "data has pictures of 16 pixels, and the generator makes 8"),
        (["objective.r1=-1"], "objective.r1 is -1"),
        (["objective.discriminator.widths=8,8,8,8,8"], "halves pictures 4 times, which 8 pixels"),
        (["data.size=2"], "data.size is 2"),
    ],
)
def test_trainings_that_cannot_work(modes: Path, words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        opened(modes, *words)


def test_valid_pictures_of_another_size_are_refused(modes: Path, tmp_path: Path) -> None:
    recipe = override(modes_recipe(modes), ["valid.size=16"])
    with pytest.raises(ConfigError, match=r"valid has pictures of 16 pixels.*valid\.size=8"):
        train(recipe, tmp_path)


def test_pictures_are_shown_as_their_middle_square(tmp_path: Path) -> None:
    source = modes_recipe(make_modes(tmp_path, count=2, side=16)).data.open()
    picture = source.sample(1, None)["picture"]  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]
    assert picture.shape == (8, 8, 3)
    assert picture.min() >= -1
    assert picture[:, :3, 0].mean() > 0.5
    assert picture[:, 5:, 0].mean() < -0.7
