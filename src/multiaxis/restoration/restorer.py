"""A task, loaded once and used on many pictures of any kind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from multiaxis.devices import find_device, find_dtype
from multiaxis.errors import ConfigError, ImageError, ShapeError, WeightsError
from multiaxis.images import (
    DEFAULT_MEGAPIXELS,
    Picture,
    check_pillow,
    check_write,
    from_pillow,
    from_unit,
    grey_to_rgb,
    read_picture,
    rgb_to_grey,
    to_pillow,
    to_unit,
    write_picture,
)
from multiaxis.models.maxim import Maxim
from multiaxis.progress import OnProgress
from multiaxis.restoration.engine import Engine
from multiaxis.restoration.frame import Frames, restore_frames
from multiaxis.restoration.tiles import check_tile
from multiaxis.streaming.streamed import OnFraction, check_limits
from multiaxis.weights.index import check_task, find_checkpoint
from multiaxis.zoo import open_model

_TOLERANCE = 1e-3  # how far floats may lie outside [0, 1]: rounding, not another scale

Restorable = TypeVar("Restorable", bound=Image.Image | NDArray[Any] | Tensor)


class Restorer:
    """Restores pictures for one task.

    Parameters
    ----------
    task : str
        ``denoise``, ``deblur``, ``derain``, ``dehaze-indoor``, ``dehaze-outdoor``, ``enhance`` or
        ``retouch``.
    weights : str or Path, optional
        Another checkpoint: a published one's name, or a file. By default the task's own.
    device : str or torch.device
        ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    dtype : str or torch.dtype
        ``float32``; ``bfloat16``: half the memory, faster where the hardware has it, a little less
        exact; or ``auto``: bfloat16 where the hardware has it.
    memory : str or int, optional
        The most that the process may hold, such as ``"4GB"``; by default what is free. Pictures
        that take more are refused beforehand, with what they take.
    spill : str or Path, optional
        Folder for maps that do not fit into the memory: slower, but the same picture.
    tile : int, optional
        Side in pixels of tiles to restore one by one, for when nothing else fits. This is another
        result than the exact one: no tile knows of the rest of the picture.
    offline : bool
        Use only what the cache holds.
    on_progress : callable, optional
        Receives `Progress` while weights are pulled.

    Attributes
    ----------
    model : Maxim
        In float32; its weights are taken as they are when the restorer is made.
    device : torch.device
    dtype : torch.dtype
        Of maps, and of arithmetic where the hardware has it.
    tile : int or None

    Raises
    ------
    ConfigError
        If a name is unknown, or the device is not there.
    WeightsError
        If the weights cannot be had or read.

    Examples
    --------
    >>> restored = Restorer("derain").restore(Image.open("rainy.jpg"))  # doctest: +SKIP
    """

    def __init__(  # noqa: PLR0913 (as many as its users need)
        self,
        task: str,
        *,
        weights: str | Path | None = None,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "float32",
        memory: str | int | None = None,
        spill: str | Path | None = None,
        tile: int | None = None,
        offline: bool = False,
        on_progress: OnProgress | None = None,
    ) -> None:
        check_task(task)
        if weights == "":
            raise ConfigError("the weights are empty: name a checkpoint or a file, or leave it out")
        if tile is not None:
            check_tile(tile)
        self.task, self.tile = task, tile
        self.device = find_device(device)
        self.dtype = find_dtype(dtype, self.device)
        check_limits(memory, spill)
        chosen = find_checkpoint(task).name if weights is None else weights
        model = open_model(chosen, offline=offline, on_progress=on_progress)
        if not isinstance(model, Maxim):
            raise WeightsError(
                f"the weights {chosen} are those of a {type(model).__name__}, which restores no "
                "pictures: name a checkpoint of MAXIM"
            )
        self.model = model.to(self.device)
        self._engine = Engine(self.model, dtype=self.dtype, memory=memory, spill=spill)

    def restore(self, image: Restorable) -> Restorable:
        """Restore a picture; the same kind comes back, rounded where it holds whole numbers.

        Parameters
        ----------
        image : PIL.Image.Image, ndarray or Tensor
            Images: any 8-bit mode, or 16-bit grey. Arrays: (height, width) or (height, width,
            channels) with 1 to 4 channels (grey, grey and alpha, RGB, RGB and alpha), uint8, uint16
            or floats in [0, 1]. Tensors: (channels, height, width), or a batch of such, with 1 or
            3 channels, floats in [0, 1] or uint8. Alpha passes through.

        Raises
        ------
        ShapeError
            If the shape, the type or the range is another.
        ImageError
            If the frame does not fit into memory.
        """
        if isinstance(image, Image.Image):
            return to_pillow(self.restore_picture(from_pillow(image)), image)
        if isinstance(image, Tensor):
            return self._restore_tensor(image)
        if isinstance(image, np.ndarray):  # pyright: ignore[reportUnnecessaryIsInstance]
            return self._restore_array(image)
        raise ShapeError(
            f"received a {type(image).__name__}: accepted are Pillow images, NumPy arrays and "
            "tensors; multiaxis.restore also takes paths"
        )

    def restore_picture(
        self, picture: Picture, *, on_progress: OnFraction | None = None
    ) -> Picture:
        """Restore the colours of a picture; alpha and metadata pass through."""
        restored = self._frames(_unit_values(picture.pixels)[None], on_progress)[0]
        return picture.with_pixels(_like(restored, picture.pixels.dtype))

    def restore_values(self, values: Frames) -> Frames:
        """Restore floats in [0, 1], shape (height, width, 1 or 3); the result is not clipped."""
        return self._frames(values[None])[0]

    def _frames(self, frames: Frames, on_progress: OnFraction | None = None) -> Frames:
        grey = frames.shape[-1] == 1
        rgb = grey_to_rgb(frames) if grey else frames
        restored = restore_frames(self._engine, rgb, tile=self.tile, on_progress=on_progress)
        return rgb_to_grey(restored) if grey else restored

    def _restore_array(self, array: NDArray[Any]) -> NDArray[Any]:
        flat = array.ndim == 2
        pixels = array[..., None] if flat else array
        if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4) or 0 in pixels.shape:
            raise ShapeError(
                f"received an array of shape {array.shape}: accepted are (height, width) and "
                "(height, width, 1 to 4 channels)"
            )
        has_alpha = pixels.shape[2] in (2, 4)
        colour = pixels[..., :-1] if has_alpha else pixels
        restored = _like(self.restore_values(_unit_values(colour)), colour.dtype)
        if has_alpha:
            restored = np.concatenate([restored, pixels[..., -1:]], axis=-1)
        return restored[..., 0] if flat else restored

    def _restore_tensor(self, tensor: Tensor) -> Tensor:
        single = tensor.ndim == 3
        batch = tensor[None] if single else tensor
        if batch.ndim != 4 or batch.shape[1] not in (1, 3) or 0 in batch.shape:
            raise ShapeError(
                f"received a tensor of shape {tuple(tensor.shape)}: accepted are (channels, "
                "height, width) and (batch, channels, height, width) with 1 or 3 channels"
            )
        values = batch.detach().permute(0, 2, 3, 1).cpu()
        # NumPy has no bfloat16.
        array = (values.float() if values.is_floating_point() else values).numpy()
        restored = _like(self._frames(_unit_values(array)), array.dtype)
        result = torch.from_numpy(restored).permute(0, 3, 1, 2).to(tensor.device, tensor.dtype)
        return result[0] if single else result


def restore(
    source: str | os.PathLike[str] | Image.Image | NDArray[Any] | Tensor,
    *,
    task: str,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    max_megapixels: float = DEFAULT_MEGAPIXELS,
    **options: Any,
) -> Any:
    """Restore one picture. For several, make a `Restorer` and keep it.

    Parameters
    ----------
    source : path, PIL.Image.Image, ndarray or Tensor
    task : str
        As in `Restorer`.
    output : path, optional
        File to write, with the depth, profile and metadata of the source; for a path only.
    overwrite : bool
        Whether `output` may replace a file.
    max_megapixels : float
        Larger files are refused before they are decoded.
    **options
        Further arguments of `Restorer`.

    Returns
    -------
    PIL.Image.Image, ndarray, Tensor or Path
        For a path, a Pillow image, or the path `output`; otherwise the kind of `source`.

    Examples
    --------
    >>> restore("rainy.jpg", task="derain").save("dry.png")  # doctest: +SKIP
    """
    if not isinstance(source, str | os.PathLike):
        if output is not None:
            raise ConfigError(
                "output goes with a path as source: save the returned picture yourself"
            )
        if isinstance(source, Image.Image):
            from_pillow(source)  # refuses a mode before the weights are pulled
        return Restorer(task, **options).restore(source)
    if output is not None and os.path.realpath(output) == os.path.realpath(source):
        raise ImageError(f"the output {output} is the input: originals are never replaced")
    picture = read_picture(Path(source), max_megapixels=max_megapixels)
    if output is None:
        check_pillow(picture.depth, picture.pixels.shape[2], alpha=picture.has_alpha)
    else:
        check_write(output, picture, overwrite=overwrite)
    restored = Restorer(task, **options).restore_picture(picture)
    if output is None:
        return to_pillow(restored)
    write_picture(Path(output), restored, overwrite=overwrite)
    return Path(output)


def _like(values: Frames, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Clip, and round to whole numbers where the picture came in such."""
    return from_unit(values, np.float32 if dtype.kind == "f" else dtype).astype(dtype, copy=False)


def _unit_values(array: NDArray[Any]) -> Frames:
    if array.dtype.kind == "f":
        low, high = float(array.min()), float(array.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ShapeError("the picture holds NaN or infinite values: replace them first")
        if low < -_TOLERANCE or high > 1 + _TOLERANCE:
            raise ShapeError(
                f"received floats from {low:g} to {high:g}: accepted is the range 0 to 1; divide "
                "by 255 or 65535, or clip"
            )
        return array.astype(np.float32)
    if array.dtype.name not in ("uint8", "uint16"):
        raise ShapeError(
            f"received values of type {array.dtype}: accepted are uint8, uint16 and floats"
        )
    return to_unit(array)
