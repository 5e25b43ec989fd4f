"""The plain U-Net: counted, told the level, trained, saved, bounded by tiles."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from multiaxis import Restorer, Sampling
from multiaxis.cli.app import main
from multiaxis.data.batch import collate
from multiaxis.data.numbered import NumberedSamples
from multiaxis.errors import ConfigError, ImageError
from multiaxis.images import Picture
from multiaxis.tasks.restore.refine import whole
from multiaxis.tasks.restore.refine.config import DenoiserConfig, RefinerConfig
from multiaxis.tasks.restore.refine.network import see, tell
from multiaxis.tasks.restore.refine.store import load_refiner
from multiaxis.tasks.restore.refine.unet import Unet
from multiaxis.tasks.restore.refine.whole import WholeEngine, whole_memory
from multiaxis.train import train
from multiaxis.train.log import Report
from multiaxis.train.override import override
from small_recipe import make_pictures
from small_refiner import UNET, refiner_recipe, write_refiner


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_refiner(tmp_path_factory.mktemp("unet") / "r.safetensors", denoiser=UNET)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("photographs"))


def restorer(weights: Path, **rest: Any) -> Restorer:
    return Restorer("denoise", weights=weights, sampling=Sampling(steps=2), device="cpu", **rest)


@pytest.mark.parametrize(("features", "millions"), [(64, 27.18), (32, 6.80)])
def test_it_is_about_as_large_as_the_papers(features: int, millions: float) -> None:
    """The sizes are those counted of another's network after the paper, which gives only sums."""
    with torch.device("meta"):
        network = Unet(DenoiserConfig(kind="unet", features=features, depth=4, groups=3))
    count = sum(p.numel() for p in network.parameters()) / 1e6
    assert count == pytest.approx(millions, rel=0.02)
    assert not [m for m in network.modules() if "Norm" in type(m).__name__]


def lively(config: DenoiserConfig = UNET) -> Unet:
    """A network whose second convolutions are not zero, as after a training."""
    torch.manual_seed(2)
    network = Unet(config)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return network.eval()


def shown(network: Unet, level: float, size: tuple[int, int] = (8, 12)) -> torch.Tensor:
    random = torch.Generator().manual_seed(6)
    z, x = torch.randn(2, 1, *size, 3, generator=random)
    return see(z, x, x, torch.tensor([level]), network.config).movedim(-1, 1)


def test_it_starts_by_taking_all_for_noise_and_knows_the_level() -> None:
    seen = shown(Unet(UNET), 0.3)
    assert seen.shape == (1, 7, 8, 12)
    z = seen[:, :3].movedim(1, -1)
    assert torch.equal(tell(Unet(UNET)(seen).movedim(1, -1), z, 0.3, UNET), z)
    network = lively()
    one, other = (network(shown(network, level)) for level in (0.3, 0.6))
    assert bool((one != other).all())


@pytest.mark.thorough
def test_it_is_the_same_wherever_the_picture_begins() -> None:
    network = lively(DenoiserConfig(kind="unet", features=4, depth=3, groups=2))
    seen = shown(network, 0.5, (64, 96))
    moved = torch.roll(seen, (4, 8), dims=(2, 3))
    inner = (slice(None), slice(None), slice(28, 36), slice(44, 52))
    with torch.no_grad():
        wanted = torch.roll(network(seen), (4, 8), dims=(2, 3))[inner]
        torch.testing.assert_close(network(moved)[inner], wanted)


@pytest.mark.thorough
def test_blocks_are_recomputed_to_the_same_gradients() -> None:
    found: list[list[torch.Tensor | None]] = []
    for recomputes in (False, True):
        network = lively()
        network.set_grad_checkpointing(recomputes)
        network(shown(network, 0.5)).square().sum().backward()
        found.append([p.grad for p in network.parameters()])
    for one, other in zip(*found, strict=True):
        assert one is not None
        torch.testing.assert_close(one, other)
    assert len(network.blocks()) == 2 + 1 + 2 + 4 + 1  # down, halving, middle, up, doubling


def test_it_is_saved_and_draws_answers_by_seed(weights: Path, tmp_path: Path) -> None:
    assert load_refiner(weights).config.denoiser == UNET
    levels = np.random.default_rng(3).integers(0, 256, (21, 30, 3), np.uint8)
    Image.fromarray(levels).save(tmp_path / "a.png")
    words = ["restore", tmp_path / "a.png", "--task", "denoise", "-w", weights, "--samples", 2]
    words += ["--steps", 2, "-o", tmp_path / "o.png", "--device", "cpu", "-q"]
    with pytest.raises(SystemExit) as caught:
        main([*map(str, words)])
    assert caught.value.code == 0
    first, second = (np.array(Image.open(tmp_path / name)) for name in ("o.png", "o_2.png"))
    assert not np.array_equal(first, second)
    again = restorer(weights).draw_pictures(Picture(levels))[0][0].pixels
    assert np.array_equal(again, first)


def test_16_bits_are_near() -> None:
    network = lively()
    seen = shown(network, 0.5)
    exact, narrow = (WholeEngine(network, dtype=d) for d in (torch.float32, torch.bfloat16))
    found = narrow.run(seen)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), exact.run(seen), atol=0.05, rtol=0.05)
    assert torch.equal(narrow.run(seen, exact=True), exact.run(seen))


