"""Time MAXIM: seconds, multiply-adds, share of the matrix-multiply rate, memory.

    python benchmarks/maxim.py [--variants maxim_s2 ...] [--sizes 256 ...] [--threads 2]

Each row is a process of its own, which measures the dense float32 matrix product, the model in
pieces (what restoring uses), the plain model and the slow reference of the tests one after the
other, so that their ratios hold on a noisy machine. "Share" is of the matrix product's rate, with
the plain model's multiply-adds. Memory is the peak beside the loaded process. Weights are random:
time does not depend on them.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEAD = (
    "| variant | size | GMAC | matmul GMAC/s | pieces s | us/pixel | share | B/pixel "
    "| plain s | us/pixel | share | B/pixel | plain / pieces | reference / plain |"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", nargs="+", default=["maxim_s2", "maxim_s3"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[256, 512, 1024])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-reference", action="store_true", help="leave the reference out")
    parser.add_argument("--row", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        name, size = options.row
        row = measure(name, int(size), options.threads, with_reference=not options.no_reference)
        print(json.dumps(row))
        return
    print(HEAD)
    print("|" + " --- |" * HEAD.count("| "))
    for name in options.variants:
        for size in options.sizes:
            command = [sys.executable, __file__, "--row", name, str(size)]
            command += ["--threads", str(options.threads)]
            command += ["--no-reference"] if options.no_reference else []
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            print(markdown(json.loads(done.stdout)), flush=True)


def measure(name: str, size: int, threads: int, *, with_reference: bool) -> dict[str, object]:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from multiaxis import create_model, streamed

    torch.set_num_threads(threads)
    model = create_model(name)
    pieces = streamed(model)
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        create_model(name)(torch.rand(1, 3, size, size))  # counts without computing
    macs = counter.get_total_flops() / 2
    with torch.inference_mode():
        for run in (model, pieces):
            run(torch.rand(1, 3, 64, 64))  # the first call of a process is slower
        matrix = torch.rand(2048, 2048)
        base = peak()
        x = torch.rand(1, 3, size, size)
        repeats = 3 if size <= 512 else 1
        product = best(lambda: matrix @ matrix, 5)
        in_pieces = best(lambda: pieces(x), repeats)
        memory_in_pieces = peak() - base
        seconds = best(lambda: model(x), repeats)
        memory = peak() - base
        reference = None
        if with_reference:
            reference = best(reference_call(model, x), 1 if size > 256 else 2)
        product = min(product, best(lambda: matrix @ matrix, 5))
    return {
        "name": name,
        "size": size,
        "pieces": in_pieces,
        "memory_in_pieces": memory_in_pieces,
        "seconds": seconds,
        "macs": macs,
        "product": 2048**3 / product,
        "memory": memory,
        "reference": reference,
    }


def reference_call(model: object, x: object) -> Callable[[], object]:
    sys.path.insert(0, str(ROOT / "tests"))
    from maxim_reference import maxim
    from small_maxim import to_authors

    arrays, config, image = to_authors(model), asdict(model.config), x.permute(0, 2, 3, 1)
    return lambda: maxim(arrays, config, image)


def best(run: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def peak() -> float:
    """Peak resident memory of this process in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def markdown(row: dict[str, float]) -> str:
    pixels, reference = row["size"] ** 2, row["reference"]

    def form(seconds: float, memory: float) -> list[str]:
        share = row["macs"] / seconds / row["product"]
        return [
            f"{seconds:.2f}",
            f"{seconds / pixels * 1e6:.1f}",
            f"{share:.0%}",
            f"{memory / pixels:.0f}",
        ]

    cells = [
        row["name"],
        f"{row['size']} x {row['size']}",
        f"{row['macs'] / 1e9:.1f}",
        f"{row['product'] / 1e9:.0f}",
        *form(row["pieces"], row["memory_in_pieces"]),
        *form(row["seconds"], row["memory"]),
        f"{row['seconds'] / row['pieces']:.2f}",
        f"{reference / row['seconds']:.2f}" if reference else "-",
    ]
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


if __name__ == "__main__":
    main()
