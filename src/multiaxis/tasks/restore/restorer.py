"""A task, or several in a row, loaded once and used on many pictures of any kind."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from multiaxis import batch
from multiaxis.batch import Batch, Request, Watcher
from multiaxis.devices import find_device, find_dtype
from multiaxis.errors import ShapeError
from multiaxis.images import (
    DEFAULT_MEGAPIXELS,
    Picture,
    as_file_has_it,
    from_pillow,
    seen_by_model,
    to_pillow,
)
from multiaxis.models.maxim import Maxim
from multiaxis.models.maxim.streaming.streamed import read_limits
from multiaxis.progress import OnFraction, OnProgress, between, part_of
from multiaxis.tasks.restore.clips import ClipOptions
from multiaxis.tasks.restore.ensemble import restore_eightfold
from multiaxis.tasks.restore.frame import Frames, Restored, Runner, luma, restore_frames
from multiaxis.tasks.restore.opened import make_ready, open_models
from multiaxis.tasks.restore.output import Output
from multiaxis.tasks.restore.refine.refiner import Drawn
from multiaxis.tasks.restore.refine.sampling import Sampling
from multiaxis.tasks.restore.selection import (
    check_strength,
    split_tasks,
    split_weights,
    weights_of,
)
from multiaxis.tasks.restore.tiles import check_tile
from multiaxis.tasks.restore.values import like, unit_tensor, unit_values

Restorable = TypeVar("Restorable", bound=Image.Image | NDArray[Any] | Tensor)


class Restorer:
    """Restores pictures for one task, or for several in a row.

    Parameters
    ----------
    task : str
        ``denoise``, ``deblur``, ``derain``, ``dehaze-indoor``, ``dehaze-outdoor``, ``enhance`` or
        ``retouch``. Several tasks, separated by commas as in ``"denoise,enhance"``, run in a row:
        each takes the result of the one before, as floats.
    weights : str or Path, optional
        The checkpoint: a published one's name, or a file. By default the task's own. With several
        tasks, a published one's name for each, with commas between.
    model : str
        ``full``, the published model of the task, or a small one that comes with the package:
        ``fast`` is quicker and less exact, ``nano`` knows Gaussian noise only.
    device : str or torch.device
        ``auto`` (a GPU if there is one), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    dtype : str or torch.dtype
        ``float32``, ``bfloat16``, ``float16`` or ``auto``. 16 bits halve the memory, are faster if
        the hardware supports them, and are a little less exact. Of the two, ``float16`` is nearer
        to ``float32``, and ``bfloat16`` takes larger numbers. What does not go is restored in
        ``float32``, with a remark. ``auto`` is ``bfloat16`` if the hardware supports it.
    memory : str or int, optional
        The most memory that the process may hold, such as ``"4GB"`` or a number of bytes. By
        default the free memory. Pictures that need more are refused before the work, with an
        estimate.
    spill : str or Path, optional
        A folder for maps that do not fit into the memory. It is slower and gives the same picture.
    tile : int, optional
        Side in pixels of tiles to restore one by one, if nothing else fits. The result differs from
        the exact one: no tile knows the rest of the picture.
    ensemble : bool
        Whether to restore the eight flips and turns of each picture and average the results. This
        takes eight times as long and is often a little closer to the truth.
    strength : float
        How much of the change to keep, from 0 (the input) to 1 (all).
    sampling : multiaxis.tasks.restore.refine.sampling.Sampling, optional
        What is drawn, where the weights are a refiner's; by default one answer of 20 steps.
    offline : bool
        Whether to use only what the cache holds.
    on_progress : callable, optional
        Receives `Progress` while weights are fetched.

    Attributes
    ----------
    models : tuple of Maxim
        One for each task, in float32. The restorer uses the weights that they have when it is
        created; later changes have no effect.
    model : Maxim
        The first of them.
    device : torch.device
    dtype : torch.dtype
        Of maps, and of arithmetic if the hardware supports it.
    tile : int or None
    sampling : Sampling or None

    Raises
    ------
    ConfigError
        If a name is unknown, or the device does not exist.
    WeightsError
        If the weights cannot be fetched or read.

    Examples
    --------
    >>> restored = Restorer("derain").restore(Image.open("rainy.jpg"))  # doctest: +SKIP
    """

    def __init__(  # noqa: PLR0913 (as many as its users need)
        self,
        task: str,
        *,
        weights: str | Path | None = None,
        model: Literal["full", "fast", "nano"] = "full",
        device: str | torch.device = "auto",
        dtype: Literal["float32", "bfloat16", "float16", "auto"] | torch.dtype = "float32",
        memory: str | int | None = None,
        spill: str | Path | None = None,
        tile: int | None = None,
        ensemble: bool = False,
        strength: float = 1.0,
        sampling: Sampling | None = None,
        offline: bool = False,
        on_progress: OnProgress | None = None,
    ) -> None:
        tasks = split_tasks(task)
        if model != "full":
            weights = weights_of(task, model, None if weights is None else str(weights))
        names = split_weights(weights, tasks, draws=sampling is not None)
        check_strength(strength)
        if tile is not None:
            check_tile(tile)
        self.task, self.tile = task, tile
        self._arguments = {
            "task": task,
            "weights": weights,
            "device": device,
            "dtype": dtype,
            "memory": memory,
            "spill": spill,
            "tile": tile,
            "ensemble": ensemble,
            "strength": strength,
            "sampling": sampling,
            "offline": offline,
        }
        self.ensemble, self.strength = ensemble, strength
        self.device = find_device(device)
        self.dtype = find_dtype(dtype, self.device)
        read_limits(memory, spill)
        opened = open_models(
            names, draws=sampling is not None, offline=offline, on_progress=on_progress
        )
        self.models = tuple(model.to(self.device) for model in opened.predictors)
        limits = {"memory": memory, "spill": spill}
        ready = partial(make_ready, device=self.device, dtype=self.dtype, **limits)
        self._engines = [ready(one) for one in self.models]
        self._refiner = opened.make_refiner(ready, sampling, tile)
        self.sampling = self._refiner and self._refiner.sampling

    @property
    def model(self) -> Maxim:
        """The model of the first task."""
        return self.models[0]

    def restore(self, image: Restorable) -> Restorable:
        """Restore a picture, to the first answer. The result has the kind and dtype of the input.

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
            If the shape, the type or the range is not accepted.
        ImageError
            If the picture does not fit into memory.
        """
        if isinstance(image, Image.Image):
            restored = self.restore_picture(from_pillow(image))
            warn_of(restored.remarks)
            return to_pillow(restored, image)
        if isinstance(image, Tensor):
            return self._restore_tensor(image)
        if isinstance(image, np.ndarray):  # pyright: ignore[reportUnnecessaryIsInstance]
            return self._restore_array(image)
        raise ShapeError(
            f"received a {type(image).__name__}: accepted are Pillow images, NumPy arrays and "
            "tensors; multiaxis.restore also takes paths"
        )

    def run(
        self,
        inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        output: str | os.PathLike[str] | None = None,
        *,
        watcher: Watcher | None = None,
        clips: ClipOptions = ClipOptions(),  # noqa: B008 (frozen)
        written: Output = Output(),  # noqa: B008 (frozen)
        max_megapixels: float = DEFAULT_MEGAPIXELS,
        **request: Any,
    ) -> Batch:
        """Restore files and folders, pictures and clips, as ``multiaxis restore`` does.

        Parameters
        ----------
        inputs : path, or sequence of them
            Files, folders and shell patterns, local or at addresses.
        output : path, optional
            A folder, or a file for a single file. By default each output lies beside its input.
        watcher : Watcher, optional
            Receives the plan, each result and the progress.
        clips : ClipOptions
            Which part of clips is restored, and how they are written.
        written : Output
            How pictures are written.
        max_megapixels : float
            Larger pictures are refused.
        **request
            Further fields of `multiaxis.batch.Request`: `recursive`, `resume`, `overwrite`,
            `report`, `workers`, `engine`.

        Returns
        -------
        Batch
            The plan, and the result of each file. A file that fails does not stop the others.

        Raises
        ------
        ConfigError
            If the request cannot work.

        Examples
        --------
        >>> batch = restorer.run(["a.png", "photos/"], "out/", resume=True)  # doctest: +SKIP
        """
        from multiaxis.tasks.restore.verb import Restore

        words = [inputs] if isinstance(inputs, str | os.PathLike) else list(inputs)
        verb = Restore(self._arguments, written, clips, max_megapixels, loaded=self)
        asked = Request(
            [os.fspath(word) for word in words],
            None if output is None else os.fspath(output),
            **request,
        )
        return batch.run(verb, asked, watcher)

    def restore_picture(
        self,
        picture: Picture,
        *,
        depth: str | None = None,
        on_progress: OnFraction | None = None,
    ) -> Picture:
        """Restore the colours of a picture; alpha and metadata pass through.

        A picture with another colour profile than sRGB is restored as sRGB, and the change is
        carried back into its profile (`multiaxis.images.colour`).

        Parameters
        ----------
        picture : Picture
        depth : str, optional
            Of the result: ``"uint8"``, ``"uint16"`` or ``"float32"``; by default the picture's.
        on_progress : callable, optional
            Receives the finished fraction.

        Returns
        -------
        Picture
            Its `remarks` are the picture's and what is to be known of the work.
        """
        return self.draw_pictures(picture, depth=depth, on_progress=on_progress)[0][0]

    def restore_values(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Restore floats in [0, 1], shape (height, width, 1 or 3); the result is not clipped."""
        made = self._frames(torch.from_numpy(np.ascontiguousarray(values))[None])
        warn_of(made.remarks)
        return made.frames[0].cpu().numpy()

    def draw_pictures(
        self,
        picture: Picture,
        *,
        depth: str | None = None,
        on_progress: OnFraction | None = None,
    ) -> tuple[list[Picture], NDArray[np.float32] | None]:
        """Restore a picture to all answers that are kept; arguments are `restore_picture`'s.

        Returns
        -------
        pictures : list of Picture
            One, where the weights are no refiner's.
        spread : array of float32, shape (height, width), or None
            Standard deviation of all answers that were drawn, of values in [0, 1]; None for one.
        """
        unit_values(picture.pixels)
        made = self._drawn(torch.from_numpy(seen_by_model(picture))[None], on_progress)
        restored = [as_file_has_it(picture, x[0].cpu().numpy(), depth) for x in made.frames]
        restored = [replace(one, remarks=one.remarks + made.remarks) for one in restored]
        return restored, None if made.spread is None else made.spread[0].cpu().numpy()

    def _frames(self, frames: Frames, on_progress: OnFraction | None = None) -> Restored:
        """Restore frames on the device, to one answer each."""
        made = self._drawn(frames, on_progress)
        return Restored(made.frames[0], made.remarks)

    def _drawn(self, frames: Frames, on_progress: OnFraction | None = None) -> Drawn:
        """Restore frames on the device, from the first task to the last, to all answers."""
        grey = frames.shape[-1] == 1
        frames = frames.to(self.device)
        rgb = frames.expand(*frames.shape[:-1], 3) if grey else frames
        predicting = 1 / (1 + self._refiner.sampling.evaluations) if self._refiner else 1
        made = self._predicted(rgb, between(on_progress, 0, predicting))
        drawn = Drawn((made.frames,), remarks=made.remarks)
        if self._refiner:
            refined = self._refiner.draw(rgb, made.frames, between(on_progress, predicting, 1))
            drawn = replace(refined, remarks=made.remarks + refined.remarks)
        kept = drawn.frames
        if self.strength < 1:
            kept = tuple(rgb + self.strength * (one - rgb) for one in kept)
        return replace(drawn, frames=tuple(luma(one) for one in kept) if grey else kept)

    def _predicted(self, rgb: Frames, on_progress: OnFraction | None) -> Restored:
        remarks, restored = dict[str, None](), rgb
        for index, engine in enumerate(self._engines):
            given = restored if index == 0 else restored.clamp(0, 1)
            made = self._run(engine, given, part_of(on_progress, index, len(self._engines)))
            restored = made.frames
            remarks |= dict.fromkeys(made.remarks)
        return Restored(restored, tuple(remarks))

    def _run(self, engine: Runner, frames: Frames, on_progress: OnFraction | None) -> Restored:
        remarks = dict[str, None]()

        def run(frames: Frames, on_progress: OnFraction | None) -> Frames:
            made = restore_frames(engine, frames, tile=self.tile, on_progress=on_progress)
            remarks.update(dict.fromkeys(made.remarks))
            return made.frames

        if self.ensemble:
            return Restored(restore_eightfold(run, frames, on_progress), tuple(remarks))
        return Restored(run(frames, on_progress), tuple(remarks))

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
        restored = like(self.restore_values(unit_values(colour)), colour.dtype)
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
        # It stays on the model's device from here to the result.
        made = self._frames(unit_tensor(batch.detach().permute(0, 2, 3, 1)))
        warn_of(made.remarks)
        restored = made.frames.clamp(0, 1)
        if not tensor.is_floating_point():
            restored = (restored * 255).round()
        result = restored.permute(0, 3, 1, 2).to(tensor.device, tensor.dtype)
        return result[0] if single else result


def warn_of(remarks: Sequence[str], name: str = "") -> None:
    """Warn users of Python of remarks; what works on many files reads them instead."""
    for remark in remarks:
        warnings.warn(f"{name}: {remark}" if name else remark, RuntimeWarning, stacklevel=3)