def test_what_does_not_fit_is_refused_and_goes_in_tiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = DenoiserConfig(kind="unet", features=32, depth=1)
    weights = write_refiner(tmp_path / "r.safetensors", denoiser=wide)
    whole_picture, tile = (whole_memory(wide, pixels, 4) for pixels in (64 * 112, 64 * 64))
    monkeypatch.setattr(whole, "free_device_memory", lambda _: (whole_picture + tile) // 2)
    picture = np.zeros((64, 112, 3), np.float32)
    with pytest.raises(ImageError, match=r"whole maps only.*for 0\.0 megapixels.*--tile 512"):
        restorer(weights).restore(picture)
    assert restorer(weights, tile=64).restore(picture).shape == picture.shape
    engine = WholeEngine(Unet(wide), dtype=torch.float32, memory=1000)
    with pytest.raises(ImageError, match=r"0\.0 GB are free or allowed"):
        engine.run(torch.zeros(1, 7, 8, 8))


@pytest.mark.thorough
def test_opening_one_loads_no_compiler(weights: Path) -> None:
    code = "import sys; from multiaxis.tasks.restore.refine.store import load_refiner as load; "
    code += f"from pathlib import Path; load(Path({str(weights)!r})); "
    code += "sys.exit('torch._dynamo' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


_MEASURE = """
import torch
from multiaxis.memory import peak_memory_of_process, process_memory
from multiaxis.tasks.restore.refine.config import DenoiserConfig
from multiaxis.tasks.restore.refine.unet import Unet
torch.set_num_threads(1)
model = Unet(DenoiserConfig(kind="unet", features=16, depth=3, groups=2)).eval()
with torch.inference_mode():
    model(torch.zeros(1, 7, 64, 64))
    before = process_memory()
    model(torch.zeros(1, 7, 768, 768))
print(peak_memory_of_process() - before)
"""


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_estimate_of_its_memory_holds() -> None:
    done = subprocess.run([sys.executable, "-c", _MEASURE], capture_output=True, check=True)
    config = DenoiserConfig(kind="unet", features=16, depth=3, groups=2)
    planned = whole_memory(config, 768 * 768, 4)
    assert 0.5 * planned < int(done.stdout) <= planned


@pytest.mark.thorough
def test_a_stopped_training_resumes_to_the_bit(photographs: Path, tmp_path: Path) -> None:
    recipe = refiner_recipe(photographs, denoiser=UNET)
    train(recipe, tmp_path / "whole")

    def stop(report: Report) -> None:
        if report.step == 3 and report.score is None:
            os.kill(os.getpid(), signal.SIGTERM)

    assert train(recipe, tmp_path / "parts", on_report=stop).stopped_by == signal.SIGTERM
    done = train(recipe, tmp_path / "parts")
    one, two = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert restorer(done.weights).restore(np.zeros((5, 6, 3), np.float32)).shape == (5, 6, 3)


@pytest.mark.thorough
def test_it_learns_a_batch_by_heart(photographs: Path) -> None:
    recipe = refiner_recipe(photographs, denoiser=replace(UNET, features=8), frozen=True)
    objective = recipe.objective.open(recipe, recipe.data.open())
    models = objective.build(recipe.model)
    objective.check(models, None)
    samples = NumberedSamples(recipe.data.open(), 0)  # pyright: ignore[reportArgumentType]
    batch = objective.prepare(collate([samples[k] for k in range(4)]))
    optimiser = torch.optim.Adam(models["model"].parameters(), lr=3e-3)
    losses: list[float] = []
    for _ in range(60):
        loss = objective.losses(models, batch, "model")["noise"].mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


def test_it_is_chosen_by_a_word(photographs: Path) -> None:
    words = ["kind=unet", "features=8", "depth=3", "groups=2"]
    recipe = override(refiner_recipe(photographs), [f"objective.denoiser.{w}" for w in words])
    network: Any = recipe.objective.open(recipe, recipe.data.open()).build(recipe.model)["model"]
    assert isinstance(network.denoiser, Unet)
    assert network.denoiser.config.size_multiple == (4, 4)
    assert RefinerConfig.from_fields(network.config.fields()) == network.config
    with pytest.raises(ConfigError, match="unknown value of objective.denoiser.kind 'u-net'"):
        override(recipe, ["objective.denoiser.kind=u-net"])
    odd = override(recipe, ["objective.denoiser.depth=6"])
    objective = odd.objective.open(odd, odd.data.open())
    with pytest.raises(ConfigError, match=r"data.crop is 16: this model takes multiples of 32"):
        objective.check(objective.build(odd.model), None)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "net"}, "unknown kind of denoiser 'net'"),
        ({"features": 0}, "a denoiser's features is 0: accepted is 1 to 4096"),
        ({"depth": 13}, "a denoiser's depth is 13: accepted is 1 to 12"),
        ({"groups": 0}, "a denoiser's groups is 0: accepted is 1 to 64"),
    ],
)
def test_configurations_that_cannot_be(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DenoiserConfig(**{"kind": "unet", **fields})
