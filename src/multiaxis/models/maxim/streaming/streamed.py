"""The streamed form of a model, called like the model."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from multiaxis.devices import full_precision, has_units
from multiaxis.errors import ConfigError, ImageError
from multiaxis.memory import (
    free_device_memory,
    give_back,
    is_out_of_memory,
    parse_bytes,
    process_memory,
)
from multiaxis.models.maxim.config import MaximConfig
from multiaxis.models.maxim.ends import pyramid, shuffle, smooth, unshuffle
from multiaxis.models.maxim.network import Maxim, Stage
from multiaxis.models.maxim.plan import (
    LEAST_PIECE,
    maps_memory,
    peak_memory,
    pictures_memory,
)
from multiaxis.models.maxim.streaming.network import StreamedStage
from multiaxis.models.maxim.streaming.resampling import recoloured
from multiaxis.models.maxim.streaming.workspace import Sizes, Workspace, find_sizes
from multiaxis.progress import OnFraction, part_of


class Streamed:
    """A second way to run a MAXIM: in pieces that fit the cache, with bounded memory.

    Equal to ``model(x)`` but for the order of float additions. It holds folded copies of the
    weights; make a new one after they change. For the parameters see `multiaxis.streamed`.

    Attributes
    ----------
    model : Maxim
    dtype : torch.dtype
        Of the maps between two steps.
    """

    def __init__(
        self,
        model: Maxim,
        *,
        memory: int | None = None,
        dtype: torch.dtype | None = None,
        spill: Path | None = None,
    ) -> None:
        parameter = next(model.parameters())
        self.model, self.memory, self.spill = model, memory, spill
        self.device = parameter.device
        self.dtype = dtype or parameter.dtype
        # Without the units, 16-bit arithmetic is emulated: only what is stored is narrow then.
        self.compute = self.dtype if has_units(self.dtype, self.device) else torch.float32
        with torch.no_grad():
            self._stages = [StreamedStage(stage, self.compute) for stage in _stages(model)]
        self._work_per_pixel: float | None = None

    @property
    def config(self) -> MaximConfig:
        """The model's configuration."""
        return self.model.config

    def __call__(self, x: Tensor, *, on_progress: OnFraction | None = None) -> Tensor:
        """Restore pictures; as `Maxim.forward`, without gradients.

        Parameters
        ----------
        x : Tensor, shape (batch, in_channels, height, width)
        on_progress : callable, optional
            Receives the finished fraction of all pictures after each piece.

        Returns
        -------
        Tensor, shape (batch, channels, height, width)
            In the dtype of `x`.

        Raises
        ------
        ShapeError
            As `Maxim.forward`.
        ImageError
            If a picture's maps fit neither into the memory nor, where one is given, into the spill
            folder; said before anything is computed.
        """
        self.model.check_input(x)
        self.check_memory(x.shape[2] * x.shape[3])
        with torch.inference_mode(), full_precision():
            if len(x) == 1:
                return self._restore(x[0], on_progress)[None]
            made = [
                self._restore(image, part_of(on_progress, i, len(x))) for i, image in enumerate(x)
            ]
            return torch.stack(made)

    def check_memory(self, pixels: int) -> None:
        """Refuse a picture that would not fit, with what it takes.

        Parameters
        ----------
        pixels : int
            Of one padded picture.

        Raises
        ------
        ImageError
            If it does not.
        """
        room = self._room()
        if room is None:
            return
        workspace = self._sizes(pixels).workspace
        needed = peak_memory(self.config, pixels, self.dtype.itemsize, workspace)
        if needed <= room:
            return
        least = workspace + pictures_memory(self.config, pixels)
        if self.spill is not None and least <= room:
            self._check_disk(needed - room)
            return
        taken, spills = self._held(), self.device.type == "cpu"
        what = f"restoring {pixels / 1e6:.1f} padded megapixels whole, with {self.dtype} maps,"
        if self.memory is None:
            folder = "a spill folder" if spills else "a processor (device='cpu')"
            raise ImageError(
                f"{what} takes about {needed / 1e9:.1f} GB of memory, and {room / 1e9:.1f} GB are "
                f"free: use bfloat16 maps (half), {folder}, a smaller picture, or, with "
                "another result, tiles"
            )
        with_spill = f", or {_gigabytes(least + taken)} with a spill folder" if spills else ""
        raise ImageError(
            f"{what} takes about {_gigabytes(needed + taken)} of memory in all, and "
            f"{_gigabytes(self.memory)} are allowed: the least that works is "
            f"{_gigabytes(needed + taken)}{with_spill}"
        )

    def _held(self) -> int:
        """Return the bytes that count as held before a pass: on a processor the process's."""
        return (process_memory() or 0) if self.device.type == "cpu" else 0

    def _sizes(self, pixels: int) -> Sizes:
        """Choose sizes from the cache, and smaller ones where memory is short."""
        sizes, room = find_sizes(self.device), self._room()
        rest = pictures_memory(self.config, pixels)
        if self.spill is None:
            rest += maps_memory(self.config, pixels, self.dtype.itemsize)
        while room is not None and rest + sizes.workspace > room and sizes.piece > LEAST_PIECE:
            sizes = sizes.smaller()
        return sizes

    def _room(self) -> int | None:
        """Return the bytes that a pass may take beside what the process holds already."""
        free = free_device_memory(self.device)
        if self.memory is None:
            return free
        left = max(self.memory - self._held(), 0)
        return left if free is None else min(left, free)

    def _check_disk(self, needed: int) -> None:
        assert self.spill is not None  # noqa: S101
        try:
            free = shutil.disk_usage(self.spill).free
        except OSError as error:
            raise ImageError(
                f"cannot use the spill folder {self.spill}: {error.strerror}; name another"
            ) from error
        if needed > free:
            raise ImageError(
                f"the spill folder {self.spill} has {_gigabytes(free)} free, and about "
                f"{_gigabytes(needed)} are needed: choose another one, or free space"
            )

    def _restore(self, image: Tensor, on_progress: OnFraction | None) -> Tensor:
        sizes = self._sizes(image.shape[1] * image.shape[2])
        while True:
            try:
                return self._run(image, sizes, self._counter(image, on_progress))
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                if sizes.piece < LEAST_PIECE:
                    raise ImageError(
                        f"{self.device} ran out of memory at {image.shape[1]} x {image.shape[2]} "
                        "pixels, and again in smaller pieces: use bfloat16 maps, a smaller "
                        "picture, or a machine with more memory"
                    ) from error
            give_back(self.device)
            sizes = sizes.smaller()

    def _run(self, image: Tensor, sizes: Sizes, on_work: Callable[[int], None] | None) -> Tensor:
        room = self._room()
        pixels = image.shape[1] * image.shape[2]
        others = sizes.workspace + pictures_memory(self.config, pixels)
        work = Workspace(
            device=self.device,
            storage=self.dtype,
            compute=self.compute,
            sizes=sizes,
            memory=None if room is None else max(room - others, 0),
            spill=self.spill,
            on_work=on_work,
        )
        dtype = torch.promote_types(self.dtype, torch.float32)
        scales = self.config.num_supervision_scales
        whole = image.to(dtype).permute(1, 2, 0).contiguous()
        pictures = pyramid(unshuffle(whole[None], self.config.shuffle), scales)
        maps = [scale[0].contiguous() for scale in pictures]
        earlier: list[Tensor] = []
        attended: list[Tensor] = []
        *stages, last = self._stages
        for stage in stages:
            stage(maps, earlier, attended, work)
        made = last(maps, earlier, attended, work)
        if self.config.affine:
            made = recoloured(whole, smooth(made[None])[0], work)
        else:
            made = shuffle(made[None], self.config.shuffle)[0]
        return made.permute(2, 0, 1).to(image.dtype)

    def _counter(
        self, image: Tensor, on_progress: OnFraction | None
    ) -> Callable[[int], None] | None:
        """Turn amounts of work into fractions of the whole, which is proportional to the pixels."""
        if on_progress is None:
            return None
        total = self._find_work() * image.shape[1] * image.shape[2]
        done = 0

        def count(amount: int) -> None:
            nonlocal done
            done += amount
            on_progress(min(done / total, 1.0))

        return count

    def _find_work(self) -> float:
        """Count the work for one pixel, once, on the smallest picture that the model takes."""
        if self._work_per_pixel is None:
            amounts: list[int] = []
            height, width = self.config.size_multiple
            small = torch.zeros(self.config.in_channels, height, width, device=self.device)
            self._run(small, find_sizes(self.device), amounts.append)
            self._work_per_pixel = sum(amounts) / (height * width)
        return self._work_per_pixel


