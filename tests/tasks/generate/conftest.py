"""Small pictures, and a generator of them that has not learnt much."""

from pathlib import Path

import pytest
import torch

import small_generator
from multiaxis.tasks.generate.store import build_network, save_generator


@pytest.fixture(scope="session")
def modes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_generator.make_modes(tmp_path_factory.mktemp("modes"))


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random generator, whose batch norms have seen their own maps."""
    torch.manual_seed(0)
    network = build_network("maxvit_gan_32", small_generator.SMALL)
    for _ in range(3):
        network(torch.randn(16, 8))
    path = tmp_path_factory.mktemp("generator") / "g.safetensors"
    save_generator(network, path)
    return path
