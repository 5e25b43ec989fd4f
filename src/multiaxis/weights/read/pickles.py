"""Pickles as PyTorch writes them, read as data: nothing is imported, and nothing is called.

What a pickle would call stays a `Call`; who knows the function may make something of it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from multiaxis.files.bounds import quoted

_LONGEST_NAME = 200  # characters of a module and what is in it
_MARK = object()

# Functions and types beside tensors, as torch.load accepts them without asking. None runs here.
_KNOWN = re.compile(
    r"torch\.(\w+Storage|float\w+|bfloat16|half|double|u?int\d+|bool|complex\d+|q\w+|bits\w+)"
    r"|torch\.(Size|Tensor|device|per_\w+|nn\.parameter\.Parameter|serialization\._get_layout)"
    r"|torch\.cuda\.\w+Storage|torch\.storage\.(Untyped|Typed)Storage"
    r"|torch\._utils\._rebuild_\w+|torch\._tensor\._rebuild_from_type_v2"
    r"|collections\.(OrderedDict|Counter)|_codecs\.encode|argparse\.Namespace"
    r"|(builtins|__builtin__)\.(bytearray|set|complex)"
)
_DICTS = ("collections.OrderedDict", "collections.Counter")


class ForbiddenError(Exception):
    """A pickle asks for something that could run code.

    Parameters
    ----------
    name : str
        What it asks for.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True)
class Name:
    """Something that a pickle names, such as ``torch.FloatStorage``; it is not looked up."""

    path: str


@dataclass(frozen=True, eq=False)
class Call:
    """What a pickle would call, with what; it is not called."""

    function: object
    arguments: object


@dataclass(frozen=True, eq=False)
class Reference:
    """Something outside the pickle, such as a storage."""

    identity: object


def read_pickle(
    data: memoryview, at: int = 0, references: list[Reference] | None = None
) -> tuple[Any, int]:
    """Read a pickle of protocol 2, as `torch.save` writes it.

    Parameters
    ----------
    data : memoryview
    at : int
        Where the pickle begins.
    references : list, optional
        Receives what the pickle refers to.

    Returns
    -------
    value : object
        Plain values, `Name`, `Call` and `Reference`.
    end : int
        Where the pickle ends.

    Raises
    ------
    ForbiddenError
        If it names anything but tensors and what comes with them.
    ValueError, LookupError, TypeError, AttributeError
        If it is damaged, or written in a way that `torch.save` does not use.
    """
    machine = _Machine(data, at)
    while not machine.ended:
        code = machine.take(1)[0]
        step = _STEPS.get(code)
        if step is None:
            raise ValueError(f"its pickle has the instruction {code}, which torch.save lacks")
        step(machine)
    if references is not None:
        references += machine.references
    return machine.stack.pop(), machine.at


