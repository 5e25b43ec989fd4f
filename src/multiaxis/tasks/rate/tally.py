"""What of the ratings cannot be used: counted by reason, with names, and never lost."""

from __future__ import annotations

from multiaxis.errors import counted

_NAMED = 3


class Tally:
    """Counts what is left out, by reason.

    Examples
    --------
    >>> tally = Tally()
    >>> tally.add("rating", "is no number", "a.jpg")
    >>> tally.sentences
    ('1 rating is no number: a.jpg',)
    """

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], list[str]] = {}

    def add(self, noun: str, why: str, name: object) -> None:
        """Count one more.

        Parameters
        ----------
        noun : str
            What it is, such as ``"rating"``.
        why : str
            In the singular: ``"is no number"``, ``"has no rating"``.
        name : object
            Which one.
        """
        self._names.setdefault((noun, why), []).append(str(name))

    def merge(self, other: Tally) -> None:
        """Add what another one counted."""
        for key, names in other._names.items():
            self._names.setdefault(key, []).extend(names)

    @property
    def counts(self) -> dict[str, int]:
        """How many there are for each reason."""
        return {why: len(names) for (_, why), names in self._names.items()}

    @property
    def sentences(self) -> tuple[str, ...]:
        """One for each reason, with the first names."""
        return tuple(_sentence(*key, names) for key, names in self._names.items())


def _sentence(noun: str, why: str, names: list[str]) -> str:
    said = _plural(why) if len(names) > 1 else why
    return f"{counted(len(names), noun)} {said}: {_first(names)}"


def _plural(why: str) -> str:
    verb, space, rest = why.partition(" ")
    return (
        {"is": "are", "has": "have", "names": "name", "lies": "lie"}.get(verb, verb) + space + rest
    )


def _first(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (
        f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    )
