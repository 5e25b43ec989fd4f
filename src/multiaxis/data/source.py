"""What training asks of data: the protocols of a value, an opened source and a stream.

No tensors here: recipes hold data as values, and are listed and changed without torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import ConfigError

if TYPE_CHECKING:
    from multiaxis.data.batch import Batch

Arrays = Mapping[str, NDArray[Any]]
"""A sample as arrays by name; pictures are (height, width, channels)."""


class Source(Protocol):
    """A set of samples that can be had in any order.

    Attributes
    ----------
    left_out : tuple of str
        What of the given folders is no item, in a sentence each.
    ragged : frozenset of str
        Fields that differ in shape from sample to sample, and are never stacked.
    is_fixed : bool
        Whether an item always gives the same sample, so that it is scored once at most.
    """

    left_out: tuple[str, ...] = ()
    ragged: frozenset[str] = frozenset()
    is_fixed: bool = False

    def __len__(self) -> int:
        """Count the items."""
        ...

    def sample(self, index: int, rng: np.random.Generator) -> Arrays:
        """Make a sample of item `index`; whatever is random comes from `rng`.

        A `MultiaxisError` names the item, which cannot be used.
        """
        ...

    def name(self, index: int) -> str:
        """Say which item it is."""
        ...


@dataclass(frozen=True)
class Reader:
    """One of those that read a stream side by side, each a part of it.

    Attributes
    ----------
    process, processes : int
        Of the training.
    worker, workers : int
        Of the process.
    """

    process: int = 0
    processes: int = 1
    worker: int = 0
    workers: int = 1

    @property
    def number(self) -> int:
        """Its place among all readers."""
        return self.process * self.workers + self.worker

    @property
    def count(self) -> int:
        """How many readers there are."""
        return self.processes * self.workers


@runtime_checkable
class Stream(Protocol):
    """Batches that come in a row, such as those out of tar files."""

    def batches(self, seed: int, batch: int, reader: Reader, *, first: int) -> Iterator[Batch]:
        """Give the batches of a reader from its `first` on, for ever.

        Parameters
        ----------
        seed : int
            Of order and randomness.
        batch : int
            Samples of a batch.
        reader : Reader
        first : int
            How many batches the reader has given before.
        """
        ...


class Data(Protocol):
    """What a recipe trains on: a frozen dataclass of plain fields.

    Words change the fields by their types. A field whose text has a form of its own says so in its
    metadata: ``parse`` reads it, ``format`` writes it.

    Attributes
    ----------
    fields : tuple of str
        What the batches hold; empty where the value does not know.
    is_stream : bool
        Whether it opens as a `Stream`, which is divided among processes and their workers.
    """

    fields: ClassVar[tuple[str, ...]] = ()
    is_stream: ClassVar[bool] = False

    def open(self) -> Source | Stream:
        """Find the items."""
        ...

    def in_shards(self, config: Mapping[str, Any]) -> Data:
        """Give the same samples out of shards, whose names are yet to be set.

        Parameters
        ----------
        config : mapping
            The model's, as in the recipe.

        Raises
        ------
        ConfigError
            If there are no shards of them.
        """
        del config
        if self.is_stream:
            return self
        raise ConfigError(f"there are no shards of {type(self).__name__}: give it folders")

    def held_out(self) -> Data:
        """Give data to score on, of the same kind, whose place is yet to be set.

        Raises
        ------
        ConfigError
            If the recipe has to name it.
        """
        raise ConfigError(f"what {type(self).__name__} is scored on can only be set in a recipe")

    def made_up(self, config: Mapping[str, Any]) -> Data:
        """Give made-up data of the same shapes, for a rehearsal; by default the data itself.

        Parameters
        ----------
        config : mapping
            The model's, as in the recipe.
        """
        del config
        return self
