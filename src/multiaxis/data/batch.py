"""Batches: named fields of several samples, and which samples of a run they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multiaxis.errors import DataError, unknown


@dataclass(frozen=True)
class Sample:
    """One sample.

    Attributes
    ----------
    fields : mapping of str to Tensor
    number : int
        Which sample of the run it is.
    complaints : tuple of str
        Items that could not be read before one could, and why.
    """

    fields: Mapping[str, Tensor]
    number: int = 0
    complaints: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Tensor:
        """Give a field."""
        if name not in self.fields:
            raise unknown("field of a sample", name, self.fields)
        return self.fields[name]


@dataclass(frozen=True)
class Batch:
    """Several samples.

    Attributes
    ----------
    fields : mapping of str to Tensor or list of Tensor
        Stacked fields are tensors whose first axis is the sample; pictures are (samples, channels,
        height, width). Ragged fields, such as the boxes of a picture, are lists with a tensor for
        each sample. A field ``weight`` of shape (samples,) weighs the samples' losses.
    numbers : Tensor of int64, shape (samples,)
        The samples' numbers in the run. They depend on nothing but the position in the run, so what
        is random is seeded by them.
    complaints : tuple of str
        Items that could not be read, and why.
    """

    fields: Mapping[str, Tensor | list[Tensor]]
    numbers: Tensor
    complaints: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Any:
        """Give a field: a tensor, or a list of tensors where it is ragged."""
        if name not in self.fields:
            raise unknown("field of a batch", name, self.fields)
        return self.fields[name]

    def __len__(self) -> int:
        return len(self.numbers)

    def with_fields(self, **fields: Tensor | list[Tensor]) -> Batch:
        """Give a batch with some fields replaced or added."""
        return replace(self, fields={**self.fields, **fields})

    def to(self, device: torch.device | str) -> Batch:
        """Move all fields to a device; the numbers stay where they are."""

        def move(x: Tensor) -> Tensor:
            return x.to(device, non_blocking=True)

        moved = {
            name: [move(x) for x in value] if isinstance(value, list) else move(value)
            for name, value in self.fields.items()
        }
        return replace(self, fields=moved)

    def pin_memory(self) -> Batch:
        """Give a copy in memory that a GPU reads without waiting; loaders call it."""
        pinned = {
            name: [x.pin_memory() for x in value] if isinstance(value, list) else value.pin_memory()
            for name, value in self.fields.items()
        }
        return replace(self, fields=pinned)


def to_sample(
    arrays: Mapping[str, NDArray[Any]],
    number: int = 0,
    complaints: tuple[str, ...] = (),
    *,
    ragged: frozenset[str] = frozenset(),
) -> Sample:
    """Turn the arrays of a sample into tensors.

    Parameters
    ----------
    arrays : mapping of str to array
        Floats become float32. Arrays of three and more axes are pictures with channels last, which
        move to the front; ragged fields stay as they are.
    number : int
    complaints : tuple of str
    ragged : frozenset of str
        Names of the ragged fields.
    """
    fields = {name: _tensor(x, is_ragged=name in ragged) for name, x in arrays.items()}
    return Sample(fields, number, complaints)


def _tensor(array: NDArray[Any], *, is_ragged: bool) -> Tensor:
    if array.ndim > 2 and not is_ragged:
        array = np.moveaxis(array, -1, 0)
    kind = np.float32 if np.issubdtype(array.dtype, np.floating) else array.dtype
    return torch.as_tensor(np.ascontiguousarray(array, kind).reshape(array.shape))


def collate(samples: Sequence[Sample], ragged: frozenset[str] = frozenset()) -> Batch:
    """Put samples together: fields are stacked, ragged ones listed.

    Raises
    ------
    DataError
        If the samples differ in their fields, or in the shape of one that is not ragged.
    """
    fields: dict[str, Tensor | list[Tensor]] = {}
    for name in samples[0].fields:
        values = [sample[name] for sample in samples]
        if name in ragged:
            fields[name] = values
            continue
        shapes = {tuple(value.shape) for value in values}
        if len(shapes) > 1:
            raise DataError(
                f"the samples of a batch have {name} of the shapes {sorted(shapes)}: accepted is "
                "one shape, or a source that lists the field as ragged"
            )
        fields[name] = torch.stack(values)
    return Batch(
        fields,
        torch.tensor([sample.number for sample in samples]),
        tuple(complaint for sample in samples for complaint in sample.complaints),
    )
