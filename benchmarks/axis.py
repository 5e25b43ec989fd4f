"""Show that attention inside blocks and across the grid costs the same for every token.

    python benchmarks/axis.py

Microseconds per token at growing sizes, beside attention of every token to every other (dense) of
the same width in the same run. For fixed windows the first must stay flat, the second must grow.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)

from multiaxis.axis import BlockAttention, CausalAttention, GridAttention

CHANNELS, HEAD, WINDOW = 64, 32, 8


def main() -> None:
    torch.manual_seed(0)
    size = (WINDOW, WINDOW)
    block, grid = (kind(CHANNELS, HEAD, size) for kind in (BlockAttention, GridAttention))
    local = CausalAttention(CHANNELS, HEAD, WINDOW**2)
    far = CausalAttention(CHANNELS, HEAD, WINDOW**2, stride=WINDOW**2)
    print(f"us per token, {CHANNELS} channels, windows of {WINDOW**2} tokens")
    print("| tokens | block | grid | dense | dense / block | causal pair | dense, causal |")
    print("|" + " --- |" * 7)
    with torch.inference_mode():
        for side in (32, 64, 128, 256):
            values = row(side, block, grid, local, far)
            texts = ["-" if value is None else f"{value:.2f}" for value in values]
            print("| " + " | ".join([str(side * side), *texts]) + " |", flush=True)


def row(
    side: int,
    block: BlockAttention,
    grid: GridAttention,
    local: CausalAttention,
    far: CausalAttention,
) -> list[float | None]:
    x = torch.rand(1, side, side, CHANNELS)
    sequence = x.flatten(1, 2)
    blocks, grids = (per_token(lambda: block(x), x), per_token(lambda: grid(x), x))
    pair = per_token(lambda: far(local(sequence)), x)
    if side > 128:  # dense attention would take minutes
        return [blocks, grids, None, None, pair, None]
    whole = per_token(lambda: dense(block, sequence), x)
    causal = per_token(lambda: dense(local, sequence, is_causal=True), x)
    return [blocks, grids, whole, whole / blocks, pair, causal]


def dense(
    layer: BlockAttention | CausalAttention, x: torch.Tensor, *, is_causal: bool = False
) -> torch.Tensor:
    q, k, v = layer.qkv(x).unflatten(-1, (3, layer.heads, HEAD)).permute(2, 0, 3, 1, 4)
    mixed = F.scaled_dot_product_attention(q, k, v, is_causal=is_causal)
    return layer.out(mixed.transpose(1, 2).flatten(2))


def per_token(run: Callable[[], object], x: torch.Tensor) -> float:
    run()
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best / (x.shape[1] * x.shape[2]) * 1e6


if __name__ == "__main__":
    main()
