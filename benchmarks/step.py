"""Seconds and memory of a training step and of a pass, beside timm's and torchvision's.

    python benchmarks/step.py [--variants pico tiny] [--rounds 10] [--compile] [--clock wall|cpu]

All contenders have the same widths, depths, heads and windows, and random weights. Each round times
each contender once, so that all of them see the same disturbances; the figure is the fastest round.
`--clock cpu` counts the processor's time of this process: for one thread on a machine that is not
idle. The last columns are ratios to timm's and torchvision's in the same run: below 1 is faster
than they are. Memory is what a step adds to the loaded model, in a process of its own (Linux only).
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from multiaxis import create_model
from multiaxis.models.maxvit import MaxViT, MaxViTConfig

CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}


def ours(variant: str, side: int) -> MaxViT:
    return cast(MaxViT, create_model(f"maxvit_{variant}", image_size=side))


def timms(config: MaxViTConfig, side: int) -> nn.Module:
    import timm

    return timm.create_model(
        "maxvit_tiny_tf_224",
        img_size=side,
        stem_width=config.stem_widths,
        embed_dim=config.widths,
        depths=config.depths,
        transformer_dim_head=config.head_dim,
        head_hidden_size=config.widths[-1],
    )


def torchvisions(config: MaxViTConfig, side: int) -> nn.Module:
    import torchvision

    return torchvision.models.MaxVit(
        input_size=(side, side),
        stem_channels=config.stem_widths[0],
        partition_size=side // 32,
        block_channels=list(config.widths),
        block_layers=list(config.depths),
        head_dim=config.head_dim,
        stochastic_depth_prob=0.0,
    )


def build(name: str, variant: str, side: int) -> nn.Module:
    model = ours(variant, side)
    if name == "ours":
        return model
    return (timms if name == "timm" else torchvisions)(model.config, side)


NAMES = ("timm", "torchvision", "ours")


def run(model: Callable[[Tensor], Tensor], x: Tensor, *, train: bool) -> None:
    if train:
        model(x).square().mean().backward()
    else:
        with torch.inference_mode():
            model(x)


def seconds(variant: str, options: argparse.Namespace, *, train: bool) -> dict[str, float]:
    torch.manual_seed(0)
    clock = CLOCKS[options.clock]
    models = {name: build(name, variant, options.side).train(train) for name in NAMES}
    calls = {n: torch.compile(m) if options.compile else m for n, m in models.items()}
    x = torch.randn(options.batch, 3, options.side, options.side)
    best = dict.fromkeys(NAMES, float("inf"))
    for index in range(options.rounds + 2):  # two for warming up
        for name, call in calls.items():
            models[name].zero_grad(set_to_none=True)
            start = clock()
            run(call, x, train=train)
            if index > 1:
                best[name] = min(best[name], clock() - start)
    torch.compiler.reset()
    return best


def _resident(key: str) -> float:
    """Read VmRSS or VmHWM (its peak) of this process in MiB; Linux only."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key))


def _peak(
    name: str, variant: str, options: argparse.Namespace, queue: multiprocessing.Queue[float]
) -> None:
    model = build(name, variant, options.side).train()
    x = torch.randn(options.batch, 3, options.side, options.side)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of loading
    before = _resident("VmRSS")
    run(model, x, train=True)
    queue.put(_resident("VmHWM") - before)


def peak(name: str, variant: str, options: argparse.Namespace) -> float:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_peak, args=(name, variant, options, queue))
    process.start()
    process.join()
    return queue.get()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variants", nargs="+", default=["pico", "tiny"])
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--modes", nargs="+", default=["train", "eval"])
    parser.add_argument("--no-memory", action="store_true")
    options = parser.parse_args()
    form = "compiled" if options.compile else "eager"
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, {options.clock} time, "
        f"batch {options.batch}, {options.side} x {options.side}, {form}"
    )
    print(f"{'variant':8} {'mode':6} {'model':12} {'ms':>8} {'/ timm':>7} {'/ tv':>7}")
    for variant in options.variants:
        for mode in options.modes:
            best = seconds(variant, options, train=mode == "train")
            for name, value in best.items():
                ratios = f"{value / best['timm']:7.2f} {value / best['torchvision']:7.2f}"
                print(f"{variant:8} {mode:6} {name:12} {1000 * value:8.1f} {ratios}", flush=True)
        if not options.no_memory:
            peaks = ", ".join(f"{name} {peak(name, variant, options):.0f}" for name in NAMES)
            print(f"{variant:8} memory of a training step, eager, MiB: {peaks}", flush=True)


if __name__ == "__main__":
    main()
