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
from torch.utils.flop_counter import FlopCounterMode

CLASSES = 90


def ours(size: int, name: str = "maxvit_tiny_cascade") -> nn.Module:
    from multiaxis.tasks.detect.networks.store import create_network

    return create_network(name, classes=CLASSES, score=0.0, backbone={"image_size": size})


def ours_retinanet(size: int) -> nn.Module:
    return ours(size, "maxvit_tiny_retinanet")


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
    "MaxViT-T, RetinaNet": ours_retinanet,
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


def seconds(size: int, rounds: int, *, train: bool) -> dict[str, float]:
    torch.manual_seed(0)
    models = {name: build(size) for name, build in CONTENDERS.items()}
    best = dict.fromkeys(models, float("inf"))
    for index in range(rounds + 1):  # the first is for warming up
        for name, model in models.items():
            start = time.perf_counter()
            work(model, size, train=train)
            if index:
                best[name] = min(best[name], time.perf_counter() - start)
    return best


def multiply_adds(name: str, size: int) -> float:
    """Count those of matrix products and convolutions, in 10 ** 9."""
    counter = FlopCounterMode(display=False)
    model = CONTENDERS[name](size)
    with counter:
        work(model, size, train=False)
    return counter.get_total_flops() / 2e9


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
    print(f"{'':38} {'seconds':>8} {'MiB':>7} {'GMACs':>7} {'parameters, M':>14}")
    best = seconds(size, options.rounds, train=train)
    for name, value in best.items():
        count = sum(p.numel() for p in CONTENDERS[name](size).parameters()) / 1e6
        macs, memory = multiply_adds(name, size), peak(name, size, train=train)
        print(f"{name:38} {value:8.2f} {memory:7.0f} {macs:7.1f} {count:14.1f}")


if __name__ == "__main__":
    main()
