"""What tiles cost: PSNR of pictures restored in tiles against the same restored whole.

    python benchmarks/tiles.py TASK PICTURE [--tiles 128 256 384] [-o COMPARISON]

The comparison shows the whole result and that of the smallest tile.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from multiaxis import Restorer, psnr
from multiaxis.images import read_picture, side_by_side, to_unit, write_picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--tiles", nargs="+", type=int, default=[128, 256, 384])
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    picture = read_picture(options.picture)
    whole = Restorer(options.task).restore_picture(picture)
    size = f"{picture.width} x {picture.height}"
    for tile in sorted(options.tiles, reverse=True):
        tiled = Restorer(options.task, tile=tile).restore_picture(picture)
        near = psnr(to_unit(tiled.pixels), to_unit(whole.pixels), data_range=1)
        print(f"| {options.task} | {options.picture.name} | {size} | {tile} | {near:.2f} |")
    if options.output:
        labels = ("whole", f"tiles of {tile}")
        write_picture(options.output, side_by_side(whole, tiled, labels=labels), overwrite=True)


if __name__ == "__main__":
    main()
