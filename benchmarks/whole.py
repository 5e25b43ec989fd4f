"""Compare the streamed form with the plain one once, on a large photograph with real weights.

    python benchmarks/whole.py TASK PICTURE [--weights denoise-nano] [--size 3840x2176]

The middle of the picture (repeated where it is smaller) goes through both forms in float32. Printed
are the largest difference, the largest value, and the seconds of each. The plain form needs several
kilobytes a pixel: 4 for two stages of 32 features, so 8 megapixels do not fit into 24 GB.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from multiaxis import Restorer, streamed
from multiaxis.images import read_picture, to_unit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--weights")
    parser.add_argument("--size", default="3840x2176", help="WxH, multiples of 64")
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    values = to_unit(read_picture(options.picture, max_megapixels=100).pixels)[..., :3]
    rows, columns = (
        np.arange(side) + (length - side) // 2
        for side, length in zip((height, width), values.shape[:2], strict=True)
    )
    middle = values.take(rows, axis=0, mode="wrap").take(columns, axis=1, mode="wrap")
    x = torch.from_numpy(middle).float().permute(2, 0, 1)[None]
    model = Restorer(options.task, weights=options.weights, device="cpu").models[0]
    with torch.inference_mode():
        start = time.perf_counter()
        pieces = streamed(model)(x)
        between = time.perf_counter()
        plain = model(x)
        end = time.perf_counter()
    error, largest = float((pieces - plain).abs().max()), float(plain.abs().max())
    print(
        f"{options.task}, {width} x {height}: largest difference {error:.1e} of {largest:.2f}; "
        f"{between - start:.0f} s in pieces, {end - between:.0f} s plain"
    )


if __name__ == "__main__":
    main()