def streamed(
    model: Maxim,
    memory: str | int | None = None,
    dtype: torch.dtype | None = None,
    *,
    spill: str | Path | None = None,
) -> Streamed:
    """Give the streamed form of a MAXIM; for the parameters see `multiaxis.streamed`.

    Raises
    ------
    ConfigError
        If the amount is none, or the folder not there or not for the device.
    """
    limit, folder = read_limits(memory, spill)
    device = next(model.parameters()).device
    if folder is not None and device.type != "cpu":
        raise ConfigError(
            f"only processors spill, and the model is on {device}: leave the spill "
            "folder out, or pass device='cpu'"
        )
    return Streamed(model, memory=limit, dtype=dtype, spill=folder)


def read_limits(
    memory: str | int | None, spill: str | Path | None
) -> tuple[int | None, Path | None]:
    """Turn what a user said of memory and spill folder into bytes and a folder that is there.

    Raises
    ------
    ConfigError
        If the amount is none, or the folder not there.
    """
    folder = None if spill is None else Path(spill)
    if folder is not None and (str(spill) == "" or not folder.is_dir()):
        raise ConfigError(f"the spill folder {str(spill)!r} does not exist: name one that exists")
    return None if memory is None else parse_bytes(memory), folder


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"


def _stages(model: Maxim) -> list[Stage]:
    return list(model.stages)  # pyright: ignore[reportReturnType]
