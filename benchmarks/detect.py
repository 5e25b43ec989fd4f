"""Seconds and memory of the paper's detector beside torchvision's Mask R-CNN, in one run.

Run it on an idle machine: python benchmarks/detect.py [--rounds N] [--size 896] [--train]
Ours is Cascade Mask R-CNN on MaxViT-tiny, whose windows are a thirty-second of the picture: 28
pixels at 896. torchvision's is Mask R-CNN on ResNet-50 with its pyramid. Both have random weights,
see the same picture at the same size, and keep as many proposals and results (1000 and 100): random
weights fill both. Every round times each once; the figure is the fastest round. Memory is what a
pass adds to the loaded model, in a process of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

CLASSES = 90


def ours(size: int) -> nn.Module:
    from multiaxis.tasks.detect.networks.store import create_network

    body = {"image_size": size}
    return create_network("maxvit_tiny_cascade", classes=CLASSES, score=0.0, backbone=body)


def torchvisions(size: int) -> nn.Module:
    from torchvision.models.detection import maskrcnn_resnet50_fpn

    return maskrcnn_resnet50_fpn(
        weights=None,
        weights_backbone=None,
        num_classes=CLASSES + 1,
        fixed_size=(size, size),
        box_score_thresh=0.0,
        rpn_pre_nms_top_n_test=1000,
    )


CONTENDERS: dict[str, Callable[[int], nn.Module]] = {
    "MaxViT-T, Cascade Mask R-CNN": ours,
    "ResNet-50, Mask R-CNN (torchvision)": torchvisions,
}


def targets(size: int) -> list[dict[str, torch.Tensor]]:
    corners = torch.arange(10)[:, None] * (size // 20)
    boxes = torch.cat((corners, corners, corners + size // 6, corners + size // 4), dim=1)
    masks = torch.zeros(10, size, size, dtype=torch.bool)
    for mask, (left, top, right, bottom) in zip(masks, boxes.tolist(), strict=True):
        mask[top:bottom, left:right] = True
    return [{"boxes": boxes.float(), "labels": torch.arange(1, 11), "masks": masks}]


def work(model: nn.Module, size: int, *, train: bool) -> None:
    picture = torch.rand(3, size, size, generator=torch.Generator().manual_seed(0))
    if train:
        losses = model.train()([picture], targets(size))
        sum(value.sum() for value in losses.values()).backward()
        model.zero_grad()
        return
    with torch.inference_mode():
        model.eval()([picture])


def measure(size: int, rounds: int, *, train: bool) -> dict[str, list[float]]:
    """Give the seconds, seconds of the processor, 10 ** 9 multiply-adds and 10 ** 6 parameters.

    Multiply-adds are those of finding, whatever is timed.
    """
    torch.manual_seed(0)
    models = {name: build(size) for name, build in CONTENDERS.items()}
    found: dict[str, list[float]] = {}
    for name, model in models.items():  # for warming up
        counter = FlopCounterMode(display=False)
        with counter, sdpa_kernel(SDPBackend.MATH):  # it does not count fused attention
            work(model, size, train=False)
        count = sum(p.numel() for p in model.parameters())
        found[name] = [float("inf")] * 2 + [counter.get_total_flops() / 2e9, count / 1e6]
    for _ in range(rounds):
        for name, model in models.items():
            clocks = (time.perf_counter, time.process_time)
            starts = [clock() for clock in clocks]
            work(model, size, train=train)
            for k, clock in enumerate(clocks):
                found[name][k] = min(found[name][k], clock() - starts[k])
    return found


def resident(key: str) -> float:
    """Read VmRSS or VmHWM (its peak) of this process in MiB; Linux only."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key))


def _peak(name: str, size: int, queue: Any, *, train: bool) -> None:
    torch.manual_seed(0)
    model = CONTENDERS[name](size)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of loading
    before = resident("VmRSS")
    work(model, size, train=train)
    queue.put(resident("VmHWM") - before)


def peak(name: str, size: int, *, train: bool) -> float:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_peak, args=(name, size, queue), kwargs={"train": train})
    process.start()
    process.join()
    return queue.get()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=896)
    parser.add_argument("--train", action="store_true", help="time a training step instead")
    options = parser.parse_args()
    size, train = options.size, options.train
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {size} x {size}")
    heads = ("seconds", "CPU s", "GMACs", "M param.", "MiB")
    print(f"{'':36}" + "".join(f"{head:>9}" for head in heads), flush=True)
    for name, row in measure(size, options.rounds, train=train).items():
        cells = (*row, peak(name, size, train=train))
        print(f"{name:36}" + "".join(f"{cell:9.1f}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
