"""Against flicker: what stands still in the input stands still in the output."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_STILL = 6 / 255  # differences between frames that count as standing still: noise, compression
_CUT = 0.12  # mean difference of two frames that no longer show the same scene

Frame = NDArray[np.float32]


class Steady:
    """A recursive mean over time, as far as the input does not move.

    Each frame is restored by itself, so noise that differs from frame to frame is restored
    differently: still walls shimmer. Where the input hardly changes, the output is drawn to the one
    before: ``y[t] = r[t] + strength * stillness * (y[t-1] - r[t])`` with ``stillness`` falling from
    1 to 0 as the smoothed difference of the inputs grows. A cut starts anew, so nothing bleeds.

    Parameters
    ----------
    strength : float
        0 leaves frames alone; 0.8 averages over about five still frames.
    """

    def __init__(self, strength: float) -> None:
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
            difference = np.abs(given - self._before[0]).mean(axis=-1)
            if difference.mean() < _CUT:
                still = np.exp(-np.square(_smooth(difference) / _STILL))[..., None]
                weight = np.asarray(self.strength * still, np.float32)
                steady = np.add(restored, weight * (self._before[1] - restored), dtype=np.float32)
        self._before = given, steady
        return steady


def _smooth(values: Frame, radius: int = 3) -> Frame:
    """Average over squares, so that single noisy pixels do not count as movement."""
    size = 2 * radius + 1
    padded = np.pad(values.astype(np.float64), radius, mode="edge")
    total = np.pad(padded, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    sums = total[size:, size:] - total[:-size, size:] - total[size:, :-size] + total[:-size, :-size]
    return (sums / size**2).astype(np.float32)


def flicker(inputs: list[Frame], outputs: list[Frame], threshold: float = 0.02) -> float:
    """Measure what a restoration adds to what stands still.

    Returns
    -------
    float
        RMS of the outputs' changes from frame to frame where the inputs' stay below `threshold`,
        over the same of the inputs: above 1, restoring flickers more than the clip did.
    """
    before = after = 0.0
    for i in range(1, len(inputs)):
        change = np.abs(inputs[i] - inputs[i - 1]).max(axis=-1)
        still = change < threshold
        before += float(np.square(inputs[i] - inputs[i - 1])[still].sum())
        after += float(np.square(outputs[i] - outputs[i - 1])[still].sum())
    return float(np.sqrt(after / before)) if before else float("nan")
