"""Write the tables in docs/files.md that tests make: what is kept of a file.

Usage: python tools/write_fidelity.py
"""

from __future__ import annotations

import re
import runpy
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "files.md"
TABLES = {
    "clips": ("clip_fidelity.py", "table"),
    "pictures": ("picture_fidelity.py", "formats_table"),
    "contents": ("picture_fidelity.py", "contents_table"),
}
"""What makes each table: a file of the tests and its function, from a folder to lines."""


def place(page: str, name: str, lines: list[str]) -> str:
    """Put a table between its two marks."""
    marks = re.compile(rf"(<!-- fidelity: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    body = "\n".join(lines) + "\n"
    made, count = marks.subn(lambda found: found[1] + body + found[2], page)
    if count != 1:
        raise SystemExit(f"{PAGE} has {count} places for the table of {name}: one is wanted")
    return made


def main() -> None:
    page = PAGE.read_text("utf-8")
    for name, (file, function) in TABLES.items():
        made = runpy.run_path(str(ROOT / "tests" / file))
        with tempfile.TemporaryDirectory() as folder:
            page = place(page, name, made[function](Path(folder)))
    PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