class _Machine:
    """The state of reading: what was made, where the marks are, what is remembered."""

    def __init__(self, data: memoryview, at: int) -> None:
        self.data, self.at, self.ended = data, at, False
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.references: list[Reference] = []
        self.copied = 0

    def take(self, size: int) -> memoryview:
        if self.at + size > len(self.data):
            raise ValueError("its pickle is cut short")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, layout: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def line(self) -> str:
        head = bytes(self.data[self.at : self.at + _LONGEST_NAME])
        size = head.index(b"\n")
        self.at += size + 1
        return head[:size].decode()

    def since_mark(self) -> list[Any]:
        parts: list[Any] = []
        while (part := self.stack.pop()) is not _MARK:
            parts.append(part)
        return parts[::-1]

    def name(self) -> None:
        path = f"{self.line()}.{self.line()}"
        if not _KNOWN.fullmatch(path):
            raise ForbiddenError(path.removeprefix("builtins."))
        self.stack.append(Name(path))

    def call(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if isinstance(function, Name) and function.path in _DICTS:
            self.stack.append({})
            if arguments:
                self.fill(_pairs(arguments[0]))
        else:
            self.stack.append(Call(function, arguments))

    def fill(self, pairs: list[Any]) -> None:
        """Put keys and values, one after the other, into the dict on top."""
        self.copied += len(pairs)
        if self.copied > len(self.data):  # the same list again and again
            raise ValueError("its pickle repeats itself")
        into = self.stack[-1]
        if not isinstance(into, dict):
            raise TypeError("its pickle fills what is no dict")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            # Deep tuples would take for ever to be hashed; no parameter is called so.
            into[key if _is_scalar(key) else _Key(key)] = value

    def extend(self, parts: list[Any]) -> None:
        into = self.stack[-1]
        if isinstance(into, list):
            into.extend(parts)
        elif not isinstance(into, Call):  # a set
            raise TypeError("its pickle extends what is no list")

    def remember(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    def recall(self, place: int) -> None:
        self.stack.append(self.memo[place])

    def refer(self) -> None:
        self.references.append(Reference(self.stack.pop()))
        self.stack.append(self.references[-1])

    def stop(self) -> None:
        self.ended = True


@dataclass(frozen=True, eq=False)
class _Key:
    """A key of a kind that parameters do not have."""

    value: object


def _pairs(rows: object) -> list[Any]:
    if isinstance(rows, dict):
        return [part for row in rows.items() for part in row]
    if not isinstance(rows, list):
        raise TypeError(f"its pickle makes a dict of {quoted(rows)}")
    return [part for key, value in rows for part in (key, value)]


def _is_scalar(key: object) -> bool:
    return key is None or isinstance(key, str | int | float | bytes)


def _push(make: Callable[[_Machine], Any]) -> Callable[[_Machine], None]:
    return lambda machine: machine.stack.append(make(machine))


def _last(machine: _Machine, count: int) -> tuple[Any, ...]:
    return tuple(machine.stack.pop() for _ in range(count))[::-1]


def _integer(machine: _Machine) -> int:
    return int.from_bytes(machine.take(machine.number("B")), "little", signed=True)


def _text(machine: _Machine) -> str:
    return str(machine.take(machine.number("<I")), "utf-8")


def _skip_protocol(machine: _Machine) -> None:
    machine.take(1)


def _drop_state(machine: _Machine) -> None:
    machine.stack.pop()  # attributes, such as the version of a state dict
    if machine.stack[-1] is _MARK:
        raise ValueError("its pickle sets attributes of nothing")


# Instructions by their names in Python's `pickletools`.
_STEPS: dict[int, Callable[[_Machine], None]] = {
    0x80: _skip_protocol,
    ord("."): _Machine.stop,
    ord("("): _push(lambda _: _MARK),
    ord("N"): _push(lambda _: None),
    0x88: _push(lambda _: True),  # NEWTRUE
    0x89: _push(lambda _: False),  # NEWFALSE
    ord("J"): _push(lambda m: m.number("<i")),  # BININT
    ord("K"): _push(lambda m: m.number("B")),  # BININT1
    ord("M"): _push(lambda m: m.number("<H")),  # BININT2
    0x8A: _push(_integer),  # LONG1
    ord("G"): _push(lambda m: m.number(">d")),  # BINFLOAT
    ord("X"): _push(_text),  # BINUNICODE
    ord("U"): _push(lambda m: bytes(m.take(m.number("B")))),  # SHORT_BINSTRING
    ord(")"): _push(lambda _: ()),
    ord("t"): _push(lambda m: tuple(m.since_mark())),
    0x85: _push(lambda m: _last(m, 1)),  # TUPLE1
    0x86: _push(lambda m: _last(m, 2)),
    0x87: _push(lambda m: _last(m, 3)),
    ord("]"): _push(lambda _: []),
    ord("}"): _push(lambda _: {}),
    0x8F: _push(lambda _: Call(Name("builtins.set"), ())),  # EMPTY_SET
    ord("a"): lambda m: m.extend([m.stack.pop()]),  # APPEND
    ord("e"): lambda m: m.extend(m.since_mark()),  # APPENDS
    ord("s"): lambda m: m.fill(list(_last(m, 2))),  # SETITEM
    ord("u"): lambda m: m.fill(m.since_mark()),  # SETITEMS
    ord("q"): lambda m: m.remember(m.number("B")),  # BINPUT
    ord("r"): lambda m: m.remember(m.number("<I")),  # LONG_BINPUT
    ord("h"): lambda m: m.recall(m.number("B")),  # BINGET
    ord("j"): lambda m: m.recall(m.number("<I")),  # LONG_BINGET
    ord("c"): _Machine.name,  # GLOBAL
    ord("R"): _Machine.call,  # REDUCE
    0x81: _Machine.call,  # NEWOBJ
    ord("b"): _drop_state,  # BUILD
    ord("Q"): _Machine.refer,  # BINPERSID
}
