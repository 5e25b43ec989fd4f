"""From words to files: folders and patterns become the files that they hold."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath

from multiaxis.batch.verb import Verb
from multiaxis.errors import ConfigError, ImageError, MissingExtraError
from multiaxis.files import remote
from multiaxis.files.address import Remote, Where, is_address, to_where
from multiaxis.files.listing import JUNK, OnError, list_files


@dataclass(frozen=True)
class Inputs:
    """What the words stand for.

    Attributes
    ----------
    paths : tuple of Path or Remote
        Each file once, in order.
    places : dict of Path or Remote to PurePath
        Where each lies in the folder that was named; only its own name for a file.
    refused : tuple of (Path or Remote, str)
        Words that stand for nothing, and why.
    others : tuple of Path or Remote
        Files in folders that the verb is not for.
    earlier : tuple of Path or Remote
        Outputs of an earlier run, left out.
    folders : tuple of Path
        Folders inside the given ones, left out.
    """

    paths: tuple[Where, ...]
    places: dict[Where, PurePath]
    refused: tuple[tuple[Where, str], ...]
    others: tuple[Where, ...]
    earlier: tuple[Where, ...]
    folders: tuple[Path, ...] = ()


def find_inputs(
    words: Sequence[str],
    verb: Verb,
    *,
    beside: str = "",
    recursive: bool = False,
    without: Where | None = None,
) -> Inputs:
    """Find the files that words stand for.

    Parameters
    ----------
    words : sequence of str
        Files, folders and shell patterns, here or at addresses.
    verb : Verb
        What is done with them: it decides which files of a folder count.
    beside : str
        What outputs beside their inputs have appended to their names; empty where outputs lie
        elsewhere.
    recursive : bool
        Whether folders inside folders count too.
    without : Path or Remote, optional
        A folder whose files are left out: the outputs', where it lies among the inputs.
    """
    paths: dict[Where, PurePath] = {}
    others: dict[Where, None] = {}
    earlier: dict[Where, None] = {}
    refused: list[tuple[Where, str]] = []
    folders: dict[Path, None] = {}

    def locked(error: OSError) -> None:
        said = f"cannot list {error.filename}: {error.strerror}; allow it, or leave it out"
        refused.append((Path(error.filename), said))

    for word in words:
        try:
            places, foreign = _places(word, verb, locked, recursive=recursive)
        except (ImageError, ConfigError, MissingExtraError) as error:
            refused.append((to_where(word), str(error)))
            continue
        except (OSError, ValueError) as error:  # ValueError: a null character in the name
            reason = getattr(error, "strerror", None) or str(error)
            refused.append((Path(word), f"cannot look up {word}: {reason}; check the name"))
            continue
        root = to_where(word)
        if isinstance(root, Path) and not recursive:
            folders.update(dict.fromkeys(_folders(root, without)))
        outputs = _outputs(list(places), _endings(verb, beside)) if root not in places else []
        earlier.update(dict.fromkeys(outputs))
        apart = without if without and not _is(root, without) else None
        others.update(dict.fromkeys(x for x in foreign if not (apart and _lies_in(x, apart))))
        for path, place in places.items():
            if path in earlier or (path != root and apart and _lies_in(path, apart)):
                continue
            paths.setdefault(path, place)
    return Inputs(
        tuple(paths), paths, tuple(refused), tuple(others), tuple(earlier), tuple(folders)
    )


def _folders(root: Path, without: Where | None) -> list[Path]:
    """List the folders inside one, but for hidden ones and that of the outputs."""
    if not root.is_dir():
        return []
    found = (path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    return sorted(path for path in found if not (without and _is(path, without)))


def _is(path: Where, other: Where) -> bool:
    if isinstance(path, Path) and isinstance(other, Path):
        return os.path.realpath(path) == os.path.realpath(other)
    return str(path).rstrip("/") == str(other).rstrip("/")


def _lies_in(path: Where, folder: Where) -> bool:
    if isinstance(path, Path) and isinstance(folder, Path):
        return os.path.realpath(path).startswith(os.path.realpath(folder) + os.sep)
    return str(path).startswith(str(folder).rstrip("/") + "/")


def _places(
    word: str, verb: Verb, locked: OnError, *, recursive: bool
) -> tuple[dict[Where, PurePath], list[Where]]:
    """Return the files that a word stands for with their places, and the other files."""
    if is_address(word):
        return _at_address(Remote(word), verb, recursive=recursive)
    root = Path(word)
    found, others = _expand(word, verb, locked, recursive=recursive)
    in_folder = root.is_dir()
    places: dict[Where, PurePath] = {
        path: path.relative_to(root) if in_folder and path != root else Path(path.name)
        for path in found
    }
    return places, list(others)


def _at_address(
    root: Remote, verb: Verb, *, recursive: bool
) -> tuple[dict[Where, PurePath], list[Where]]:
    kind = remote.find_kind(root)
    if kind == "file":
        return {root: PurePath(root.name)}, []
    if kind == "directory":
        names = [
            name
            for name, kind in remote.list_folder(root, recursive=recursive).items()
            # Hidden ones are left out, and with them keys with "..", which would leave the output.
            if kind == "file" and not any(part.startswith(".") for part in name.parts)
        ]
        readable = [name for name in names if _counts(name, verb)]
        others = sorted(name for name in names if not _counts(name, verb))
        places: dict[Where, PurePath] = {root / name: name for name in sorted(readable)}
    elif remote.is_pattern(root):
        others = list[PurePosixPath]()
        places = {path: PurePath(path.name) for path in remote.match(root)}
    else:
        raise ImageError(f"{root} does not exist: check the address")
    if not places:
        hint = "; add --recursive for folders inside it" if kind and not recursive else ""
        raise ImageError(f"{root} holds no {_wanted(verb)}{hint}")
    kept = [name for name in others if name.name.lower() not in JUNK]
    return places, [root / name for name in kept]


def _expand(
    word: str, verb: Verb, locked: OnError, *, recursive: bool
) -> tuple[list[Path], list[Path]]:
    """Return the files that a word stands for, and those beside them of other kinds."""
    if not word:
        raise ImageError("an input is empty: name a file, a folder or a pattern")
    path = Path(word)
    found, others = [path], list[Path]()
    if path.is_dir():
        files = list_files(path, None, recursive=recursive, on_error=locked)
        found = [path for path in files if _counts(path, verb)]
        others = [path for path in files if not _counts(path, verb)]
    elif not path.exists() and glob.has_magic(word):
        matches = map(Path, glob.iglob(word, recursive=True))  # noqa: PTH207 (absolute too)
        found = sorted(match for match in matches if match.is_file())
    if not found:
        hint = "" if recursive or not path.is_dir() else "; add --recursive for folders inside it"
        raise ImageError(f"{path} holds no {_wanted(verb)}{hint}")
    return found, others


def _counts(path: PurePath, verb: Verb) -> bool:
    return verb.suffixes is None or path.suffix.lower() in verb.suffixes


def _wanted(verb: Verb) -> str:
    wording = verb.wording
    nouns = dict.fromkeys([wording.noun, *wording.nouns.values()])
    return f"{' or '.join(f'{noun}s' for noun in nouns)} to {wording.verb} ({wording.accepts})"


def _endings(verb: Verb, beside: str) -> tuple[str, ...]:
    """List how the stems of outputs and of what is written with them end."""
    if not beside:
        return ()
    names = [name for name in verb.more_names(f"{beside}.png") if not Path(name).is_absolute()]
    return (beside, *(PurePath(name).stem for name in names))


def _outputs(paths: list[Where], endings: tuple[str, ...]) -> list[Where]:
    """Pick out what an earlier run wrote beside its input."""
    present = {(path.parent, path.stem) for path in paths}

    def is_output(path: Where) -> bool:
        return any(
            path.stem.endswith(ending) and (path.parent, path.stem.removesuffix(ending)) in present
            for ending in endings
        )

    return [path for path in paths if is_output(path)]
