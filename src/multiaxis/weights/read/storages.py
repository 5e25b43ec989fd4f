"""Tensors as PyTorch's pickles state them, laid over the bytes of their storages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from multiaxis.files.bounds import check_array, quoted, unpacked_limit
from multiaxis.weights.read.pickles import Call, Name, Reference

# By the name of the storage class; all that ever held parameters.
_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "UntypedStorage": torch.uint8,
}
_WRAPPED = "torch.nn.parameter.Parameter"
_PARAMETERS = ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")
_SUBCLASS = "torch._tensor._rebuild_from_type_v2"
_TENSORS = tuple(f"torch._utils._rebuild_tensor{suffix}" for suffix in ("", "_v2", "_v3"))


def is_tensor(value: object) -> bool:
    """Whether a value of a pickle is a tensor, or a parameter."""
    return _unwrapped(value) is not None


def dtype_of(reference: object) -> tuple[torch.dtype, str, int]:
    """Read what a pickle says of a storage: the type, the key and the number of its elements.

    Raises
    ------
    ValueError
        If it is no storage, or one of a type that is not read.
    """
    stated = reference.identity if isinstance(reference, Reference) else None
    if not isinstance(stated, tuple) or len(stated) < 5 or stated[0] != "storage":
        raise ValueError("a tensor has no storage")
    kind, key, count = stated[1], stated[2], stated[4]
    dtype = _DTYPES.get(kind.path.rpartition(".")[2]) if isinstance(kind, Name) else None
    if dtype is None or not isinstance(key, str) or type(count) is not int or count < 0:
        raise ValueError(f"a storage is {quoted(stated)}")
    if len(stated) > 5 and stated[5] is not None:
        raise ValueError("a storage is a part of another one, as only very old files have it")
    return dtype, key, count


class Tensors:
    """Makes tensors of what a pickle says, and counts what they take together.

    Parameters
    ----------
    storage : callable
        Gives the bytes of a storage by its key.
    size : int
        Of the file, in bytes.
    """

    def __init__(self, storage: Callable[[str], memoryview], size: int) -> None:
        self._storage, self._left = storage, unpacked_limit(size)
        self._flat: dict[tuple[str, torch.dtype], Tensor] = {}

    def make(self, name: str, value: object) -> Tensor:
        """Make the tensor of a value for which `is_tensor` holds.

        Raises
        ------
        ValueError
            If it does not fit its storage, or the bytes that are left for all.
        """
        parts = _unwrapped(value)
        if parts is None:
            raise ValueError(f"{quoted(name)} is no tensor")
        reference, offset, size, stride, *rest = parts
        dtype, key, count = dtype_of(reference)
        if len(rest) > 2 and isinstance(rest[2], Name):  # of _v3, whose storages are bare bytes
            dtype, count, rest = _named(rest[2]), count // _named(rest[2]).itemsize, rest[:2]
        if len(rest) > 2 and rest[2]:
            raise ValueError(f"{quoted(name)} is marked as negated or conjugated")
        size, stride = _numbers(name, size), _numbers(name, stride)
        if len(size) != len(stride):
            raise ValueError(f"{quoted(name)} has {len(size)} axes and {len(stride)} strides")
        (offset,) = _numbers(name, (offset,))
        self._left -= check_array(name, size, dtype.itemsize, self._left)
        steps = sum((side - 1) * step for side, step in zip(size, stride, strict=True))
        if offset > count or (0 not in size and offset + steps >= count):
            raise ValueError(f"{quoted(name)} of the shape {quoted(size)} leaves its storage")
        flat = self._elements(key, dtype, count)
        if 0 in size:
            return flat.new_empty(size)
        return torch.as_strided(flat, size, stride, offset)

    def _elements(self, key: str, dtype: torch.dtype, count: int) -> Tensor:
        if (key, dtype) not in self._flat:
            data = self._storage(key)
            if len(data) < count * dtype.itemsize:
                raise ValueError(f"the storage {quoted(key)} has {len(data)} bytes")
            self._flat[key, dtype] = _laid_over(data, dtype, count)
        return self._flat[key, dtype]


def _laid_over(data: memoryview, dtype: torch.dtype, count: int) -> Tensor:
    if not count:
        return torch.empty(0, dtype=dtype)
    flat = torch.frombuffer(data, dtype=dtype, count=count)
    if flat.data_ptr() % dtype.itemsize:  # kernels take numbers to be where processors like them
        flat = torch.frombuffer(bytearray(data), dtype=dtype, count=count)
    return flat


def _unwrapped(value: object) -> tuple[Any, ...] | None:
    while isinstance(value, Call) and isinstance(value.function, Name):
        name = value.function.path
        arguments = value.arguments if isinstance(value.arguments, tuple) else ()
        if len(arguments) < 1:
            return None
        if name in _TENSORS and len(arguments) >= 4:
            return arguments
        if name == _SUBCLASS and len(arguments) > 2:
            value = Call(arguments[0], arguments[2])
        elif name in (_WRAPPED, *_PARAMETERS):
            value = arguments[0]
        else:
            return None
    return None


def _numbers(name: str, values: object) -> tuple[int, ...]:
    if isinstance(values, Call) and values.function == Name("torch.Size"):
        inner = values.arguments
        values = next(iter(inner), None) if isinstance(inner, tuple) else None
    if not isinstance(values, tuple | list):
        raise ValueError(f"{quoted(name)} has the shape {quoted(values)}")
    check_array(name, values, 0, 0)
    return tuple(values)


def _named(name: Name) -> torch.dtype:
    found = getattr(torch, name.path.removeprefix("torch."), None)
    if not isinstance(found, torch.dtype):
        raise ValueError(f"a tensor is of the type {quoted(name.path)}")
    return found
