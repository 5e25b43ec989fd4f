"""A segmenter, loaded once and asked about many pictures."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multiaxis.data.pictures import levels_of
from multiaxis.deploy.fold import folded
from multiaxis.devices import check_finite, find_device, find_dtype, full_precision
from multiaxis.errors import ConfigError, ImageError
from multiaxis.images.sources import Source, to_picture
from multiaxis.memory import free_device_memory, is_out_of_memory, parse_bytes
from multiaxis.models.hub import Card, Shared
from multiaxis.models.maxvit.backbone import Backbone
from multiaxis.models.maxvit.strips import pyramid_in_strips, strip_memory
from multiaxis.models.store import fill, save_network
from multiaxis.progress import OnFraction
from multiaxis.tasks.segment.enlarge import strips, strongest
from multiaxis.tasks.segment.network import SegmentationNet
from multiaxis.tasks.segment.paint import Segments
from multiaxis.tasks.segment.stated import Stated, read_stated, write_stated
from multiaxis.weights.contents import read_contents
from multiaxis.weights.find import find_own


class Segmenter(Shared):
    """Names the class of every pixel.

    Pictures go through whole, at their own size. On a processor the backbone works in strips, with
    the same result and less memory.

    Parameters
    ----------
    weights : str or Path
        The ``weights.safetensors`` that a training such as ``segment-folder`` writes, a file of
        `save`, the folder of one that `save_pretrained` wrote, or ``"hf-hub:me/name"``.
    size : int, optional
        Length of the shorter side at which pictures are shown to the model, in pixels; labels come
        back at the picture's own size. By default pictures are shown as they are: those much larger
        than what the model was trained on show it things at a scale that it does not know.
    memory : str or int, optional
        The most memory that a picture may take, such as ``"4GB"``; by default what is free.
    device, dtype
        As of `multiaxis.Classifier`.

    Attributes
    ----------
    model : SegmentationNet
        As it was loaded. A copy segments, with its batch norms folded: change nothing here.
    classes : Classes
    numbers : Numbers
        Of the classes in label files, as in its training.
    device : torch.device
    dtype : torch.dtype

    Raises
    ------
    ConfigError
        If the device does not exist or a number cannot work.
    WeightsError
        If the file cannot be read or holds no segmenter.

    Examples
    --------
    >>> Segmenter("runs/segment-folder/weights.safetensors").segment("street.jpg")  # doctest: +SKIP
    Segments(labels=array([[0, 0, ...
    """

    def __init__(
        self,
        weights: str | Path,
        *,
        size: int | None = None,
        memory: str | int | None = None,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "float32",
    ) -> None:
        if size is not None and size < 1:
            raise ConfigError(f"the size is {size}: accepted is 1 or more pixels")
        self.size, self.device = size, find_device(device)
        self.memory = None if memory is None else parse_bytes(memory)
        self.dtype = find_dtype(dtype, self.device)
        self.model, stated = load_network(find_own(weights))
        self.classes, self.numbers = stated.classes, stated.numbers
        self.model = self.model.to(self.device).eval()
        self._folded = folded(self.model).to(self.dtype)
        self.model = self.model.to(self.dtype)

    def segment(self, source: Source, *, on_progress: OnFraction | None = None) -> Segments:
        """Name the class of every pixel of a picture.

        Parameters
        ----------
        source : path, PIL.Image.Image, Picture or ndarray
            Arrays: (height, width) or (height, width, 1 to 4 channels), uint8, uint16 or floats in
            [0, 1]. Alpha is ignored; profiles are converted to sRGB, as in the training.
        on_progress : callable, optional
            Receives the finished fraction.

        Returns
        -------
        Segments
            Upright, of the picture's size.

        Raises
        ------
        ImageError
            If a picture cannot be read or does not fit into the memory.
        ShapeError
            If an array is no picture.
        """
        pixels = levels_of(to_picture(source))
        shown, wanted = self._to_model(pixels), pixels.shape[:2]
        coarse = self._coarse(shown, on_progress)
        level, sides = self.model.decoder.level, (shown.shape[2], shown.shape[3])
        return Segments(strongest(coarse, level, sides, wanted), self.classes)

    def probabilities(self, source: Source) -> NDArray[np.float32]:
        """Give each class's share of belief in each pixel: (classes, height, width), float32.

        It takes 4 bytes for each class and pixel; arguments and errors are those of `segment`.
        """
        pixels = levels_of(to_picture(source))
        shown, wanted = self._to_model(pixels), pixels.shape[:2]
        coarse = self._coarse(shown, None)
        level, sides = self.model.decoder.level, (shown.shape[2], shown.shape[3])
        found = np.empty((len(self.classes), *wanted), np.float32)
        for rows, values in strips(coarse, level, sides, wanted):
            found[:, rows] = values.softmax(dim=0).cpu().numpy()
        return found

    def save(self, path: str | Path) -> None:
        """Write the network with its classes and their numbers, for ``Segmenter(path)``.

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
        save_network(self.model, path, write_stated(self.classes, self.numbers))

    @classmethod
    def open_file(cls, path: Path, **options: Any) -> Self:
        """Open a file; `options` are the segmenter's."""
        return cls(path, **options)

    def card(self) -> Card:
        """Say what the card on a hub says."""
        count, names = sum(p.numel() for p in self.model.parameters()), self.classes.names
        return Card(
            title="A segmenter on MaxViT",
            text=f"It tells each pixel's class, of {len(names)}: {', '.join(names[:20])}"
            f"{' and others' if len(names) > 20 else ''}; {count / 1e6:.1f} million parameters.",
            task="image-segmentation",
            tags=("maxvit", "multiaxis"),
            opener="multiaxis.Segmenter({})",
            facts=asdict(self.model.config),
        )

    def shown_size(self, sides: tuple[int, int]) -> tuple[int, int]:
        """Tell at what size a picture of (height, width) is shown to the model."""
        if self.size is None:
            return sides
        height, width = (max(1, round(side * self.size / min(sides))) for side in sides)
        return height, width

    def _to_model(self, pixels: NDArray[np.uint8]) -> Tensor:
        x = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float()
        x = x.div_(127.5).sub_(1)
        size = self.shown_size(pixels.shape[:2])
        if size != pixels.shape[:2]:
            x = torch.nn.functional.interpolate(x, size, mode="bilinear", antialias=True)
        return x.to(self.device, self.dtype)

    def _coarse(self, x: Tensor, on_progress: OnFraction | None) -> Tensor:
        """Give the logits at the decoder's level: (classes, height, width), in float32."""
        model, sides = self._folded, (x.shape[2], x.shape[3])
        self._check_memory(sides)
        try:
            with torch.inference_mode(), full_precision():
                if self.device.type != "cpu":
                    return check_finite(model.coarse(x)[0].float(), self.dtype)
                maps = pyramid_in_strips(model.backbone, x, model.indices, on_progress=on_progress)
                found = model.decode(dict(zip(model.decoder.levels, maps, strict=True)))
                return check_finite(found[0].float(), self.dtype)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise ImageError(self._too_large(sides)) from error

    def _check_memory(self, sides: tuple[int, int]) -> None:
        needed = self.needed_memory(sides)
        free = self.memory or free_device_memory(self.device)
        if free is not None and needed > free:
            raise ImageError(
                f"{self._too_large(sides)} It takes about {needed / 1e9:.1f} GB, and "
                f"{free / 1e9:.1f} GB are {'allowed' if self.memory else 'free'}"
            )

    def needed_memory(self, sides: tuple[int, int]) -> float:
        """Estimate the bytes that a picture of (height, width) takes, as it is shown."""
        decoder = self.model.decoder.needed_values(sides)
        in_strips = self.device.type == "cpu"
        backbone = strip_memory(self.model.config.backbone, sides, in_strips=in_strips)
        return self.dtype.itemsize * (backbone + decoder)

    def _too_large(self, sides: tuple[int, int]) -> str:
        return (
            f"a picture of {sides[1]} x {sides[0]} pixels does not fit into the memory whole: show "
            "it to the model smaller (--size, the shorter side in pixels)."
        )


def load_network(path: Path) -> tuple[SegmentationNet, Stated]:
    """Load what a training exported, on the processor.

    Raises
    ------
    WeightsError
        If the file cannot be read, is of no segmenter, or has other tensors than it states.
    """
    stated = read_stated(path)
    model = SegmentationNet(Backbone(stated.config.backbone), stated.config)
    tensors = {name: torch.as_tensor(x) for name, x in read_contents(path).arrays.items()}
    fill(model, tensors, path, "segmenter")
    return model.eval(), stated
