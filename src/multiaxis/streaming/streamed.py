"""The streamed form of a model, called like the model."""

from __future__ import annotations

import torch
from torch import Tensor

from multiaxis.errors import ConfigError
from multiaxis.models.maxim import Maxim, MaximConfig
from multiaxis.models.maxim.network import Stage, pyramid
from multiaxis.streaming.network import StreamedStage


class Streamed:
    """A second way to run a MAXIM: in pieces that fit the cache, with bounded memory.

    Equal to ``model(x)`` but for the order of float additions. It holds folded copies of the
    weights; make a new one after they change.

    Parameters
    ----------
    model : Maxim
    """

    def __init__(self, model: Maxim) -> None:
        self.model = model
        with torch.no_grad():
            self._stages = [StreamedStage(stage) for stage in _stages(model)]

    @property
    def config(self) -> MaximConfig:
        """The model's configuration."""
        return self.model.config

    def __call__(self, x: Tensor) -> Tensor:
        """Restore pictures; as `Maxim.forward`, without gradients.

        Parameters
        ----------
        x : Tensor, shape (batch, in_channels, height, width)

        Returns
        -------
        Tensor, shape (batch, channels, height, width)
        """
        self.model.check_input(x)
        with torch.inference_mode():
            return torch.stack([self._restore(image) for image in x])

    def _restore(self, image: Tensor) -> Tensor:
        scales = self.model.config.num_supervision_scales
        images = pyramid(image.permute(1, 2, 0)[None].contiguous(), scales)
        maps = [scale[0].contiguous() for scale in images]
        earlier: list[Tensor] = []
        attended: list[Tensor] = []
        *stages, last = self._stages
        for stage in stages:
            stage(maps, earlier, attended)
        return last(maps, earlier, attended).permute(2, 0, 1)


def streamed(model: Maxim) -> Streamed:
    """Give the streamed form of a MAXIM.

    Parameters
    ----------
    model : Maxim
        In any dtype, on any device.

    Raises
    ------
    ConfigError
        If the model is another.

    Examples
    --------
    >>> from multiaxis import create_model
    >>> model = create_model("maxim", features=4, block_size_hr=(2, 2), grid_size_hr=(2, 2))
    >>> streamed(model)(torch.rand(1, 3, 64, 64)).shape
    torch.Size([1, 3, 64, 64])
    """
    if not isinstance(model, Maxim):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f"cannot stream a {type(model).__name__}: accepted is a Maxim")
    return Streamed(model)


def _stages(model: Maxim) -> list[Stage]:
    return list(model.stages)  # pyright: ignore[reportReturnType]
