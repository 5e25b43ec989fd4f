"""Restoring beside other programs: how much slower it gets, by how long idle threads spin.

    python benchmarks/busy.py [--rounds 2] [--spins default 0 1000 10000] [--side 192]

MAXIM S-1 runs in pieces, with random weights, in a process of its own for each cell, in turns:
alone, beside a process of low priority that never sleeps, and beside one of the usual priority.
`default` leaves OpenMP's GOMP_SPINCOUNT unset; the last row has one thread. Cells are microseconds
a pixel, medians of the passes of all rounds; ratios are to `default` alone.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

BESIDE = {"alone": None, "low priority": 19, "usual priority": 0}
PASSES = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--spins", nargs="+", default=["default", "0", "1000", "10000"])
    parser.add_argument("--side", type=int, default=192)
    parser.add_argument("--row", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        print(*run(options.side))
        return
    rows = [f"spin {spin}" for spin in options.spins] + ["one thread"]
    cells: dict[tuple[str, str], list[float]] = {(row, b): [] for row in rows for b in BESIDE}
    for _ in range(options.rounds):
        for row, beside in cells:
            cells[row, beside] += measure(row, beside, options.side)
    base = statistics.median(cells[rows[0], "alone"])
    print("| | " + " | ".join(BESIDE) + " |\n" + "| --- " * (len(BESIDE) + 1) + "|")
    for row in rows:
        found = [statistics.median(cells[row, beside]) for beside in BESIDE]
        print(f"| {row} | " + " | ".join(f"{x:.1f} ({x / base:.2f})" for x in found) + " |")


def measure(row: str, beside: str, side: int) -> list[float]:
    """Run a cell in a process of its own, with its competitor."""
    environment = {
        k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_NUM_THREADS")
    }
    if row == "one thread":
        environment["OMP_NUM_THREADS"] = "1"
    elif not row.endswith("default"):
        environment["GOMP_SPINCOUNT"] = row.split()[-1]
    niceness = BESIDE[beside]
    rival = None
    if niceness is not None:
        loop = f"import os; os.nice({niceness})\nwhile True: pass"
        rival = subprocess.Popen([sys.executable, "-c", loop])
    try:
        command = [sys.executable, __file__, "--row", "--side", str(side)]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        return [float(word) for word in done.stdout.split()]
    finally:
        if rival is not None:
            rival.kill()
            rival.wait()


def run(side: int) -> list[float]:
    """Restore a random picture a few times: microseconds a pixel of each pass."""
    import torch

    from multiaxis import create_model, streamed

    torch.manual_seed(0)
    restore = streamed(create_model("maxim_s1").eval())
    x = torch.rand(1, 3, side, side)
    found: list[float] = []
    for _ in range(PASSES + 1):
        start = time.perf_counter()
        restore(x)
        found.append((time.perf_counter() - start) / side**2 * 1e6)
    return found[1:]


if __name__ == "__main__":
    main()
