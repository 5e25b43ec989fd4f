"""Work beside other programs: how much slower it gets, by how long idle threads spin.

    python benchmarks/busy.py [--what restore] [--rounds 2] [--spins default 0 1000 10000]

restore: MAXIM S-1 in pieces, 192 x 192, microseconds a pixel. classify: a folded MaxViT-tiny, one
picture of 224, milliseconds. train: a step of MaxViT-pico, four pictures of 128, milliseconds. Each
with random weights, in a process of its own for each cell, in turns: alone, beside a process of low
priority that never sleeps, and beside one of the usual priority. `default` leaves OpenMP's
GOMP_SPINCOUNT unset; the last row has one thread. Cells are medians of the passes of all rounds;
ratios are to `default` alone.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

BESIDE = {"alone": None, "low priority": 19, "usual priority": 0}
PASSES = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--spins", nargs="+", default=["default", "0", "1000", "10000"])
    parser.add_argument("--what", choices=WORK, default="restore")
    parser.add_argument("--row", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        print(*run(options.what))
        return
    rows = [f"spin {spin}" for spin in options.spins] + ["one thread"]
    cells: dict[tuple[str, str], list[float]] = {(row, b): [] for row in rows for b in BESIDE}
    for _ in range(options.rounds):
        for row, beside in cells:
            cells[row, beside] += measure(row, beside, options.what)
    base = statistics.median(cells[rows[0], "alone"])
    print("| | " + " | ".join(BESIDE) + " |\n" + "| --- " * (len(BESIDE) + 1) + "|")
    for row in rows:
        found = [statistics.median(cells[row, beside]) for beside in BESIDE]
        print(f"| {row} | " + " | ".join(f"{x:.1f} ({x / base:.2f})" for x in found) + " |")


def measure(row: str, beside: str, what: str) -> list[float]:
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
        command = [sys.executable, __file__, "--row", "--what", what]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        return [float(word) for word in done.stdout.split()]
    finally:
        if rival is not None:
            rival.kill()
            rival.wait()


def run(what: str) -> list[float]:
    """Do the work a few times: what each pass takes, after one to warm up."""
    import torch

    torch.manual_seed(0)
    work, unit = WORK[what]()
    found: list[float] = []
    for _ in range(PASSES + 1):
        start = time.perf_counter()
        work()
        found.append((time.perf_counter() - start) / unit)
    return found[1:]


def restoring() -> tuple[Callable[[], object], float]:
    """Restore a random picture."""
    import torch

    from multiaxis import create_model, streamed

    restore, x = streamed(create_model("maxim_s1").eval()), torch.rand(1, 3, 192, 192)
    return lambda: restore(x), 1e-6 * 192**2


def classifying() -> tuple[Callable[[], object], float]:
    """Classify a random picture."""
    import torch

    from multiaxis import create_model
    from multiaxis.deploy import fold

    model, x = fold(create_model("maxvit_tiny")), torch.rand(1, 3, 224, 224)

    def work() -> None:
        with torch.inference_mode():
            model(x)

    return work, 1e-3


def training() -> tuple[Callable[[], object], float]:
    """Move a small model once."""
    import torch

    from multiaxis import create_model

    model, x = create_model("maxvit_pico", image_size=128), torch.rand(4, 3, 128, 128)
    optimiser = torch.optim.AdamW(model.parameters())

    def work() -> None:
        model(x).square().mean().backward()
        optimiser.step()
        optimiser.zero_grad()

    return work, 1e-3


WORK = {"restore": restoring, "classify": classifying, "train": training}

if __name__ == "__main__":
    main()
