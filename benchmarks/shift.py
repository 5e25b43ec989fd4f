"""Measure how far one more column, or one pixel of shift, moves MaxViT's pooled features.

    python benchmarks/shift.py PHOTOGRAPH

Random weights of `maxvit_tiny`; three crops of the photograph, whose shorter side becomes 340.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from multiaxis import create_model

CORNERS = ((20, 20), (60, 50), (90, 100))
SIDE = 224


def change(before: Tensor, after: Tensor) -> float:
    return ((before - after).norm() / before.norm()).item()


@torch.no_grad()
def measure(x: Tensor, start: str, policy: str) -> list[tuple[float, float]]:
    torch.manual_seed(0)
    model = create_model("maxvit_tiny", num_classes=0, start=start, window_policy=policy).eval()
    rows: list[tuple[float, float]] = []
    for top, left in CORNERS:
        crops = [
            x[:, :, top : top + SIDE, left + shift : left + SIDE + more]
            for shift, more in ((0, 0), (0, 1), (1, 1))
        ]
        plain, wider, shifted = (model(crop) for crop in crops)
        rows.append((change(plain, wider), change(plain, shifted)))
    return rows


def main() -> None:
    picture = Image.open(sys.argv[1]).convert("RGB")
    scale = 340 / min(picture.size)
    picture = picture.resize((int(picture.width * scale), int(picture.height * scale)))
    x = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 127.5 - 1
    for start in ("normal", "scaled"):
        for policy in ("pad", "fit", "resize"):
            for column, shift in measure(x, start, policy):
                print(f"{start}, {policy}: one more column {column:.2%}, one pixel {shift:.2%}")


if __name__ == "__main__":
    main()
