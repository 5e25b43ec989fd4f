"""The models of tasks, opened: published ones, files, and refiners with their predictors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from multiaxis.errors import ConfigError
from multiaxis.models.maxim import Maxim
from multiaxis.tasks.restore.engine import Engine
from multiaxis.tasks.restore.frame import Runner
from multiaxis.tasks.restore.refine.network import RefinerNet
from multiaxis.tasks.restore.refine.refiner import Refiner
from multiaxis.tasks.restore.refine.sampling import Sampling
from multiaxis.tasks.restore.refine.store import find_refiner, load_refiner
from multiaxis.tasks.restore.refine.unet import Unet
from multiaxis.tasks.restore.refine.whole import WholeEngine
from multiaxis.weights.purpose import wrong_purpose
from multiaxis.zoo import open_model


@dataclass(frozen=True)
class Opened:
    """What restores, on the CPU.

    Attributes
    ----------
    predictors : tuple of Maxim
        One for each task.
    refiner : RefinerNet or None
        Where the weights are a refiner's; its predictor is the only one then.
    """

    predictors: tuple[Maxim, ...]
    refiner: RefinerNet | None = None

    def make_refiner(
        self,
        ready: Callable[[Maxim | Unet], Runner],
        sampling: Sampling | None,
        tile: int | None,
    ) -> Refiner | None:
        """Make what draws answers, where there is a refiner.

        Parameters
        ----------
        ready : callable
            Makes a network ready.
        sampling : Sampling, optional
            What was asked for; by default one answer.
        tile : int, optional
        """
        if self.refiner is None:
            return None
        denoiser, config = ready(self.refiner.denoiser), self.refiner.config.denoiser
        return Refiner(denoiser, config, sampling or Sampling(), tile=tile)


def make_ready(
    network: Maxim | Unet,
    *,
    device: torch.device,
    dtype: torch.dtype,
    memory: str | int | None,
    spill: str | Path | None,
) -> Runner:
    """Make a network ready; arguments are those of `Restorer`."""
    network = network.to(device)
    if isinstance(network, Unet):
        return WholeEngine(network, dtype=dtype, memory=memory)
    return Engine(network, dtype=dtype, memory=memory, spill=spill)


def open_models(names: Sequence[str | Path], *, draws: bool = False, **pulling: Any) -> Opened:
    """Open the weights of tasks, one after the other.

    Parameters
    ----------
    names : sequence of str or Path
    draws : bool
        Whether answers are asked for, which a refiner draws.
    **pulling
        As of `open_model`.

    Raises
    ------
    ConfigError
        If answers are asked for, and there is none who draws them; nothing is fetched before.
    WeightsError
        If they cannot be fetched or read, or do not restore.
    """
    offline = bool(pulling.get("offline"))
    refiner = find_refiner(names[0], offline=offline) if len(names) == 1 else None
    if refiner is not None:
        network = load_refiner(refiner)
        return Opened((network.predictor,), network)
    if draws:
        raise ConfigError(
            f"{names[0]} draws no answers, as only a refiner does: name no model and no weights to "
            "denoise with refine-nano, or the weights of a refiner that you trained"
        )
    return Opened(tuple(_open(name, **pulling) for name in names))


def _open(name: str | Path, **pulling: Any) -> Maxim:
    model = open_model(name, **pulling)
    if not isinstance(model, Maxim):
        raise wrong_purpose(name, "MAXIM", "is a checkpoint of one, which restores")
    return model
