"""Against flicker: what stands still in the input stands still in the output."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import ConfigError

_STILL = 3 / 255  # RMS difference that counts as standing still, in a clip without noise
_NOISE = 2.25  # of the noise's variance: two still frames differ by 2, and windows scatter
_SLACK = 0.15  # of the noise's variance: what noise leaves uncertain counts as still, too
_CUT = 0.12  # mean difference of two frames that no longer show the same scene

Frame = NDArray[np.float32]


class Steady:
    """A recursive mean over time, as far as nothing moves.

    Each frame is restored by itself, so noise that differs from frame to frame is restored
    differently: still walls shimmer. Where the input changes by no more than its noise, the output
    is drawn to the one before: ``y[t] = r[t] + strength * stillness * (y[t-1] - r[t])``.
    ``stillness`` falls from 1 to 0 as the inputs' difference grows beyond the noise, and again as
    the drawn picture's local mean departs from the frame's own: it bounds what lags behind a slow
    fade. A cut starts anew, so nothing bleeds.

    Parameters
    ----------
    strength : float
        0 leaves frames alone; 0.8 averages over about five still frames.

    Raises
    ------
    ConfigError
        If the strength is none from 0 to 1.
    """

    def __init__(self, strength: float) -> None:
        if not 0 <= strength <= 1:
            raise ConfigError(f"steady is {strength:g}: accepted is 0 to 1")
        self.strength = strength
        self._before: tuple[Frame, Frame] | None = None

    def __call__(self, given: Frame, restored: Frame) -> Frame:
        """Take the next frame and its restoration; give the steadier one.

        Parameters
        ----------
        given, restored : array of float32, shape (height, width, 3)
            In [0, 1].
        """
        steady: Frame = restored
        if self._before is not None and self._before[0].shape == given.shape:
            # What the restoration left in is texture; what it took out may be its own gain.
            noise = min(_noise(given), _noise(given - restored))
            moved = _smooth(np.square(given - self._before[0]).mean(axis=-1, keepdims=True))
            moved = np.maximum(moved - _NOISE * noise, 0)
            if np.sqrt(moved).mean() < _CUT:
                back = self._before[1] - restored
                lag = np.square(_smooth(back)).mean(axis=-1, keepdims=True)
                still = np.exp(-(moved + lag) / (_STILL**2 + _SLACK * noise))
                steady = np.add(restored, self.strength * still * back, dtype=np.float32)
        self._before = given, steady
        return steady


def _noise(frame: Frame) -> float:
    """Estimate the variance of white noise by the median diagonal detail of green."""
    even = frame[: frame.shape[0] // 2 * 2, : frame.shape[1] // 2 * 2, 1]
    detail = even[::2, ::2] - even[1::2, ::2] - even[::2, 1::2] + even[1::2, 1::2]
    return float(np.median(np.abs(detail)) / 2 / 0.6745) ** 2 if detail.size else 0.0


def _smooth(values: Frame, radius: int = 3) -> Frame:
    """Average over squares, so that single noisy pixels do not count as movement."""
    size = 2 * radius + 1
    around = ((radius + 1, radius), (radius + 1, radius), (0, 0))
    total = np.pad(values.astype(np.float64), around, mode="edge")
    total[0], total[:, 0] = 0, 0
    total = total.cumsum(axis=0).cumsum(axis=1)
    sums = total[size:, size:] - total[:-size, size:] - total[size:, :-size] + total[:-size, :-size]
    return (sums / size**2).astype(np.float32)


def flicker(
    inputs: list[Frame],
    outputs: list[Frame],
    scene: list[Frame] | None = None,
    threshold: float = 0.02,
) -> float:
    """Measure what a restoration adds to what stands still.

    Parameters
    ----------
    inputs, outputs : list of arrays
        Frames before and after.
    scene : list of arrays, optional
        The frames without noise, which tell what stands still better than the inputs do.
    threshold : float
        Pixels that change less, in every channel, stand still.

    Returns
    -------
    float
        RMS of the outputs' changes from frame to frame there, over the same of the inputs: above
        1, restoring flickers more than the clip did.
    """
    before = after = 0.0
    scene = scene or inputs
    for i in range(1, len(inputs)):
        still = np.abs(scene[i] - scene[i - 1]).max(axis=-1) < threshold
        before += float(np.square(inputs[i] - inputs[i - 1])[still].sum())
        after += float(np.square(outputs[i] - outputs[i - 1])[still].sum())
    return float(np.sqrt(after / before)) if before else float("nan")
