"""The tables of docs/files.md say what is measured; tools/write_fidelity.py writes them."""

from __future__ import annotations

import re
from pathlib import Path

import picture_fidelity
import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs/files.md"


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "measure"),
    [("pictures", picture_fidelity.formats_table), ("contents", picture_fidelity.contents_table)],
)
def test_the_document_says_what_is_measured(name, measure, tmp_path):
    text = DOCS.read_text(encoding="utf-8")
    found = re.search(rf"(?s)<!-- fidelity: {name} -->\n(.*?)\n<!-- end -->", text)
    assert found, "a marker is gone"
    measured = "\n".join(measure(tmp_path))
    assert found[1] == measured, "run tools/write_fidelity.py and look at the difference"
    assert not re.search("SILENCE|CHANGED", measured)
