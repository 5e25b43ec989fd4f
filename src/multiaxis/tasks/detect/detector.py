"""A detector, loaded once and asked about many pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from multiaxis import batch
from multiaxis.batch import Batch, Request, Watcher
from multiaxis.data.pictures import levels_of
from multiaxis.deploy.fold import folded
from multiaxis.devices import find_device, find_dtype, full_precision
from multiaxis.errors import ConfigError, unknown
from multiaxis.images.sources import Source, to_picture
from multiaxis.memory import refusing
from multiaxis.models.hub import Card, Shared
from multiaxis.models.store import save_network
from multiaxis.tasks.detect.augment import shown, whole
from multiaxis.tasks.detect.draw import draw
from multiaxis.tasks.detect.found import Found, to_found
from multiaxis.tasks.detect.masks import Rle, decode
from multiaxis.tasks.detect.networks.network import DetectionNetwork
from multiaxis.tasks.detect.networks.store import open_network
from multiaxis.tasks.detect.stated import read_stated, write_stated
from multiaxis.tasks.detect.truth import Category
from multiaxis.weights.find import find_own


@dataclass(frozen=True)
class Detection:
    """A thing in a picture.

    Attributes
    ----------
    label : str
        Name of its class.
    index : int
        Place of the class among `Detector.labels`.
    score : float
        From 0 to 1.
    box : tuple of float
        Left, top, right and bottom, in pixels of the upright picture.
    outline : dict or None
        Its mask as COCO writes it, where the detector finds masks.
    """

    label: str
    index: int
    score: float
    box: tuple[float, float, float, float]
    outline: Rle | None = None

    @property
    def mask(self) -> NDArray[np.bool_] | None:
        """Where it is: bool of the picture's (height, width); None without an outline."""
        return None if self.outline is None else decode(self.outline, *self.outline["size"])


