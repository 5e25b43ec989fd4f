"""Sample number n of a run is a function of the seed and n: nothing else needs to be kept."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from multiaxis.data.batch import Sample, to_sample
from multiaxis.data.source import Source
from multiaxis.errors import DataError, MultiaxisError

_TRIES = 100  # unreadable pictures in a row before the data as a whole is given up


class NumberedSamples(Dataset[Sample]):
    """A source as an endless row of samples: each pass in an order of its own.

    Parameters
    ----------
    source : Source
    seed : int
        Of order and randomness.
    """

    def __init__(self, source: Source, seed: int) -> None:
        if not len(source):
            raise DataError("the data holds no sample: name a folder with pictures")
        self.source, self.seed = source, seed

    def __getitem__(self, number: int) -> Sample:
        """Make sample `number`; where its item cannot be read, the next readable one's."""
        complaints: list[str] = []
        for again in range(min(_TRIES, len(self.source))):
            turn, place = divmod(number + again, len(self.source))
            index = int(_order(self.seed, turn, len(self.source))[place])
            rng = np.random.default_rng((self.seed, number, again))
            try:
                arrays = self.source.sample(index, rng)
            except MultiaxisError as error:
                complaints.append(str(error))
                continue
            return to_sample(arrays, number, tuple(complaints), ragged=self.source.ragged)
        raise DataError(
            f"{len(complaints)} items in a row cannot be read; the first: {complaints[0]}"
        )


@functools.lru_cache(maxsize=4)
def _order(seed: int, turn: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, turn, count)).permutation(count)
