"""What a network found, in the pixels of the picture that it was asked about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from multiaxis.tasks.detect.masks import Rle, encode


@dataclass(frozen=True)
class Found:
    """The things in a picture, best first.

    Attributes
    ----------
    boxes : array of float32, shape (things, 4)
        Left, top, right, bottom, in pixels.
    labels : array of int64, shape (things,)
        From 0.
    scores : array of float32, shape (things,)
    masks : tuple of dict, or None
        Run lengths over the whole picture.
    """

    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]
    masks: tuple[Rle, ...] | None = None

    def of_classes(self, labels: Sequence[int]) -> Found:
        """Give those of some classes."""
        chosen = np.isin(self.labels, labels)
        masks = self.masks and tuple(m for m, yes in zip(self.masks, chosen, strict=True) if yes)
        return Found(self.boxes[chosen], self.labels[chosen], self.scores[chosen], masks)

    def as_results(self, image: int, categories: Sequence[int]) -> list[dict[str, Any]]:
        """Write them as COCO's results.

        Parameters
        ----------
        image : int
            Id of the picture.
        categories : sequence of int
            Ids of the classes, by label.
        """
        rows: list[dict[str, Any]] = []
        for k, (left, top, right, bottom) in enumerate(self.boxes.tolist()):
            row: dict[str, Any] = {
                "image_id": image,
                "category_id": categories[int(self.labels[k])],
                "bbox": [round(n, 2) for n in (left, top, right - left, bottom - top)],
                "score": round(float(self.scores[k]), 5),
            }
            if self.masks is not None:
                row["segmentation"] = self.masks[k]
            rows.append(row)
        return rows


def to_found(
    made: Mapping[str, Tensor | None],
    seen: tuple[int, int],
    size: tuple[int, int],
    *,
    threshold: float = 0.0,
) -> Found:
    """Bring what a network found from the size that it saw to that of the picture.

    What lies beside the picture, on the square that it was shown on, is left out.

    Parameters
    ----------
    made : mapping of str to Tensor
        ``boxes``, ``labels`` from 1 on, ``scores``, and ``masks`` where there are any: bool, or
        floats that are inside from 0.5 on.
    seen, size : tuple of int
        Height and width, as the network saw the picture and as it is; pixels.
    threshold : float
        What scores less is left out.
    """
    boxes, labels, scores = (_known(made[name]) for name in ("boxes", "labels", "scores"))
    order = scores.argsort(descending=True, stable=True)
    order = order[scores[order] >= threshold]
    height, width = size
    factors = np.array([width / seen[1], height / seen[0]] * 2)
    moved = boxes[order].float().cpu().numpy() * factors
    scaled = np.clip(moved, 0, [width, height] * 2).astype(np.float32)
    inside = (scaled[:, 2:] > scaled[:, :2]).all(axis=1)
    order, masks = order[torch.from_numpy(inside).to(order.device)], made.get("masks")
    return Found(
        scaled[inside],
        labels[order].cpu().numpy() - 1,
        scores[order].float().cpu().numpy(),
        None if masks is None else tuple(_scaled(masks[k], seen, size) for k in order.tolist()),
    )


def _known(part: Tensor | None) -> Tensor:
    assert part is not None  # noqa: S101 (only masks may be missing)
    return part


def _scaled(mask: Tensor, seen: tuple[int, int], size: tuple[int, int]) -> Rle:
    """Scale one mask: all at once would take the memory of a hundred pictures."""
    values = mask[: seen[0], : seen[1]].cpu().float().numpy()  # of bools, a quarter moves
    if values.shape != size:
        image = Image.fromarray(values)
        values = np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR))
    return encode(values >= 0.5)
