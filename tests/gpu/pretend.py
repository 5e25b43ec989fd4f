"""A GPU that is not there: tensors on it have shapes and no numbers, and what moves is noted.

PyTorch's fake tensors know their device. So a whole path runs as on a GPU, a mixture of devices is
an error as there, and what goes to the device, comes back, or waits for it can be counted.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten
_COPIES = (aten._to_copy.default, aten.copy_.default)
_WAITS = (aten._local_scalar_dense.default, aten.equal.default)


@dataclass
class Moves:
    """What moved between the processor and a device.

    Attributes
    ----------
    there, back : list of tuple of int
        Shapes of what went to the device, and of what came back.
    waits : int
        Times that a number of a tensor was asked for.
    """

    there: list[tuple[int, ...]] = field(default_factory=list[tuple[int, ...]])
    back: list[tuple[int, ...]] = field(default_factory=list[tuple[int, ...]])
    waits: int = 0

    def note(self, source: Tensor, target: Any) -> None:
        if source.device.type != torch.device(target).type:
            (self.back if target == "cpu" else self.there).append(tuple(source.shape))

    def large(self, which: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """Leave out numbers and single rows of them, such as indices."""
        return [shape for shape in which if len(shape) > 1]


class Counting(TorchDispatchMode):
    """Notes what moves, on a device that is there."""

    def __init__(self) -> None:
        super().__init__()
        self.moves = Moves()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if _is_composed(func):  # in inference mode, composed operations come here whole
            with self:
                if (made := func.decompose(*args, **kwargs)) is not NotImplemented:
                    return made
        self.note(func, args, kwargs)
        return self.run(func, args, kwargs)

    def run(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        return func(*args, **kwargs)

    def note(self, func: Any, args: Any, kwargs: dict[str, Any]) -> None:
        if func == aten._to_copy.default and kwargs.get("device") is not None:
            self.moves.note(args[0], torch.device(kwargs["device"]).type)
        elif func == aten.copy_.default:
            self.moves.note(args[1], args[0].device.type)
        elif func in _WAITS and args[0].device.type != "cpu":
            self.moves.waits += 1


class _Pretending(Counting):
    """The same where it is not: what lies on the GPU is fake, the processor's tensors are real."""

    def __init__(self, fake: FakeTensorMode) -> None:
        super().__init__()
        self.fake = fake

    def run(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        device = torch.device(kwargs.get("device") or "cpu").type
        is_there = any(isinstance(x, FakeTensor) for x in tree_leaves((args, kwargs)))
        if func in _WAITS and is_there:
            return True  # finite, and whatever else is asked
        if func == aten._to_copy.default and is_there and kwargs.get("device") and device == "cpu":
            with unset_fake_temporarily():
                return torch.full(args[0].shape, 0.5).to(kwargs.get("dtype") or args[0].dtype)
        if is_there or device != "cpu":
            return func(*args, **kwargs)
        with unset_fake_temporarily():
            return func(*args, **kwargs)


def _is_composed(func: Any) -> bool:
    name = func.name()
    if name.startswith("prim::"):
        return False
    return torch._C._dispatch_has_kernel_for_dispatch_key(name, "CompositeImplicitAutograd")


class _Fake(FakeTensorMode):
    avoid_device_init = True  # no driver is asked, although a GPU is said to be there


@contextmanager
def pretended(patch: pytest.MonkeyPatch) -> Generator[Moves]:
    """Make ``cuda`` a device on which everything can be computed, and nothing is."""

    def move(module: nn.Module, *args: Any, **kwargs: Any) -> nn.Module:
        for part in module.modules():
            for names in (part._parameters, part._buffers):
                for name, x in names.items():
                    if x is not None:
                        moved = x.detach().to(*args, **kwargs)
                        names[name] = nn.Parameter(moved) if isinstance(x, nn.Parameter) else moved
        return module

    patch.setattr(nn.Module, "to", move)
    patch.setattr(torch.cuda, "is_available", lambda: True)
    patch.setattr(torch.cuda, "device_count", lambda: 1)
    patch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    patch.setattr(torch.cuda, "get_device_capability", lambda *_: (9, 0))
    patch.setattr(torch.cuda, "mem_get_info", lambda *_: (80 << 30, 80 << 30))
    patch.setattr(torch.cuda, "memory_reserved", lambda *_: 0)
    patch.setattr(torch.cuda, "memory_allocated", lambda *_: 0)
    patch.setattr(torch.cuda, "empty_cache", lambda: None)
    patch.setattr(torch.cuda, "current_device", lambda: 0)
    patch.setattr("torch._subclasses.fake_tensor.init_gpu_context", lambda *_: None)
    fake = _Fake(allow_non_fake_inputs=True)
    with fake, _Pretending(fake) as counting:
        yield counting.moves
