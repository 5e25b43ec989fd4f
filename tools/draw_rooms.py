"""Draw the rooms of the package as floors: each imports those below it, never above.

The floors are read from the import contract in pyproject.toml, so the picture cannot differ from
what the tests hold.

    python tools/draw_rooms.py docs/rooms.png
"""

from __future__ import annotations

import argparse
import ast
import tomllib
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.patches import FancyBboxPatch

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "multiaxis"
COLOURS = {
    "cli": "#d9e6f7",
    "tasks": "#f7e3c9",
    "train | batch | deploy": "#dff0d8",
    "models": "#f5d7dc",
    "axis": "#f5d7dc",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    output = parser.parse_args().output
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (contract,) = (c for c in contracts["contracts"] if c.get("containers") == ["multiaxis"])
    floors = contract["layers"]
    mpl.rcParams["font.family"] = "DejaVu Sans"
    figure, axes = plt.subplots(figsize=(10, 0.62 * len(floors) + 0.4))
    for row, floor in enumerate(reversed(floors)):
        rooms = [room.strip() for room in floor.split("|")]
        width = 10 / len(rooms)
        for column, room in enumerate(rooms):
            box = FancyBboxPatch(
                (column * width + 0.05, row + 0.06),
                width - 0.1,
                0.86,
                boxstyle="round,pad=0,rounding_size=0.08",
                facecolor=COLOURS.get(floor, "#f3f3f3"),
                edgecolor="#555555",
            )
            axes.add_patch(box)
            middle = column * width + width / 2
            axes.text(middle, row + 0.62, room, ha="center", va="center", weight="bold", size=11)
            axes.text(middle, row + 0.27, summary(room, width), ha="center", va="center", size=7.5)
    axes.set_xlim(0, 10)
    axes.set_ylim(0, len(floors))
    axes.axis("off")
    figure.savefig(output, dpi=130, bbox_inches="tight", pad_inches=0.05)


def summary(room: str, width: float) -> str:
    """Give the first sentence of a room's docstring, cut to what fits into its box."""
    path = PACKAGE / room / "__init__.py"
    path = path if path.exists() else PACKAGE / f"{room}.py"
    text = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n")[0].rstrip(".")
    most = int(width * 12.5)
    return text if len(text) <= most else text[: most - 3].rsplit(" ", 1)[0] + " ..."


if __name__ == "__main__":
    main()
