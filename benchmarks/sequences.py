"""Time and peak memory of causal attention: a whole pass, a prompt, single tokens.

    python benchmarks/sequences.py [OLDER_causal.py]

With the file of an older state, each row measures both in turns. Milliseconds of processor time,
the least of three; memory is the growth of the process's peak, each in a process of its own.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from multiaxis.axis import causal

CHANNELS, HEAD, REACH = 512, 32, 46


def main(older: str | None) -> None:
    files = [*([older] if older else []), str(causal.__file__)]
    print(f"{CHANNELS} channels, reach {REACH}; {' | '.join(Path(file).name for file in files)}")
    tokens = torch.rand(1, 1024, CHANNELS)
    for stride in (1, REACH):
        layers = [build(file, stride) for file in files]
        for name, run in (("whole", whole), ("prompt", prompt), ("steps", steps), ("train", train)):
            best = [float("inf")] * len(layers)
            for _ in range(3):
                for k, layer in enumerate(layers):
                    start = time.process_time()
                    run(layer, tokens)
                    best[k] = min(best[k], time.process_time() - start)
            print(f"| {name}, 1 x 1024, stride {stride} |", *(f"{1e3 * s:.0f} ms |" for s in best))
    for stride in (1, REACH):
        for name in ("whole", "prompt", "train"):
            sizes = [memory(file, name, stride) for file in files]
            print(f"| {name}, 8 x 2048, stride {stride} |", *(f"{size} MiB |" for size in sizes))


def build(file: str, stride: int) -> nn.Module:
    name = f"causal_{abs(hash(file))}"
    module = ModuleType(name)
    sys.modules[name] = module  # dataclasses look there
    SourceFileLoader(name, file).exec_module(module)
    torch.manual_seed(0)
    return module.CausalAttention(CHANNELS, HEAD, REACH, stride=stride)


@torch.no_grad()
def whole(layer: nn.Module, x: Tensor) -> None:
    layer(x)


@torch.no_grad()
def prompt(layer: nn.Module, x: Tensor) -> None:
    layer.step(x)


@torch.no_grad()
def steps(layer: nn.Module, x: Tensor) -> None:
    state = None
    for token in x.split(1, dim=1):
        _, state = layer.step(token, state)


def train(layer: nn.Module, x: Tensor) -> None:
    layer(x).sum().backward()


RUNS: dict[str, Callable[[nn.Module, Tensor], None]] = {
    "whole": whole,
    "prompt": prompt,
    "train": train,
}


def memory(file: str, name: str, stride: int) -> int:
    command = [sys.executable, __file__, file, name, str(stride)]
    return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def measure(file: str, name: str, stride: int) -> None:
    layer, x = build(file, stride), torch.rand(8, 2048, CHANNELS)
    RUNS[name](layer, x[:1, :64])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    RUNS[name](layer, x)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        measure(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    else:
        main(sys.argv[1] if len(sys.argv) > 1 else None)