class Detector(Shared):
    """Finds things in pictures, and outlines them where it was trained to.

    Parameters
    ----------
    weights : str, Path or DetectionNetwork
        A file that a training of detection or `save` wrote, the folder of one that
        `save_pretrained` wrote, or ``"hf-hub:me/name"``; or a network of your own, which then needs
        `labels`.
    threshold : float
        Leave out what scores less, from 0 to 1. Average precision needs 0.
    classes : sequence of str, optional
        Names of the classes to look for; by default all.
    size : int, optional
        Side of the square that a picture's longer side fills as the network sees it, in pixels; by
        default as in training.
    labels : sequence of str, optional
        Names of the classes, for a network of your own.
    device : str or torch.device
        ``auto`` (a GPU if there is one), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    dtype : str or torch.dtype
        ``float32``, ``bfloat16`` or ``auto``, for what torch's autocast calculates so.

    Attributes
    ----------
    network : DetectionNetwork
        What detects; of a file, a copy does, with its batch norms folded: change nothing here then.
    labels : tuple of str
    categories : tuple of Category
        The classes with the ids of the annotations that were trained on.
    size : int
    threshold : float
    device : torch.device
    dtype : torch.dtype

    Raises
    ------
    ConfigError
        If a name or a value cannot work, or the device does not exist.
    WeightsError
        If the file is no detector's.
    MissingExtraError
        If torchvision or pycocotools is not installed.

    Examples
    --------
    >>> detector = Detector("runs/detect-folder/weights.safetensors")  # doctest: +SKIP
    >>> detector.detect("cells.jpg")[0].label  # doctest: +SKIP
    'RBC'
    """

    def __init__(
        self,
        weights: str | Path | DetectionNetwork,
        *,
        threshold: float = 0.5,
        classes: Sequence[str] | None = None,
        size: int | None = None,
        labels: Sequence[str] | None = None,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "float32",
    ) -> None:
        check_threshold(threshold)
        self._arguments: dict[str, Any] = {
            "weights": None if isinstance(weights, DetectionNetwork) else str(find_own(weights)),
            "threshold": threshold,
            "classes": None if classes is None else tuple(classes),
            "size": size,
            "device": str(device),
            "dtype": str(dtype).removeprefix("torch."),
        }
        self.device = find_device(device)
        # Boxes whose scores overflow would be missing without a word: no float16.
        self.dtype = find_dtype(dtype, self.device, ("float32", "bfloat16"))
        if isinstance(weights, DetectionNetwork):
            network, trained_at = weights, size
            self.categories = _named(network.config.classes, labels)
        else:
            path = find_own(weights)
            network = open_network(path)
            stated = read_stated(path, network.config.classes)
            trained_at, self.categories = stated.size, stated.classes
            if labels is not None:
                raise ConfigError("received labels, and weights that name theirs: leave them out")
        if size is None and trained_at is None:
            raise ConfigError("received a network without a size: give the one of its training")
        self.size = size or trained_at or 0
        if not 32 <= self.size <= 65536:
            raise ConfigError(f"the size is {self.size}: accepted is 32 to 65536 pixels")
        self.threshold = threshold
        self.labels = tuple(category.name for category in self.categories)
        self._wanted = _places(self.labels, classes)
        self.network = network.to(self.device).eval()
        is_own = self.network is weights  # and may be trained further
        self._folded = self.network if is_own else folded(self.network)

    @property
    def finds_masks(self) -> bool:
        """Whether detections have outlines."""
        return self.network.config.finds_masks

    @overload
    def detect(self, source: Source) -> list[Detection]: ...

    @overload
    def detect(self, source: Sequence[Source]) -> list[list[Detection]]: ...

    def detect(self, source: Source | Sequence[Source]) -> list[Detection] | list[list[Detection]]:
        """Find what a picture shows, or each of several.

        Parameters
        ----------
        source : path, PIL.Image.Image, Picture or ndarray; or a list or tuple of them
            Arrays: (height, width) or (height, width, 1 to 4 channels), uint8, uint16 or floats in
            [0, 1]. Alpha is ignored.

        Returns
        -------
        list of Detection, or a list of such lists
            Best first.

        Raises
        ------
        ImageError
            If a picture cannot be read.
        ShapeError
            If an array is not a picture.
        """
        if isinstance(source, list | tuple):
            return [self.detect(one) for one in source]
        one: Any = source
        return self.named(self.find(levels_of(to_picture(one))))

    def find(self, pixels: NDArray[np.uint8], *, threshold: float | None = None) -> Found:
        """Find what a picture shows, as arrays.

        Parameters
        ----------
        pixels : array of uint8, shape (height, width, 3)
            sRGB, upright.
        threshold : float, optional
            In place of the detector's.
        """
        height, width = pixels.shape[:2]
        frame = whole((height, width), self.size)
        picture = torch.from_numpy(shown(pixels, frame)).to(self.device)
        picture = picture.permute(2, 0, 1).float() / 255
        least = self.threshold if threshold is None else threshold
        what = f"a picture of {width} x {height} pixels: use a smaller size (--size)"
        with refusing(self.device, what), torch.inference_mode(), full_precision():
            with self._precision():
                made: Any = self._folded([picture])[0]
            found = to_found(made, frame.scaled, (height, width), threshold=least)
        return found.of_classes(self._wanted)

    def named(self, found: Found) -> list[Detection]:
        """Give what was found with the names of its classes."""
        masks = found.masks or [None] * len(found.boxes)
        return [
            Detection(self.labels[label], label, score, (box[0], box[1], box[2], box[3]), mask)
            for label, score, box, mask in zip(
                found.labels.tolist(),
                found.scores.tolist(),
                found.boxes.tolist(),
                masks,
                strict=True,
            )
        ]

    def draw(self, source: Source) -> Image.Image:
        """Draw what a picture shows onto an 8-bit copy of it: boxes, outlines, names, scores."""
        pixels = levels_of(to_picture(source))
        return Image.fromarray(draw(pixels, self.find(pixels), self.labels))

    def run(
        self,
        inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        output: str | os.PathLike[str] | None = None,
        *,
        watcher: Watcher | None = None,
        **request: Any,
    ) -> Batch:
        """Detect in files and folders, as ``multiaxis detect`` does.

        Parameters
        ----------
        inputs : path, or sequence of them
            Files, folders and shell patterns, local or at addresses.
        output : path, optional
            A folder for pictures with what was found drawn on them, or a file for a single one.
        watcher : Watcher, optional
            Receives the plan, each result and the progress.
        **request
            Further fields of `multiaxis.batch.Request`: `recursive`, `resume`, `overwrite`,
            `report`, `workers`, `engine`.

        Returns
        -------
        Batch
            Each result's record has ``detections``. A file that fails does not stop the others.

        Raises
        ------
        ConfigError
            If the request cannot work, or several processes are asked for and the weights are in
            no file.
        """
        from multiaxis.tasks.detect.verb import Detect

        words = [inputs] if isinstance(inputs, str | os.PathLike) else list(inputs)
        asked = Request(
            [os.fspath(word) for word in words],
            None if output is None else os.fspath(output),
            **request,
        )
        if self._arguments["weights"] is None and (
            asked.engine == "ray" or (asked.workers or 1) > 1
        ):
            raise ConfigError(
                "the network is in the memory of this process: pass workers=1, or load the "
                "detector from a file"
            )
        return batch.run(Detect(self._arguments, output is not None, loaded=self), asked, watcher)

    def save(self, path: str | Path) -> None:
        """Write the network with its size and the names of its classes, for ``Detector(path)``.

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
        save_network(self.network, path, write_stated(self.size, self.categories))

    @classmethod
    def open_file(cls, path: Path, **options: Any) -> Self:
        """Open a file; `options` are the detector's."""
        return cls(path, **options)

    def card(self) -> Card:
        """Say what the card on a hub says."""
        count = sum(parameter.numel() for parameter in self.network.parameters())
        kind = "boxes and outlines" if self.finds_masks else "boxes"
        return Card(
            title="A detector on MaxViT",
            text=f"It finds {kind} of {', '.join(self.labels[:20])}"
            f"{' and others' if len(self.labels) > 20 else ''}, in pictures whose longer side is "
            f"brought to {self.size} pixels; {count / 1e6:.1f} million parameters.",
            task="object-detection",
            tags=("maxvit", "multiaxis"),
            opener="multiaxis.Detector({})",
            facts=asdict(self.network.config),
        )

    def _precision(self) -> AbstractContextManager[Any]:
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)


def check_threshold(threshold: float) -> None:
    """Refuse a threshold that is no share.

    Raises
    ------
    ConfigError
    """
    if not 0 <= threshold <= 1:
        raise ConfigError(f"the threshold is {threshold:g}: accepted is 0 to 1")


def _named(count: int, labels: Sequence[str] | None) -> tuple[Category, ...]:
    if labels is None or len(labels) != count:
        received = "no labels" if labels is None else f"{len(labels)} labels"
        raise ConfigError(f"received {received}: the network tells {count} classes apart")
    return tuple(Category(k + 1, name) for k, name in enumerate(labels))


def _places(labels: Sequence[str], classes: Sequence[str] | None) -> list[int]:
    if classes is None:
        return list(range(len(labels)))
    for name in classes:
        if name not in labels:
            raise unknown("class", name, labels)
    return [labels.index(name) for name in classes]
