"""Compare how MaxViTs learn in a short training on small pictures, from random parameters.

    python benchmarks/small_data.py FOLDER [STEPS] [SEEDS]

The folder holds ``train_0.npz``, ``train_1.npz`` and ``test.npz`` of 32 x 32 pictures as JPEG bytes
(``jpeg``, ``offsets``, ``labels``). Every model has pico's widths, takes pictures doubled to 64 x
64, and sees the same batches. Writes one line of JSON for each model and seed.
"""

from __future__ import annotations

import io
import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from PIL import Image
from torch import Tensor, nn

from multiaxis import create_model
from multiaxis.models.maxvit.config import SMALL_DATA

BATCH = 16
TESTED = 1000  # pictures, 100 of each class
WIDTHS, DEPTHS = (16, 32, 64, 128), (1, 1, 2, 1)


def read(file: Path) -> tuple[Tensor, Tensor]:
    with np.load(file) as arrays:
        data, ends = arrays["jpeg"].tobytes(), arrays["offsets"].tolist()
        labels = torch.from_numpy(arrays["labels"].astype(np.int64))
    pictures = [
        np.asarray(Image.open(io.BytesIO(data[start:end])))
        for start, end in itertools.pairwise(ends)
    ]
    x = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return x, labels


def ours(**config: Any) -> nn.Module:
    # Tables for the windows of 2 x 2, as the others have them.
    return create_model("maxvit_pico", num_classes=10, image_size=64, scale_ratio=1, **config)


def timms() -> nn.Module:
    import timm

    return timm.create_model(
        "maxvit_tiny_tf_224",
        num_classes=10,
        img_size=64,
        embed_dim=WIDTHS,
        depths=DEPTHS,
        stem_width=16,
        transformer_dim_head=16,
        head_hidden_size=WIDTHS[-1],
    )


def torchvisions() -> nn.Module:
    from torchvision.models import MaxVit

    return MaxVit(
        input_size=(64, 64),
        stem_channels=16,
        block_channels=list(WIDTHS),
        block_layers=list(DEPTHS),
        head_dim=16,
        stochastic_depth_prob=0.0,
        partition_size=2,
        num_classes=10,
    )


MODELS = {
    "ours, the authors' start, momentum 0.01": ours,
    "ours, the authors' start, momentum 0.1": lambda: ours(bn_momentum=0.1),
    "ours, SMALL_DATA": lambda: ours(**SMALL_DATA),
    "timm": timms,
    "torchvision": torchvisions,
}


def learn(model: nn.Module, data: tuple[Tensor, Tensor], steps: int, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-3, total_steps=steps)
    model.train()
    for _ in range(steps):
        chosen = torch.randint(len(data[0]), (BATCH,), generator=random)
        x = F.interpolate(data[0][chosen], scale_factor=2, mode="bilinear")
        F.cross_entropy(model(x), data[1][chosen]).backward()
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()


@torch.no_grad()
def accuracy(model: nn.Module, data: tuple[Tensor, Tensor]) -> float:
    model.eval()
    right = 0
    for x, labels in zip(data[0].split(100), data[1].split(100), strict=True):
        logits = model(F.interpolate(x, scale_factor=2, mode="bilinear"))
        right += int((logits.argmax(1) == labels).sum())
    return right / len(data[0])


def main() -> None:
    folder = Path(sys.argv[1])
    steps, seeds = (int(word) for word in (*sys.argv[2:], "200", "3")[:2])
    parts = [read(folder / name) for name in ("train_0.npz", "train_1.npz")]
    train = torch.cat([x for x, _ in parts]), torch.cat([labels for _, labels in parts])
    test = tuple(part[:TESTED] for part in read(folder / "test.npz"))
    for seed in range(seeds):
        for name, build in MODELS.items():
            torch.manual_seed(seed)
            model, start = build(), time.process_time()
            learn(model, train, steps, seed)
            row = {"model": name, "seed": seed, "steps": steps, "accuracy": accuracy(model, test)}
            print(
                json.dumps({**row, "cpu_seconds": round(time.process_time() - start)}), flush=True
            )


if __name__ == "__main__":
    main()
