"""Sample number n of a run is a function of the seed and n: nothing else needs to be kept."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from multiaxis.errors import DataError, MultiaxisError

_log = logging.getLogger(__name__)
_TRIES = 100  # unreadable pictures in a row before the data as a whole is given up


class Source(Protocol):
    """A set of samples that can be had in any order.

    `sample` gives two arrays: for restoration the input and its target, (height, width, 3) in
    [0, 1]; for classification a picture and its class, a whole number of shape ().

    Attributes
    ----------
    left_out : tuple of str
        What of the given folders is no item, in a sentence each.
    """

    left_out: tuple[str, ...]

    def __len__(self) -> int:
        """Count the items."""
        ...

    def sample(self, index: int, rng: np.random.Generator) -> tuple[NDArray[Any], NDArray[Any]]:
        """Make a sample of item `index`; whatever is random comes from `rng`.

        A `MultiaxisError` names the item, which cannot be used.
        """
        ...

    def name(self, index: int) -> str:
        """Say which item it is."""
        ...


@dataclass(frozen=True)
class Sample:
    """What a step is made of; also a whole batch of it.

    Attributes
    ----------
    input, target : Tensor
        Pictures are (..., 3, height, width); classes (...).
    complaints : tuple of str
        Items that could not be read, and why.
    """

    input: Tensor
    target: Tensor
    complaints: tuple[str, ...] = ()


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
                made, wanted = self.source.sample(index, rng)
            except MultiaxisError as error:
                complaints.append(str(error))
                continue
            return to_sample(made, wanted, tuple(complaints))
        raise DataError(
            f"{len(complaints)} items in a row cannot be read; the first: {complaints[0]}"
        )


def to_sample(made: NDArray[Any], wanted: NDArray[Any], complaints: tuple[str, ...] = ()) -> Sample:
    """Turn arrays, pictures with channels last, into a sample."""
    return Sample(_tensor(made), _tensor(wanted), complaints)


@functools.lru_cache(maxsize=4)
def _order(seed: int, turn: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, turn, count)).permutation(count)


def _tensor(array: NDArray[Any]) -> Tensor:
    if array.ndim < 3:
        return torch.as_tensor(array)
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1), np.float32))


def collate(samples: Sequence[Sample]) -> Sample:
    """Stack samples to a batch."""
    return Sample(
        torch.stack([s.input for s in samples]),
        torch.stack([s.target for s in samples]),
        tuple(complaint for s in samples for complaint in s.complaints),
    )
