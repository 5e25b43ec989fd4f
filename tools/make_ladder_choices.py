r"""Write crops of clean photographs, spoilt in steps, and choices that need no people.

    python tools/make_ladder_choices.py PHOTOGRAPHS OUTPUT [--count 24]
    multiaxis rate learn OUTPUT --ratings OUTPUT/choices.csv --backbone rate-backbone \
        -o src/multiaxis/weights/packaged/rate-closeness.safetensors

Of two steps of one ladder, the one that is spoilt less is the choice.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np
from PIL import Image

from multiaxis.data.pictures import find_pictures, read_levels
from multiaxis.degrade import degrade_picture
from multiaxis.tasks.rate.ladder import LADDERS, chain_of

SIDE = 224


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--count", type=int, default=24)
    words = parser.parse_args()
    words.output.mkdir(parents=True, exist_ok=True)
    lines = ["reference,a,b,choice"]
    rng = np.random.default_rng(0)
    for number, path in enumerate(find_pictures(words.photographs).paths[: words.count]):
        image = Image.fromarray(read_levels(path))
        image.thumbnail((1000, 1000), Image.Resampling.LANCZOS)
        top, left = (int(rng.integers(n - SIDE + 1)) for n in (image.height, image.width))
        crop = np.asarray(image, np.float32)[top : top + SIDE, left : left + SIDE] / 255
        names = {("", 5): f"{number}.png"}
        for kind, rating in itertools.product(LADDERS, (4, 3, 2, 1)):
            names[kind, rating] = f"{number}_{kind}_{rating}.png"
        for (kind, rating), name in names.items():
            spoilt = degrade_picture(crop, chain_of(kind, rating), number)[0]
            Image.fromarray(np.rint(spoilt * 255).astype(np.uint8)).save(words.output / name)
        for kind in LADDERS:
            for one, other in itertools.combinations((4, 3, 2, 1), 2):
                pair = [names[kind, one], names[kind, other]]
                order = rng.permutation(2)
                a, b = (pair[k] for k in order)
                lines.append(f"{number}.png,{a},{b},{'a' if order[0] == 0 else 'b'}")
    (words.output / "choices.csv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
