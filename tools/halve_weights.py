"""Write a checkpoint's weights in half precision, and print the digest for the index.

python tools/halve_weights.py runs/nano-denoise/weights.safetensors \
        src/multiaxis/weights/packaged/denoise-nano.safetensors
"""

from __future__ import annotations

import argparse
from pathlib import Path

from multiaxis.weights.store import digest, read_safetensors, write_safetensors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    tensors, about = read_safetensors(options.input)
    halved = {n: t.half() if t.is_floating_point() else t for n, t in tensors.items()}
    write_safetensors(options.output, halved, about)
    print(f"{options.output}: {options.output.stat().st_size} bytes, digest {digest(halved)}")


if __name__ == "__main__":
    main()
