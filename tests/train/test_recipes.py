"""Every recipe passes its dry run, cut down to what a small machine does in a second or two."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import small_detections
import small_generator
from multiaxis.errors import ConfigError
from multiaxis.models.maxim import MaximConfig
from multiaxis.models.maxvit import MaxViTConfig
from multiaxis.tasks.classify import recipes as classify
from multiaxis.tasks.classify.samples import ClassFolders
from multiaxis.tasks.detect.networks.store import create_network
from multiaxis.tasks.detect.samples import AnnotatedFolder
from multiaxis.tasks.generate import recipes as generate
from multiaxis.tasks.generate.config import GENERATORS, DiscriminatorConfig
from multiaxis.tasks.generate.discriminator import Discriminator
from multiaxis.tasks.generate.network import GeneratorNet
from multiaxis.tasks.generate.samples import PictureFolder
from multiaxis.tasks.rate.ladder import Ladder
from multiaxis.tasks.rate.samples import ChosenPictures, RatedPictures
from multiaxis.tasks.recipes import RECIPES, get_recipe
from multiaxis.tasks.restore import recipes as restore
from multiaxis.tasks.restore.refine.config import DenoiserConfig
from multiaxis.tasks.restore.refine.objective import Refinement
from multiaxis.tasks.restore.samples import PairedFolders
from multiaxis.tasks.segment import recipes as segment
from multiaxis.tasks.segment.network import build_network
from multiaxis.tasks.segment.samples import LabelFolders
from multiaxis.train.describe import fields_of
from multiaxis.train.dry import dry_run
from multiaxis.train.override import override
from multiaxis.train.recipe import Recipe
from multiaxis.zoo import create_model, variants
from small_ratings import make_rated
from small_recipe import SMALL_VIT, TINY

SMALL_CASCADE = {
    "pyramid": small_detections.SMALL["pyramid"],
    "backbone": small_detections.BODY,
    "anchors": small_detections.SMALL["anchors"],
    "head": {name: v for name, v in small_detections.REGIONS["head"].items() if name != "masks"},
}


def shrunk(recipe: Recipe) -> Recipe:
    """The same recipe on a model and crops that take no time; all else is as it stands."""
    config = dict(recipe.model.config)
    run = replace(recipe.run, batch=min(recipe.run.batch, 2), precision="no")
    if isinstance(recipe.data, ClassFolders):
        config.update(SMALL_VIT)
        data = replace(recipe.data, size=32)
    elif isinstance(recipe.data, AnnotatedFolder):
        config = small_detections.SMALL if "retina" in recipe.model.name else SMALL_CASCADE
        data = replace(recipe.data, size=64)
    elif isinstance(recipe.data, LabelFolders):
        config.update(SMALL_VIT)
        data = replace(recipe.data, crop=(32, 32))
    elif isinstance(recipe.data, PictureFolder):
        config = small_generator.SMALL
        data = replace(recipe.data, size=8)
        discriminator = DiscriminatorConfig(widths=(4, 4))
        objective = replace(recipe.objective, discriminator=discriminator)  # pyright: ignore[reportArgumentType, reportCallIssue]
        recipe = replace(recipe, objective=objective)
    elif isinstance(recipe.data, RatedPictures | ChosenPictures | Ladder):
        config.update(SMALL_VIT)
        data = replace(recipe.data, size=32)
    elif "shuffle" in config:
        config.update({**TINY, "num_supervision_scales": 1})
        data = replace(recipe.data, crop=32)
    else:
        config.update(TINY)
        data = replace(recipe.data, crop=16)
        if isinstance(recipe.objective, Refinement):
            config = TINY
            denoiser = DenoiserConfig(features=4, depth=2, window=2)
            recipe = replace(recipe, objective=replace(recipe.objective, denoiser=denoiser))
    model = replace(recipe.model, config=config)
    return replace(recipe, model=model, data=data, run=run)


def choices(folder: Path, *, with_originals: bool) -> dict[str, str]:
    """A folder of pictures and a table of choices, which cannot be made up."""
    make_rated(folder)
    originals = "reference," if with_originals else ""
    rows = [f"{originals}a,b,choice"]
    for k in range(30):
        original = f"{(k + 2) % 30:02}," if with_originals else ""
        rows.append(f"{original}{k:02},{(k + 1) % 30:02},a")
    (folder / "choices.csv").write_text("\n".join(rows))
    return {"folder": str(folder), "ratings": str(folder / "choices.csv")}


@pytest.mark.thorough
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_passes_its_dry_run(name: str, tmp_path: Path) -> None:
    recipe = shrunk(RECIPES[name])
    if isinstance(recipe.data, ChosenPictures):
        found = choices(tmp_path, with_originals=name == "rate-closeness")
        recipe = replace(recipe, data=replace(recipe.data, **found))
    rehearsal = dry_run(recipe)
    assert all(map(math.isfinite, rehearsal.losses))
    assert "parameters" in str(rehearsal)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_consistent(name: str) -> None:
    recipe = RECIPES[name]
    assert recipe.name == name
    first, *rest = recipe.about.splitlines()
    assert len(first) < 100
    assert any(f"train {name}" in line for line in rest), recipe.about
    if isinstance(recipe.data, AnnotatedFolder):
        with torch.device("meta"):
            assert create_network(recipe.model.name, **recipe.model.config).config
    elif isinstance(recipe.data, PictureFolder):
        assert (
            replace(GENERATORS[recipe.model.name], **recipe.model.config).size == recipe.data.size
        )
    else:
        config = variants().get(recipe.model.name) or MaximConfig()
        assert isinstance(config, MaximConfig | MaxViTConfig)
        replace(config, **recipe.model.config)
    assert recipe.optim.warmup < recipe.run.steps
    assert override(recipe, [f"{field}={value}" for field, value in fields_of(recipe)]) == recipe


@pytest.mark.slow
@pytest.mark.parametrize("name", ["maxim-derain-rain13k", "maxvit-tiny-in1k"])
def test_full_size_dry_runs(name: str) -> None:
    recipe = RECIPES[name]
    assert "GMAC" in str(dry_run(override(recipe, ["run.batch=1", "run.precision=no"])))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("optim.lr", "is not an assignment"),
        ("optim.rl=1", "did you mean lr"),
        ("optim.lr=fast", "'fast': accepted is a number"),
        ("run.steps=1.5", "a whole number"),
        ("run.compile=maybe", "true or false"),
        ("optim.kind=lion", "known are adam, adamw, sgd"),
        ("optim.betas=0.9", "2 values"),
        ("optim=adam", "is a group of fields"),
        ("model.config={}", "is a group of fields"),
        ("name.first=x", "has no fields"),
        ("model.config.num_stages.x=1", "num_stages has no fields"),
        ("data.degrade=snow", "unknown degradation 'snow'"),
    ],
)
def test_bad_settings(words: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        override(get_recipe("nano-denoise"), [words])


def test_settings() -> None:
    recipe = override(
        get_recipe("nano-denoise"),
        [
            "optim.lr=3e-4",
            "optim.clip=none",
            "run.steps=1_000",
            "data.shrink=1,2,3",
            "data.degrade=rain,jpeg:quality=60",
            "model.config.features=16",
            "model.weights=derain",
        ],
    )
    assert (recipe.optim.lr, recipe.optim.clip, recipe.run.steps) == (3e-4, None, 1000)
    assert recipe.model.config["features"] == 16
    assert recipe.model.weights == "derain"
    assert len(recipe.data.degrade) == 2
    assert recipe.data.shrink == (1, 2, 3)


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "side"), [("maxim_s2", 256), ("maxvit_tiny", 384)])
def test_costs_are_those_of_the_models(name: str, side: int) -> None:
    gmacs = {**restore.GMACS, **classify.GMACS}
    with torch.device("meta"):
        model = create_model(name, **({"image_size": side} if "maxvit" in name else {})).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.empty(1, 3, side, side, device="meta"))
    assert math.isclose(counter.get_total_flops() / 2e9, gmacs[name][side], abs_tol=0.01)


@pytest.mark.thorough
@pytest.mark.parametrize("name", sorted(segment.GMACS))
def test_costs_of_segmenters_are_those_of_their_crops(name: str) -> None:
    recipe = get_recipe(name)
    decoder, data = recipe.objective.decoder, recipe.data  # pyright: ignore[reportAttributeAccessIssue]
    with torch.device("meta"):
        classes = data.classes.count(",") + 1  # pyright: ignore[reportAttributeAccessIssue]
        model = build_network(recipe.model.name, decoder, classes, config=recipe.model.config)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(torch.empty(1, 3, *data.crop, device="meta"))  # pyright: ignore[reportAttributeAccessIssue]
    assert math.isclose(counter.get_total_flops() / 2e9, segment.GMACS[name], abs_tol=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(generate.GMACS))
def test_costs_of_generators_are_those_of_both_networks(name: str) -> None:
    """In a step, two pictures are made for each sample, and three are told apart."""
    recipe = get_recipe(name)
    config, found = GENERATORS[recipe.model.name], list[float]()
    with torch.device("meta"):
        generator = GeneratorNet(config).eval()
        discriminator = Discriminator(recipe.objective.discriminator, config.size)  # pyright: ignore[reportAttributeAccessIssue]
        picture = torch.empty(1, 3, config.size, config.size)
        parts = ((generator, torch.empty(1, config.latent)), (discriminator, picture))
    for network, x in parts:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(x)
        found.append(counter.get_total_flops() / 2e9)
    made, told = found
    assert math.isclose(2 * made + 3 * told, generate.GMACS[name], abs_tol=0.1)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_opens_with_command_cost_and_expectation(name: str) -> None:
    about = get_recipe(name).about
    assert f"multiaxis train {name}" in about
    assert "Cost: " in about
    assert "Expect: " in about


def test_what_a_recipe_is_scored_on_can_be_set() -> None:
    assert override(get_recipe("nano-denoise"), ["valid=none"]).valid is None
    recipe = get_recipe("maxim-derain-rain13k")
    assert recipe.valid is None
    words = ["valid.inputs=a", "valid.targets=b", "valid.crop=128"]
    scored = override(recipe, words).valid
    assert scored == PairedFolders(inputs="a", targets="b", crop=128, mixup=0.0)
    shards = override(recipe, ["data.urls=x.tar", *words])
    assert shards.valid == scored
    classes = override(get_recipe("maxvit-tiny-in1k"), ["valid=none"])
    again = override(classes, ["valid.folder=c"]).valid
    assert again == ClassFolders(folder="c", size=224, train=False)


def test_the_order_of_settings_does_not_matter() -> None:
    for words in [["run.steps=10", "optim.warmup=2"], ["optim.warmup=2", "run.steps=10"]]:
        recipe = override(get_recipe("nano-denoise"), words)
        assert (recipe.run.steps, recipe.optim.warmup) == (10, 2)
    assert override(recipe, ["run.steps=20", "run.steps=30"]).run.steps == 30
    with pytest.raises(ConfigError, match="warmup is 200: accepted is less than run.steps = 10"):
        override(get_recipe("nano-denoise"), ["run.batch=4", "run.steps=10"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("optim.lr=0", "optim.lr is 0"),
        ("optim.lr=nan", "optim.lr is nan"),
        ("optim.lr=100", "optim.lr is 100"),
        ("optim.final_lr=1", "optim.final_lr"),
        ("optim.warmup=30000", "optim.warmup"),
        ("run.steps=0", "run.steps is 0"),
        ("run.batch=0", "run.batch is 0"),
        ("run.ema=1", "run.ema is 1"),
        ("data.crop=0", "data.crop is 0"),
        ("data.mixup=2", "data.mixup is 2"),
        ("data.shrink=", "data.shrink is empty: accepted are numbers"),
        ("valid_samples=0", "valid_samples is 0: accepted is 1 or more"),
        ("valid_samples=-3", "valid_samples is -3"),
        ("run.seed=-1", "run.seed is -1: accepted is 0 to 2147483647"),
        ("run.seed=5000000000", "run.seed is 5000000000"),
    ],
)
def test_values_that_make_no_sense(words: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        override(get_recipe("nano-denoise"), [words])
