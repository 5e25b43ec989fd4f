"""Seconds and memory of MaxViT-tiny, plain and folded, beside timm's and torchvision's.

Run it on an idle machine: python benchmarks/maxvit.py [--rounds N] [--dtypes float32 bfloat16]
Every round times each contender once, so that all of them see the same disturbances; the figure is
the fastest round. The last columns are ratios to timm's and torchvision's in the same run: below 1
is faster than they are.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

SIZE = 224


def timm_tiny() -> nn.Module:
    import timm

    return timm.create_model("maxvit_tiny_tf_224")


def torchvision_tiny() -> nn.Module:
    import torchvision

    return torchvision.models.maxvit_t()


def plain() -> nn.Module:
    from multiaxis import create_model

    return create_model("maxvit_tiny")


def folded() -> nn.Module:
    from multiaxis.deploy import fold

    return fold(plain())


CONTENDERS: dict[str, Callable[[], nn.Module]] = {
    "timm": timm_tiny,
    "timm channels_last": lambda: timm_tiny().to(memory_format=torch.channels_last),
    "torchvision": torchvision_tiny,
    "ours": plain,
    "ours folded": folded,
}


def run(model: nn.Module, x: torch.Tensor, dtype: torch.dtype) -> None:
    with torch.inference_mode(), torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        model(x)


def seconds(rounds: int, batch: int, dtype: torch.dtype) -> dict[str, float]:
    torch.manual_seed(0)
    models = {name: build().eval() for name, build in CONTENDERS.items()}
    inputs = dict.fromkeys(models, torch.randn(batch, 3, SIZE, SIZE))
    last = inputs["timm"].contiguous(memory_format=torch.channels_last)
    inputs["timm channels_last"] = last
    best = dict.fromkeys(models, float("inf"))
    for index in range(rounds + 1):  # the first is for warming up
        for name, model in models.items():
            start = time.perf_counter()
            run(model, inputs[name], dtype)
            if index:
                best[name] = min(best[name], time.perf_counter() - start)
    return best


def _resident(key: str) -> float:
    """Read VmRSS or VmHWM (its peak) of this process in MiB; Linux only."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key))


def _peak(name: str, batch: int, queue: multiprocessing.Queue[float]) -> None:
    """Mebibytes that a pass adds to the loaded model, in a process of its own."""
    model, x = CONTENDERS[name]().eval(), torch.randn(batch, 3, SIZE, SIZE)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of loading
    before = _resident("VmRSS")
    run(model, x, torch.float32)
    queue.put(_resident("VmHWM") - before)


def peak(name: str, batch: int) -> float:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_peak, args=(name, batch, queue))
    process.start()
    process.join()
    return queue.get()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--memory-only", action="store_true")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    options = parser.parse_args()
    rounds = options.rounds
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {SIZE} x {SIZE}")
    print(f"{'dtype':9} {'batch':>5}  {'model':20} {'s / image':>9} {'/ timm':>7} {'/ tv':>7}")
    dtypes = [] if options.memory_only else options.dtypes
    for dtype in (getattr(torch, name) for name in dtypes):
        for batch in (1, 8):
            best = seconds(rounds, batch, dtype)
            timm_best = min(best["timm"], best["timm channels_last"])
            for name, value in best.items():
                ratios = f"{value / timm_best:7.2f} {value / best['torchvision']:7.2f}"
                print(f"{str(dtype)[6:]:9} {batch:5}  {name:20} {value / batch:9.4f} {ratios}")
    for batch in (1, 8):
        peaks = ", ".join(f"{name} {peak(name, batch):.0f}" for name in CONTENDERS)
        print(f"peak memory over the loaded model, float32, batch {batch}, MiB: {peaks}")


if __name__ == "__main__":
    main()
