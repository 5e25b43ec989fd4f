"""A refiner on its device: draws answers for a picture and its prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from numpy.typing import NDArray
from torch import Tensor

from multiaxis.progress import OnFraction, part_of
from multiaxis.tasks.restore.ensemble import Frames
from multiaxis.tasks.restore.frame import Runner, restore_frames
from multiaxis.tasks.restore.refine.config import COLOURS, DenoiserConfig
from multiaxis.tasks.restore.refine.diffusion import draw_residual
from multiaxis.tasks.restore.refine.explain import correct, finish
from multiaxis.tasks.restore.refine.network import see, tell
from multiaxis.tasks.restore.refine.noise import addressed_noise
from multiaxis.tasks.restore.refine.sampling import Sampling

Judge = Callable[[Frames], float]
"""Tells how good a frame is; the greatest number wins."""


@dataclass(frozen=True)
class Drawn:
    """What was drawn for frames.

    Attributes
    ----------
    frames : tuple of Tensor, shape (batch, height, width, 3)
        The answers that are kept; not clipped.
    spread : Tensor, shape (batch, height, width), or None
        Standard deviation of all answers, the mean of the colours; None for a single one.
    remarks : tuple of str
    """

    frames: tuple[Frames, ...]
    spread: Tensor | None = None
    remarks: tuple[str, ...] = ()


class Refiner:
    """Draws answers.

    Parameters
    ----------
    engine : Runner
        Of the denoiser.
    config : DenoiserConfig
    sampling : Sampling
    tile : int, optional
        As in `restore_frames`: the network sees tiles, and the noise is that of the whole.
    """

    def __init__(
        self,
        engine: Runner,
        config: DenoiserConfig,
        sampling: Sampling,
        *,
        tile: int | None = None,
    ) -> None:
        self.engine, self.config, self.sampling, self.tile = engine, config, sampling, tile
        self._judge = sharpness if sampling.judge is None else _as_levels(sampling.judge.open())

    def draw(
        self, degraded: Frames, predicted: Frames, on_progress: OnFraction | None = None
    ) -> Drawn:
        """Draw answers for frames.

        Parameters
        ----------
        degraded, predicted : Tensor, shape (batch, height, width, 3)
            The input, values in [0, 1], and what the predictor made of it.
        on_progress : callable, optional
            Receives the finished fraction.

        Returns
        -------
        Drawn
        """
        if len(predicted) > 1:  # each by itself, so that no frame's answer depends on the others
            parts = [part_of(on_progress, k, len(predicted)) for k in range(len(predicted))]
            return _together(
                self.draw(degraded[k : k + 1], predicted[k : k + 1], part)
                for k, part in enumerate(parts)
            )
        keep, count = self.sampling.keep, self.sampling.samples
        remarks = dict[str, None]()
        mean = torch.zeros_like(predicted)
        squares = torch.zeros_like(predicted)
        kept, best = list[Frames](), float("-inf")
        for number in range(count):
            part = part_of(on_progress, number, count)
            answer = self._answer(degraded, predicted, number, remarks, part)
            before = mean
            mean = mean + (answer - mean) / (number + 1)
            squares = squares + (answer - before) * (answer - mean)
            if keep == "each":
                kept.append(answer)
            elif keep != "average" and (score := self._judge(answer.clamp(0, 1))) > best:
                kept, best = [answer], score
        spread = (squares / (count - 1)).sqrt().mean(dim=-1) if count > 1 else None
        return Drawn(tuple(kept) if kept else (mean,), spread, tuple(remarks))

    def _answer(
        self,
        degraded: Frames,
        predicted: Frames,
        number: int,
        remarks: dict[str, None],
        on_progress: OnFraction | None,
    ) -> Frames:
        sampling, scale, rule = self.sampling, self.config.scale, self.sampling.rule
        low, high = -scale * predicted, scale * (1 - predicted)

        def clip(residual: Tensor) -> Tensor:
            """Keep the picture within [0, 1], or where the prediction is beyond that, so far."""
            if rule is not None:
                picture = correct(rule, predicted + residual / scale, degraded)
                residual = scale * (picture - predicted)
            return residual.clamp(low.clamp(max=0), high.clamp(min=0))

        def advance(done: int) -> None:
            if on_progress:
                on_progress(done / sampling.steps)

        residual = draw_residual(
            partial(self._denoise, (degraded, predicted), remarks),
            partial(self._noise, predicted, number),
            sampling.steps,
            sampler=sampling.sampler,
            clip=clip,
            on_step=advance,
        )
        return finish(rule, predicted + residual / scale, degraded, predicted)

    def _noise(self, like: Frames, number: int, draw: int) -> Tensor:
        size = (like.shape[1], like.shape[2])
        noise = addressed_noise(self.sampling.seed, number, draw, size, COLOURS)
        return noise.to(like.device).expand(len(like), -1, -1, -1)

    def _denoise(
        self, shown: tuple[Frames, Frames], remarks: dict[str, None], z: Tensor, level: float
    ) -> Tensor:
        seen = see(z, *shown, z.new_full((len(z),), level), self.config)
        made = restore_frames(self.engine, seen, tile=self.tile)
        remarks.update(dict.fromkeys(made.remarks))
        return tell(made.frames, z, level, self.config)


def _as_levels(judge: Callable[[NDArray[np.uint8]], float]) -> Judge:
    """Let what judges a picture judge a frame."""

    def of_frame(frames: Frames) -> float:
        return judge((255 * frames[0]).round().byte().cpu().numpy())

    return of_frame


def _together(drawn: Iterable[Drawn]) -> Drawn:
    """Put what was drawn for single frames into batches."""
    found = list(drawn)
    spreads = [one.spread for one in found if one.spread is not None]
    return Drawn(
        frames=tuple(map(torch.cat, zip(*(one.frames for one in found), strict=True))),
        spread=torch.cat(spreads) if spreads else None,
        remarks=tuple(dict.fromkeys(remark for one in found for remark in one.remarks)),
    )


def sharpness(frames: Frames) -> float:
    """Measure how much neighbouring pixels differ: the mean square of the Laplacian's answer."""
    luma = frames.mean(dim=-1)[:, None]
    kernel = luma.new_tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])[None, None]
    padded = F.pad(luma, (1, 1, 1, 1), mode="replicate")
    return float(F.conv2d(padded, kernel).square().mean())
