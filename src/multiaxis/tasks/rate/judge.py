"""A rater as a value that picks the best of several pictures, for other uses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class RatedBy:
    """Judges pictures as the rater in a file does.

    Attributes
    ----------
    weights : str
        A file that ``multiaxis rate learn`` or a training wrote.
    """

    weights: str

    def open(self) -> Callable[[NDArray[np.uint8]], float]:
        """Load the rater.

        Raises
        ------
        WeightsError
            If it cannot be read, or is of no rater.
        """
        from multiaxis.tasks.rate.rater import Rater

        rater = Rater(self.weights)

        def judge(picture: NDArray[np.uint8]) -> float:
            return rater.rate_pixels(picture).score

        return judge
