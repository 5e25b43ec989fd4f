"""The table of docs/files.md about clips is what is measured, and nothing is lost in silence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("av")

import clip_fidelity as fidelity

PAGE = Path(__file__).parents[2] / "docs" / "files.md"


def stated() -> list[str]:
    page = PAGE.read_text("utf-8")
    found = re.search(r"<!-- fidelity: clips -->\n(.*?)<!-- end -->", page, re.DOTALL)
    assert found
    return found[1].splitlines()


@pytest.mark.thorough
@pytest.mark.parametrize("aspect", fidelity.ASPECTS)
def test_the_table_is_true(aspect: str, tmp_path: Path) -> None:
    cells = [fidelity.outcome(tmp_path, aspect, suffix) for suffix in fidelity.SUFFIXES]
    assert set(cells) <= {"kept", "named", "refused"}
    line = f"| {aspect} | {' | '.join(cells)} |"
    assert line in stated(), "run tools/write_fidelity.py"
