"""The generator is the paper's as far as that is published, and z reaches every pixel twice."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from multiaxis.errors import ConfigError, ShapeError
from multiaxis.tasks.generate.config import GENERATORS, DiscriminatorConfig, GeneratorConfig
from multiaxis.tasks.generate.discriminator import Discriminator
from multiaxis.tasks.generate.network import Block, GeneratorNet, Stage
from small_generator import SMALL


@pytest.fixture
def small() -> GeneratorNet:
    torch.manual_seed(1)
    network = GeneratorNet(GeneratorConfig(**SMALL))
    network(torch.randn(8, 8))  # batch norms see their maps once
    return network.eval()


def test_the_default_has_the_papers_size_stages_and_norms() -> None:
    with torch.device("meta"):
        network = GeneratorNet(GENERATORS["maxvit_gan_128"])
    assert network.config.size == 128
    count = sum(p.numel() for p in network.parameters())
    assert abs(count / 1e6 - 18.6) < 0.1  # the paper's table 6
    assert not [m for m in network.modules() if isinstance(m, nn.LayerNorm)]


def test_a_stage_doubles_the_map_of_the_one_before(small: GeneratorNet) -> None:
    sides: list[tuple[int, ...]] = []
    for stage in small.stages:
        stage.register_forward_hook(lambda _, __, out: sides.append(out.shape[1:]))
    assert small(torch.zeros(2, 8)).shape == (2, 3, 8, 8)
    assert sides == [(4, 4, 16), (8, 8, 8)]


@pytest.mark.parametrize("name", GENERATORS)
def test_variants_make_what_they_are_called_after(name: str) -> None:
    assert name.endswith(f"_{GENERATORS[name].size}")


@pytest.mark.parametrize(
    ("order", "wanted"), [("gbc", "grid block conv"), ("cbg", "conv block grid")]
)
def test_the_parts_of_a_block_run_in_the_configured_order(order: str, wanted: str) -> None:
    torch.manual_seed(2)
    block = Block(8, GeneratorConfig(**{**SMALL, "order": order})).eval()
    ran: list[str] = []
    for name in ("grid", "block", "conv"):
        part = block.get_submodule(name)
        part.register_forward_hook(lambda *_, name=name: ran.append(name))
    x = torch.randn(1, 8, 8, 8)
    found = block(x)
    assert " ".join(ran) == wanted
    for name in wanted.split():
        x = block.get_submodule(name)(x)
    torch.testing.assert_close(found, x)


def test_every_pixel_depends_on_z(small: GeneratorNet) -> None:
    z = torch.randn(1, 8)
    with torch.no_grad():
        for k in range(8):
            other = z.clone()
            other[0, k] += 1
            assert ((small(z) - small(other)).abs().amax(dim=1) > 0).all()


@pytest.mark.parametrize("stage", [0, 1])
def test_each_stage_asks_the_tokens_of_z(small: GeneratorNet, stage: int) -> None:
    one, other = torch.randn(2, 1, 8)
    tokens = small.token_norm(small.tokens(other).unflatten(-1, (4, -1)))
    with torch.no_grad():
        before = small(one)
        small.stages[stage].register_forward_pre_hook(lambda _, given: (given[0], tokens))
        assert ((small(one) - before).abs().amax(dim=1) > 0).all()


def test_pictures_of_a_batch_do_not_meet_in_evaluation(small: GeneratorNet) -> None:
    z = torch.randn(3, 8)
    with torch.no_grad():
        torch.testing.assert_close(small(z)[1:2], small(z[1:2]))


def test_a_stage_keeps_what_is_behind_it_small() -> None:
    stage = Stage(4, 8, 1, GeneratorConfig(**SMALL))
    assert isinstance(stage.widen, nn.Linear)
    assert Stage(8, 8, 1, GeneratorConfig(**SMALL)).widen is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"latent": 0}, "latent is 0: accepted is 1 to 16384"),
        ({"widths": ()}, "widths is \\(\\): accepted is 1 to 12 numbers"),
        ({"widths": (16, 12)}, "head_dim is 8: accepted is one that divides every width"),
        ({"widths": (8, 8), "depths": (1,)}, "depths is \\(1,\\)"),
        ({"widths": (10, 8), "head_dim": 2}, "multiples of 4 before the last"),
        ({"order": "bgc"}, "order is 'bgc': accepted is gbc or cbg"),
        ({"start": 4096}, "start is 4096"),
        ({"start_weights": "zero"}, "normal or scaled"),
    ],
)
def test_configurations_that_cannot_be(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GeneratorConfig(**{**SMALL, **fields})  # pyright: ignore[reportArgumentType]


def test_shapes_that_do_not_fit(small: GeneratorNet) -> None:
    with pytest.raises(ShapeError, match=r"\(1, 7\): accepted is \(batch, 8\)"):
        small(torch.zeros(1, 7))
    discriminator = Discriminator(DiscriminatorConfig(widths=(4, 4)), 8)
    assert discriminator(torch.zeros(5, 3, 8, 8)).shape == (5,)
    with pytest.raises(ShapeError, match=r"accepted is \(batch, 3, 8, 8\)"):
        discriminator(torch.zeros(1, 3, 16, 16))
    with pytest.raises(ConfigError, match="halves pictures 2 times, which 6 pixels do not allow"):
        Discriminator(DiscriminatorConfig(widths=(4, 4, 4)), 6)
