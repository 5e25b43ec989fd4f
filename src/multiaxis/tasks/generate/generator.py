"""A generator, loaded once and asked for many pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multiaxis.devices import check_finite, find_device, find_dtype, full_precision
from multiaxis.models.hub import Card, Shared
from multiaxis.tasks.generate.grid import check_way, check_wish
from multiaxis.tasks.generate.latents import draw_latents, draw_ways
from multiaxis.tasks.generate.store import load_network, save_generator
from multiaxis.weights.find import find_own

_TOGETHER = 16  # pictures that a GPU makes at once


class Generator(Shared):
    """Makes pictures.

    Picture k of a seed is the same whatever the count that was asked for.

    Parameters
    ----------
    weights : str or Path
        The ``weights.safetensors`` that a training such as ``generate-folder`` writes, a file of
        `save`, the folder of one that `save_pretrained` wrote, or ``"hf-hub:me/name"``.
    device, dtype
        As of `multiaxis.Classifier`.

    Attributes
    ----------
    model : multiaxis.tasks.generate.network.GeneratorNet
    device : torch.device
    dtype : torch.dtype

    Raises
    ------
    ConfigError
        If the device does not exist.
    WeightsError
        If the file cannot be read or holds no generator.

    Examples
    --------
    >>> Generator("runs/generate-folder/weights.safetensors").generate(4).shape  # doctest: +SKIP
    (4, 64, 64, 3)
    """

    def __init__(
        self,
        weights: str | Path,
        *,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "float32",
    ) -> None:
        self.device = find_device(device)
        self.dtype = find_dtype(dtype, self.device)
        self.model = load_network(find_own(weights)).to(self.device, self.dtype)

    def generate(
        self, count: int, *, seed: int = 0, truncation: float | None = None
    ) -> NDArray[np.uint8]:
        """Make the first pictures of a seed.

        Parameters
        ----------
        count : int
            1 or more.
        seed : int
            0 to 2147483647.
        truncation : float, optional
            0.1 to 10. Random values further from 0 are drawn again: smaller numbers give more
            likely and less different pictures. By default none are.

        Returns
        -------
        array of uint8, shape (count, size, size, 3)
            sRGB.

        Raises
        ------
        ConfigError
            If count, seed or truncation are none of these.
        """
        check_wish(count, seed, truncation)
        return np.stack(list(islice(self.pictures(seed, truncation=truncation), count)))

    def between(
        self,
        seed: int,
        to: int,
        *,
        rows: int = 1,
        columns: int = 8,
        truncation: float | None = None,
    ) -> NDArray[np.uint8]:
        """Go from pictures of one seed to those of another.

        Parameters
        ----------
        seed, to : int
            0 to 2147483647. Row k begins with picture k of `seed` and ends with that of `to`.
        rows : int
            1 or more.
        columns : int
            Pictures of a row, 2 or more. Their random vectors turn evenly (spherically).
        truncation : float, optional
            As of `generate`, for both ends.

        Returns
        -------
        array of uint8, shape (rows, columns, size, size, 3)

        Raises
        ------
        ConfigError
            If an argument is none of these.
        """
        check_wish(rows * columns, seed, truncation)
        ways = self.ways(seed, to, columns, truncation=truncation)
        made = np.stack(list(islice(ways, rows * columns)))
        return made.reshape(rows, columns, *made.shape[1:])

    def pictures(
        self, seed: int = 0, *, truncation: float | None = None
    ) -> Iterator[NDArray[np.uint8]]:
        """Make the pictures of a seed one after the other, for ever: (size, size, 3) each."""
        check_wish(1, seed, truncation)
        length = self.model.config.latent
        yield from self._made(
            lambda numbers: draw_latents(seed, numbers, length, truncation=truncation)
        )

    def ways(
        self, seed: int, to: int, columns: int, *, truncation: float | None = None
    ) -> Iterator[NDArray[np.uint8]]:
        """Make what `between` gives one after the other, row by row, for ever."""
        check_wish(1, seed, truncation)
        check_way(to, columns)
        length = self.model.config.latent
        yield from self._made(
            lambda numbers: draw_ways((seed, to), numbers, columns, length, truncation=truncation)
        )

    def save(self, path: str | Path) -> None:
        """Write the generator, for ``Generator(path)``.

        Parameters
        ----------
        path : str or Path
            A .safetensors file, written all or nothing; replaced if it exists.

        Raises
        ------
        ConfigError
            If the path has another suffix.
        WeightsError
            If the file cannot be written.
        """
        save_generator(self.model, path)

    @classmethod
    def open_file(cls, path: Path, **options: Any) -> Self:
        """Open a file; `options` are the generator's."""
        return cls(path, **options)

    def card(self) -> Card:
        """Say what the card on a hub says."""
        count, side = sum(p.numel() for p in self.model.parameters()), self.model.config.size
        return Card(
            title="A generator of pictures on MaxViT",
            text=f"It makes pictures of {side} x {side} pixels out of random numbers; "
            f"{count / 1e6:.1f} million parameters.",
            task="unconditional-image-generation",
            tags=("maxvit", "multiaxis"),
            opener="multiaxis.Generator({})",
            facts=asdict(self.model.config),
        )

    def _made(self, draw: Callable[[Sequence[int]], Tensor]) -> Iterator[NDArray[np.uint8]]:
        """Make pictures number 0, 1, 2 and so on, of what is drawn for their numbers."""
        # The same companions for each picture, since kernels differ in the last bits with a batch.
        together = 1 if self.device.type == "cpu" else _TOGETHER
        first = 0
        while True:
            yield from self._make(draw(range(first, first + together)))
            first += together

    @torch.inference_mode()
    def _make(self, latents: Tensor) -> NDArray[np.uint8]:
        with full_precision():
            made = self.model(latents.to(self.device, self.dtype)).float()
        levels = (check_finite(made, self.dtype).clamp(-1, 1) + 1) * 127.5
        return levels.round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
