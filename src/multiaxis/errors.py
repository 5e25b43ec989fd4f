"""The one family of exceptions.

MultiaxisError
├── ShapeError (ValueError)          an array or tensor of the wrong rank, size, dtype or range
├── ConfigError (ValueError)         an unknown name, field or option, or a value that cannot work
├── ImageError                       a picture that cannot be read, or cannot be written
├── WeightsError                     a checkpoint that is unreadable, or does not fit the model
│   └── WeightsUnavailableError      no source has the checkpoint
├── DataError                        training data that cannot be used
├── TrainingError                    a training that cannot go on
├── ExportError                      a model cannot be exported, or its file computes something else
└── MissingExtraError (ImportError)  a feature whose optional package is not installed

Every message says what was received, what is accepted and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MultiaxisError(Exception):
    """Base of every error that the package raises on purpose."""


class ShapeError(MultiaxisError, ValueError):
    """An array or tensor has the wrong rank, size, dtype or range."""


class ConfigError(MultiaxisError, ValueError):
    """A name, field or option is unknown, or its value cannot work."""


class ImageError(MultiaxisError):
    """A picture cannot be read or written."""


class WeightsError(MultiaxisError):
    """A checkpoint is unreadable, or does not fit the model."""


class WeightsUnavailableError(WeightsError):
    """None of the sources of a checkpoint answered."""


class DataError(MultiaxisError):
    """Training data is missing, or cannot be used."""


class TrainingError(MultiaxisError):
    """A training cannot be begun, gone on with, or saved."""


class ExportError(MultiaxisError):
    """A model cannot be exported, or its file computes something else."""


class MissingExtraError(MultiaxisError, ImportError):
    """An optional package is needed and not installed."""


def explain(error: Exception) -> str:
    """Say what went wrong: our own messages as they are, any other with its kind."""
    if isinstance(error, MultiaxisError):
        return str(error)
    if isinstance(error, MemoryError):
        return "there is not enough memory for it; close other programs, or do less at once"
    return f"unexpected {type(error).__name__}: {error}"


def unknown(kind: str, name: object, known: Iterable[str]) -> ConfigError:
    """Build the error for an unknown name, with the nearest known ones.

    Parameters
    ----------
    kind : str
        What the name should have been, such as ``"task"``.
    name : object
        What was received; a string if all is well.
    known : iterable of str
        The accepted names.
    """
    names = list(known)
    close = difflib.get_close_matches(str(name), names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    return ConfigError(f"unknown {kind} {name!r}: {hint}known are {', '.join(names)}")


def counted(number: int, noun: str) -> str:
    """Write a number of things, such as ``"1 file"`` or ``"2 files"``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def say_why(where: object, error: Exception) -> str:
    """Say what went wrong with a file, by its name."""
    reason = explain(error)
    return reason if str(where) in reason else f"{where}: {reason}"
