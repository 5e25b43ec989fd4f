"""Frames through a model: pad, run, crop; whole, or on request in tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from multiaxis.errors import ImageError, ShapeError
from multiaxis.images.convert import LUMA
from multiaxis.progress import OnFraction, part_of
from multiaxis.tasks.restore.ensemble import Frames
from multiaxis.tasks.restore.padding import reflect_padding
from multiaxis.tasks.restore.tiles import blend, cut


class Runner(Protocol):
    """A network made ready on one device, in one precision: `engine.Engine` is one."""

    device: torch.device
    dtype: torch.dtype

    @property
    def size_multiple(self) -> tuple[int, int]:
        """What padded sides are multiples of: (rows, columns)."""
        ...

    def run(
        self, x: Tensor, *, exact: bool = False, on_progress: OnFraction | None = None
    ) -> Tensor:
        """Run a batch; see `engine.Engine.run`."""
        ...


@dataclass(frozen=True)
class Restored:
    """What a model made of frames.

    Attributes
    ----------
    frames : Tensor of float32, shape (batch, height, width, channels)
        Not clipped; where the engine computes.
    remarks : tuple of str
        What a user should know, such as that 16 bits did not do; empty as a rule.
    """

    frames: Frames
    remarks: tuple[str, ...] = ()


def restore_frames(
    engine: Runner,
    frames: Frames,
    *,
    tile: int | None = None,
    on_progress: OnFraction | None = None,
) -> Restored:
    """Restore frames of one size.

    Parameters
    ----------
    engine : Runner
    frames : Tensor of float32, shape (batch, height, width, channels)
        Values in [0, 1]; any height and width from 1 on. They stay on the engine's device.
    tile : int, optional
        Side in pixels of tiles to restore one by one. The result is another than the whole frame's:
        see `multiaxis.tasks.restore.tiles`. By default frames are restored whole.
    on_progress : callable, optional
        Receives the finished fraction.

    Raises
    ------
    ShapeError
        If the values are not finite.
    ImageError
        If the frame does not fit into memory, or the result is not finite.
    """
    if not frames.isfinite().all():
        raise ShapeError("the picture holds NaN or infinite values: replace them first")
    frames = frames.to(engine.device)
    if tile is None:
        return _restore(engine, frames, on_progress)
    places = cut(frames.shape[1], frames.shape[2], tile)
    parts: list[Restored] = []
    for index, (rows, columns) in enumerate(places):
        inner = part_of(on_progress, index, len(places))
        parts.append(_restore(engine, frames[:, rows, columns], inner))
    remarks = dict.fromkeys(remark for part in parts for remark in part.remarks)
    shape = (*frames.shape[:3], parts[0].frames.shape[3])
    whole = blend(shape, places, [part.frames for part in parts])
    return Restored(whole, tuple(remarks))


def _restore(engine: Runner, frames: Frames, on_progress: OnFraction | None) -> Restored:
    height, width = frames.shape[1:3]
    plan = reflect_padding(height, width, engine.size_multiple)
    rows, columns = (torch.from_numpy(k).to(frames.device) for k in (plan.rows, plan.columns))
    padded = frames[:, rows[:, None], columns]

    def run(*, exact: bool) -> Frames:
        y = engine.run(padded.permute(0, 3, 1, 2), exact=exact, on_progress=on_progress)
        return y.float().permute(0, 2, 3, 1)[:, plan.crop[0], plan.crop[1]]

    restored, remarks = run(exact=False), ()
    if engine.dtype != torch.float32 and not restored.isfinite().all():
        remarks = (f"{engine.dtype} was too coarse for this picture: it was restored in float32",)
        restored = run(exact=True)
    if not restored.isfinite().all():
        raise ImageError("the restored picture is not finite: check the weights")
    return Restored(restored, remarks)


def luma(frames: Frames) -> Frames:
    """Weigh RGB to BT.601 luma, one channel; three equal channels give exactly that channel."""
    wide = torch.float32 if frames.device.type == "mps" else torch.float64
    weights = torch.tensor(LUMA, dtype=wide, device=frames.device)
    return (frames.to(wide) @ weights)[..., None].float()
