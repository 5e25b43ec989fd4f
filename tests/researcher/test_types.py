"""Wrong names, fields and methods are red in an editor: pyright reads a file of uses."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from multiaxis.models.maxim.config import MaximConfig
from multiaxis.models.maxim.fields import MaximFields
from multiaxis.models.maxvit.config import _CHOICES, MaxViTConfig
from multiaxis.models.maxvit.fields import MaxViTFields

ROOT = Path(__file__).resolve().parents[2]
USES = Path(__file__).with_name("typed_uses.py")


SEQUENCE = "collections.abc.Sequence[int]"  # what may be given where a tuple is kept


@pytest.mark.parametrize(
    ("config", "options"), [(MaximConfig, MaximFields), (MaxViTConfig, MaxViTFields)]
)
def test_keyword_arguments_are_the_fields(config: type, options: type) -> None:
    theirs, ours = get_type_hints(options), get_type_hints(config)
    assert list(theirs) == [field.name for field in fields(config)]
    given = {name: str(kind).replace(SEQUENCE, "tuple[int, ...]") for name, kind in theirs.items()}
    assert given == {name: str(kind) for name, kind in ours.items()}


def test_literals_are_what_is_accepted() -> None:
    kinds = get_type_hints(MaxViTConfig)
    for name, choices in _CHOICES.items():
        words = {word for word in choices if word is not None}
        assert words == set(get_args(kinds[name])) or words == set(
            get_args(get_args(kinds[name])[0])
        ), name


@pytest.mark.slow
def test_pyright_marks_wrong_uses_and_no_right_ones(tmp_path: Path) -> None:
    """`make test` reads the file as it is; here each excuse is taken away, and must be missed."""
    text = USES.read_text()
    bare = "\n".join(line.partition("  # pyright: ignore")[0] for line in text.split("\n"))
    (tmp_path / "bare.py").write_text(bare)
    excused = {k for k, line in enumerate(text.split("\n")) if "# pyright: ignore" in line}
    assert len(excused) > 20
    settings = {"venvPath": str(ROOT), "venv": ".venv", "extraPaths": [str(ROOT / "src")]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    pyright = Path(sys.executable).with_name("pyright")
    done = subprocess.run(
        [pyright, "--outputjson", "-p", tmp_path], capture_output=True, check=False, text=True
    )
    found = json.loads(done.stdout)["generalDiagnostics"]
    assert {row["range"]["start"]["line"] for row in found} == excused
