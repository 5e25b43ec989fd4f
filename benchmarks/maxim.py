"""Time MAXIM: seconds, multiply-adds, share of the matrix-multiply rate, memory.

    python benchmarks/maxim.py [--variants maxim_s2 ...] [--sizes 256 ...] [--threads 2]

Each row is a process of its own, which measures the dense float32 matrix product, the model in
pieces (what restoring uses) with bfloat16 and with float32 maps, the plain model where it fits and
the slow reference of the tests one after the other, so that their ratios hold on a noisy machine.
"Share" is of the matrix product's rate, with the plain model's multiply-adds. Memory is the peak
beside the loaded process; "process" is the peak of the whole process. Weights are random: time does
not depend on them. `--json FILE` appends the rows to a file for benchmarks/plot_speed.py.
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
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
HEAD = (
    "| variant | size | GMAC | matmul GMAC/s | bfloat16 us/pixel | B/pixel | process GB "
    "| pieces us/pixel | share | B/pixel | process GB | plain us/pixel | share | B/pixel "
    "| plain / pieces | float32 / bfloat16 | reference / plain |"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", nargs="+", default=["maxim_s2", "maxim_s3"])
    parser.add_argument("--sizes", nargs="+", default=["256", "512", "1024"], help="N or WxH")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-reference", action="store_true", help="leave the reference out")
    parser.add_argument("--json", type=Path, help="file to append the rows to")
    parser.add_argument("--row", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        name, size = options.row
        row = measure(name, size, options.threads, with_reference=not options.no_reference)
        print(json.dumps(row))
        return
    print(HEAD)
    print("|" + " --- |" * HEAD.count("| "))
    for name in options.variants:
        for size in options.sizes:
            command = [sys.executable, __file__, "--row", name, size]
            command += ["--threads", str(options.threads)]
            command += ["--no-reference"] if options.no_reference else []
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            print(markdown(json.loads(done.stdout)), flush=True)
            if options.json:
                with options.json.open("a") as file:
                    file.write(done.stdout)


def measure(name: str, size: str, threads: int, *, with_reference: bool) -> dict[str, Any]:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from multiaxis import create_model, streamed
    from multiaxis.memory import free_memory
    from multiaxis.models.maxim.plan import plain_memory

    width, height = (int(side) for side in (size.split("x") * 2)[:2])
    pixels = width * height
    torch.set_num_threads(threads)
    model = create_model(name)
    pieces, narrow = streamed(model), streamed(model, dtype=torch.bfloat16)
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        create_model(name)(torch.rand(1, 3, height, width))  # counts without computing
    found: dict[str, Any] = {"name": name, "size": size, "pixels": pixels}
    found["macs"] = counter.get_total_flops() / 2
    with torch.inference_mode():
        for run in (model, pieces, narrow):
            run(torch.rand(1, 3, 64, 64))  # the first call of a process is slower
        matrix = torch.rand(2048, 2048)
        base = peak()
        x = torch.rand(1, 3, height, width)
        repeats = 3 if pixels <= 1 << 18 else 1
        product = best(lambda: matrix @ matrix, 5)
        runs: dict[str, Callable[..., object]] = {"narrow": narrow, "pieces": pieces}
        if plain_memory(model.config, pixels, 4) < (free_memory() or 0):
            runs["plain"] = model
        for kind, run in runs.items():  # from the smallest peak to the largest
            seconds = best(lambda run=run: run(x), repeats)
            found[kind] = {"seconds": seconds, "memory": peak() - base, "process": peak()}
        if with_reference:
            found["reference"] = best(reference_call(model, x), 1 if pixels > 1 << 16 else 2)
        product = min(product, best(lambda: matrix @ matrix, 5))
    return {**found, "product": 2048**3 / product}


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


def markdown(row: dict[str, Any]) -> str:
    pixels = row["pixels"]

    def cost(kind: str) -> str:
        return f"{row[kind]['seconds'] / pixels * 1e6:.1f}" if kind in row else "-"

    def share(kind: str) -> str:
        done = row["macs"] / row["product"]
        return f"{done / row[kind]['seconds']:.0%}" if kind in row else "-"

    def memory(kind: str) -> str:
        return f"{row[kind]['memory'] / pixels:.0f}" if kind in row else "-"

    def ratio(slow: str, fast: str) -> str:
        return f"{row[slow]['seconds'] / row[fast]['seconds']:.2f}" if slow in row else "-"

    cells = [
        row["name"],
        row["size"],
        f"{row['macs'] / 1e9:.1f}",
        f"{row['product'] / 1e9:.0f}",
        *(cost("narrow"), memory("narrow"), f"{row['narrow']['process'] / 1e9:.2f}"),
        *(cost("pieces"), share("pieces"), memory("pieces")),
        f"{row['pieces']['process'] / 1e9:.2f}",
        *(cost("plain"), share("plain"), memory("plain")),
        *(ratio("plain", "pieces"), ratio("pieces", "narrow")),
        f"{row['reference'] / row['plain']['seconds']:.2f}" if "reference" in row else "-",
    ]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
