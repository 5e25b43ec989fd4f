"""Names and colours of classes. No tensors here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from multiaxis.errors import ConfigError

Colour = tuple[int, int, int]
_COLOUR = re.compile(r"(?P<name>.*\S)\s+#(?P<hex>[0-9a-fA-F]{6})")


@dataclass(frozen=True)
class Classes:
    """What a pixel may be, in the order of its numbers.

    Attributes
    ----------
    names : tuple of str
    colours : tuple of (red, green, blue), 0 to 255
        One for each name.

    Raises
    ------
    ConfigError
        If there is no class, a name comes twice, or colours are missing.
    """

    names: tuple[str, ...]
    colours: tuple[Colour, ...]

    def __post_init__(self) -> None:
        colours = tuple((int(c[0]), int(c[1]), int(c[2])) for c in self.colours)
        object.__setattr__(self, "names", tuple(self.names))  # lists, where they come from JSON
        object.__setattr__(self, "colours", colours)
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if not self.names or "" in self.names or twice:
            what = f"{twice[0]!r} twice" if twice else "no name" if "" in self.names else "none"
            raise ConfigError(f"the classes hold {what}: give each a name of its own")
        if len(colours) != len(self.names) or not all(0 <= v <= 255 for c in colours for v in c):
            raise ConfigError(
                f"{len(self.names)} classes have the colours {colours[:3]}...: accepted is one for "
                "each, of three numbers from 0 to 255"
            )

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Numbers:
    """What the numbers of label files mean.

    Attributes
    ----------
    values : tuple of int
        Of each class, in the order of the classes.
    ignore : tuple of int
        Of pixels that do not count, as far as they are no class's.

    Raises
    ------
    ConfigError
        If two classes have one number.
    """

    values: tuple[int, ...]
    ignore: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))  # lists, where they come from JSON
        object.__setattr__(self, "ignore", tuple(self.ignore))
        if len(set(self.values)) != len(self.values):
            raise ConfigError(f"classes have the numbers {self.values}: give each its own")


def palette(count: int) -> tuple[Colour, ...]:
    """Give the colours that PASCAL VOC's label pictures have, and many others since.

    The bits of a class's number are dealt out to red, green and blue, the lowest first, from the
    highest bit of each downwards.

    Examples
    --------
    >>> palette(3)
    ((0, 0, 0), (128, 0, 0), (0, 128, 0))
    """
    found: list[Colour] = []
    for number in range(count):
        parts = [0, 0, 0]
        for place in range(8):
            for channel in range(3):
                bit = number >> (3 * place + channel) & 1
                parts[channel] |= bit << (7 - place)
        found.append((parts[0], parts[1], parts[2]))
    return tuple(found)


def named(names: Sequence[str]) -> Classes:
    """Give classes the usual colours."""
    return Classes(tuple(names), palette(len(names)))


def read_classes(text: str) -> Classes:
    """Read what a user names classes with.

    Parameters
    ----------
    text : str
        Names with commas between, or a text file with one a line. Each may have a colour, where
        labels show colours or the usual ones are not wanted: ``road #804080``.

    Raises
    ------
    ConfigError
        If there are none, the file cannot be read, or a colour stands for some classes only.

    Examples
    --------
    >>> read_classes("sky, road").names
    ('sky', 'road')
    >>> read_classes("sky #87ceeb, road #804080").colours
    ((135, 206, 235), (128, 64, 128))
    """
    path = Path(text).expanduser()
    is_file = "," not in text and (path.suffix.lower() == ".txt" or path.is_file())
    rows = [row.strip() for row in (_lines(path) if is_file else text.split(","))]
    rows = [row for row in rows if row] if is_file or not text.strip() else rows
    found = [_COLOUR.fullmatch(row) for row in rows]
    if not any(found):
        return named(rows)
    missing = next((row for row, match in zip(rows, found, strict=True) if not match), None)
    if missing is not None:
        raise ConfigError(
            f"some classes have a colour, and {missing!r} has none: accepted is one such as "
            "'road #804080' for each, or names alone"
        )
    matches = [match for match in found if match]
    colours = [_rgb(match["hex"]) for match in matches]
    return Classes(tuple(match["name"] for match in matches), tuple(colours))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise ConfigError(f"cannot read the classes in {path}: {why}") from error


def _rgb(text: str) -> Colour:
    red, green, blue = bytes.fromhex(text)
    return red, green, blue
