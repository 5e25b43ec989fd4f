"""Draw the best and the worst of some photographs, as a rater sees them that has learnt a taste.

    python tools/draw_ratings.py PHOTOGRAPHS docs/ratings.jpg

The taste is made up: stars follow how colourful a photograph is, with noise. Three of four
photographs teach it, the others are drawn.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from multiaxis import Rater
from multiaxis.data.pictures import find_pictures, read_levels
from multiaxis.tasks.rate.samples import is_held
from multiaxis.tasks.rate.statistics import STATISTICS, measure

WIDTH, HEIGHT, ROOM, EACH = 260, 174, 26, 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("output", type=Path)
    words = parser.parse_args()
    paths = find_pictures(words.photographs).paths
    colour = np.array([measure(read_levels(p))[STATISTICS.index("colourfulness")] for p in paths])
    taste = colour / colour.std() + 0.3 * np.random.default_rng(0).normal(size=len(paths))
    stars = np.argsort(np.argsort(taste)) * 5 // len(paths) + 1
    known = {
        str(p): float(s) for p, s in zip(paths, stars, strict=True) if not is_held(p.name, 0.25)
    }
    rater = Rater.learn(
        [Path(name) for name in known], known, backbone="rate-backbone", device="cpu"
    )
    if rater.report is not None:
        print("\n".join(rater.report.sentences))
    ranked = rater.rank([path for path in paths if is_held(path.name, 0.25)])
    print([(path.name, round(rating.score, 2)) for path, rating in ranked])
    sheet = Image.new("RGB", (EACH * WIDTH, 2 * (HEIGHT + ROOM)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for k, (path, rating) in enumerate([*ranked[:EACH], *ranked[-EACH:]]):
        row, column = divmod(k, EACH)
        image = Image.fromarray(read_levels(path))
        image.thumbnail((WIDTH - 8, HEIGHT - 4), Image.Resampling.LANCZOS)
        left, top = column * WIDTH + (WIDTH - image.width) // 2, row * (HEIGHT + ROOM)
        sheet.paste(image, (left, top + HEIGHT - image.height))
        said = f"{rating.score:.2f} +- {rating.spread:.2f}"
        draw.text((left + 2, top + HEIGHT + 4), said, "black", font)
    sheet.save(words.output, quality=88)


if __name__ == "__main__":
    main()
