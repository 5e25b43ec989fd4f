"""Detectors: networks that find objects in pictures of any size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from multiaxis.errors import ShapeError
from multiaxis.models.fpn import by_size
from multiaxis.models.maxvit.backbone import Backbone
from multiaxis.tasks.detect.networks.boxes import PictureTruth
from multiaxis.tasks.detect.networks.config import DetectorConfig, RetinaConfig
from multiaxis.tasks.detect.networks.maps import build_maps
from multiaxis.tasks.detect.networks.regions import Regions
from multiaxis.tasks.detect.networks.retina import RetinaHead

Target = Mapping[str, Tensor]
"""What a picture shows: ``boxes`` (objects, 4), ``labels`` (objects,) from 1 on, and where there
are any ``masks`` (objects, height, width) and ``crowd`` (objects,) of bool."""


class DetectionNetwork(nn.Module):
    """A detector.

    Pictures of equal size go through it together; those of other sizes by themselves. So no result
    depends on a neighbour: nothing is padded.

    Parameters
    ----------
    config : DetectorConfig

    Examples
    --------
    >>> from dataclasses import replace
    >>> from multiaxis.tasks.detect.networks.variants import NETWORKS
    >>> network = DetectionNetwork(replace(NETWORKS["maxvit_pico_retinanet"], classes=3)).eval()
    >>> found = network([torch.zeros(3, 64, 48)])[0]
    >>> found["boxes"].shape[1], found["masks"]
    (4, None)
    """

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.config = config
        self.maps = build_maps(config)
        make = RetinaHead if isinstance(config.head, RetinaConfig) else Regions
        strides = tuple(self.maps.strides.values())
        self.head = make(config, config.head, strides)  # pyright: ignore[reportArgumentType] (each its own)

    def forward(
        self, pictures: Sequence[Tensor], targets: Sequence[Target] | None = None
    ) -> dict[str, Tensor] | list[dict[str, Tensor | None]]:
        """Find objects; with targets, say what was missed.

        Parameters
        ----------
        pictures : sequence of Tensor, shape (3, height, width)
            From 0 to 1, of any sizes. To learn, give them one size: batch norms see pictures of
            equal size together.
        targets : sequence of mapping of str to Tensor, optional
            ``boxes`` (objects, 4) as (left, top, right, bottom) in pixels, ``labels`` (objects,)
            of int64 from 1 on; ``masks`` (objects, height, width) of bool where the network finds
            masks; ``crowd`` (objects,) of bool where there are regions of uncounted objects.

        Returns
        -------
        dict of str to Tensor, shape (batch,)
            With targets: the losses of each picture by name, to be added. A picture's loss is a
            mean over its own boxes.
        list of dict
            Without: of each picture ``boxes`` (results, 4) in its own pixels, ``labels`` and
            ``scores`` (results,), the highest first, and ``masks`` (results, height, width) of
            bool or None.

        Raises
        ------
        ShapeError
            If a picture or a target is another.
        """
        for picture in pictures:
            _check_picture(picture)
        if targets is None:
            return self._find(pictures)
        if len(targets) != len(pictures):
            raise ShapeError(f"received {len(pictures)} pictures and {len(targets)} targets")
        for picture, target in zip(pictures, targets, strict=True):
            self._check_target(picture, target)
        losses: dict[str, list[Tensor]] = {}
        for numbers, size, maps in self._groups(pictures):
            truths = [PictureTruth.of(targets[n]) for n in numbers]
            for name, values in self.head(maps, size, truths).items():
                places = losses.setdefault(name, [values[0]] * len(pictures))
                for number, value in zip(numbers, values, strict=True):
                    places[number] = value
        return {name: torch.stack(values) for name, values in losses.items()}

    def set_grad_checkpointing(self, enable: bool = True) -> None:  # noqa: FBT001, FBT002 (timm's)
        """Recompute each of MaxViT's blocks in the backward pass instead of keeping its maps."""
        backbone = self.maps.backbone
        if isinstance(backbone, Backbone):
            backbone.set_grad_checkpointing(enable)

    def blocks(self) -> list[nn.Module]:
        """List MaxViT's blocks, which are worth compiling by themselves."""
        backbone = self.maps.backbone
        return backbone.blocks() if isinstance(backbone, Backbone) else []

    def _find(self, pictures: Sequence[Tensor]) -> list[dict[str, Tensor | None]]:
        found: dict[int, dict[str, Tensor | None]] = {}
        for numbers, size, maps in self._groups(pictures):
            for number, result in zip(numbers, self.head(maps, size, None), strict=True):
                found[number] = {"masks": None, **result}
        return [found[number] for number in range(len(pictures))]

    def _groups(
        self, pictures: Sequence[Tensor]
    ) -> Iterator[tuple[list[int], tuple[int, int], list[Tensor]]]:
        """Give the maps of pictures of equal size: their numbers, their size, each level's."""
        config = self.config
        for numbers in by_size(pictures):
            batch = torch.stack([pictures[n] for n in numbers])
            mean, std = (batch.new_tensor(c)[:, None, None] for c in (config.mean, config.std))
            maps = self.maps.pyramid((batch - mean) / std)
            size = (batch.shape[2], batch.shape[3])
            yield numbers, size, [maps[level] for level in sorted(maps)]

    def _check_target(self, picture: Tensor, target: Target) -> None:
        if not {"boxes", "labels"} <= target.keys():
            given = ", ".join(target) or "nothing"
            raise ShapeError(f"received a target of {given}: accepted has boxes and labels")
        boxes, labels, masks = target["boxes"], target["labels"], target.get("masks")
        crowd, count = target.get("crowd"), len(boxes)
        if crowd is not None and (crowd.shape != (count,) or crowd.dtype != torch.bool):
            raise ShapeError(
                f"received crowd {tuple(crowd.shape)} of {crowd.dtype}: accepted is (objects,) of "
                "torch.bool"
            )
        if boxes.shape != (count, 4) or labels.shape != (count,) or labels.dtype != torch.int64:
            raise ShapeError(
                f"received boxes {tuple(boxes.shape)} and labels {tuple(labels.shape)} of "
                f"{labels.dtype}: accepted are (objects, 4) and (objects,) of torch.int64"
            )
        if count and not 1 <= int(labels.min()) <= int(labels.max()) <= self.config.classes:
            raise ShapeError(
                f"received labels from {int(labels.min())} to {int(labels.max())}: accepted are 1 "
                f"to {self.config.classes}"
            )
        if count and not bool((boxes[:, 2:] > boxes[:, :2]).all()):
            raise ShapeError("received a box without area: leave it out")
        if self.config.finds_masks and (
            masks is None or masks.shape != (count, *picture.shape[1:])
        ):
            shape = "none" if masks is None else str(tuple(masks.shape))
            raise ShapeError(
                f"received masks {shape}: accepted is a mask of the picture's size for each of "
                f"{count} objects, {(count, *picture.shape[1:])}"
            )


def _check_picture(picture: Tensor) -> None:
    if picture.ndim != 3 or picture.shape[0] != 3 or 0 in picture.shape:
        raise ShapeError(
            f"received a picture of the shape {tuple(picture.shape)}: accepted is (3, height, "
            "width), in a list"
        )
    if not picture.is_floating_point():
        raise ShapeError(f"received a picture of {picture.dtype}: accepted are floats from 0 to 1")
