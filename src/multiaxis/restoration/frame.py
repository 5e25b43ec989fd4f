"""One frame through a model: pad, run, crop."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from multiaxis.errors import ImageError, ShapeError
from multiaxis.memory import free_memory
from multiaxis.models.maxim import Maxim
from multiaxis.restoration.padding import reflect_padding
from multiaxis.streaming import Streamed
from multiaxis.streaming.plan import peak_memory, plain_memory

Frames = NDArray[np.float32]


def restore_frames(
    model: Maxim | Streamed, frames: Frames, *, device: torch.device, dtype: torch.dtype
) -> Frames:
    """Restore frames of one size in one pass: whole, never in tiles.

    Parameters
    ----------
    model : Maxim or Streamed
        On `device`, in `dtype`.
    frames : ndarray of float32, shape (batch, height, width, channels)
        Values in [0, 1]; any height and width from 1 on.
    device, dtype
        Where and in what precision the model runs.

    Returns
    -------
    ndarray of float32, shape (batch, height, width, channels)
        Restored; not clipped.

    Raises
    ------
    ShapeError
        If the values are not finite.
    ImageError
        If the frame does not fit into memory, or the result is not finite.
    """
    if not np.isfinite(frames).all():
        raise ShapeError("the picture holds NaN or infinite values: replace them first")
    height, width = frames.shape[1:3]
    plan = reflect_padding(height, width, model.config.size_multiple)
    _check_memory(model, len(frames), len(plan.rows) * len(plan.columns), device, dtype)
    padded = frames[:, plan.rows[:, None], plan.columns]
    x = torch.from_numpy(padded).permute(0, 3, 1, 2).to(device, dtype)
    try:
        with torch.inference_mode():
            y = model(x).float().permute(0, 2, 3, 1).cpu().numpy()
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and not (
            "can't allocate memory" in str(error) or "not enough memory" in str(error)
        ):
            raise
        raise ImageError(
            f"{device} ran out of memory at {height} x {width} pixels: use a "
            "smaller picture, or a machine with more memory"
        ) from error
    restored = y[:, plan.crop[0], plan.crop[1]]
    if not np.isfinite(restored).all():
        remedy = "check the weights" if dtype == torch.float32 else "use --dtype float32"
        raise ImageError(f"the restored picture is not finite in {dtype}: {remedy}")
    return restored


def _check_memory(
    model: Maxim | Streamed, frames: int, pixels: int, device: torch.device, dtype: torch.dtype
) -> None:
    """Refuse what would bring the machine down, before it does."""
    free = free_memory() if device.type == "cpu" else None
    if isinstance(model, Streamed):  # frame by frame
        needed = peak_memory(model.config, pixels, dtype.itemsize)
    else:
        needed = plain_memory(model.config, frames * pixels, dtype.itemsize)
    if free is not None and needed > free:
        raise ImageError(
            f"restoring {pixels / 1e6:.1f} padded megapixels whole takes about "
            f"{needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free: use a smaller "
            "picture, or a machine with more memory"
        )
