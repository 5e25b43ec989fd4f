"""Draw every degradation beside the clean photograph: docs/degradations.jpg.

python tools/draw_degradations.py docs/sample/clean.jpg docs/degradations.jpg
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from multiaxis.degrade import degrade_picture, parse_chain

SIDE, COLUMNS = 260, 4
CHAINS = (
    "gaussian-noise:sigma=25",
    "poisson-noise:scale=2",
    "sensor-noise:log_shot=-5",
    "camera-noise:log_shot=-3.5:smooth=0.8",
    "motion-blur:length=20:shake=0.4",
    "defocus:radius=4",
    "rain:layers=4:density=0.001:brightness=0.6",
    "drops:count=120:radius=16",
    "haze:airlight=0.9:beta=1.6",
    "low-light:gamma=2.5:log_shot=-7",
    "jpeg:quality=8",
    "shrink:factor=4",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    picture = Image.open(options.input).convert("RGB")
    top, left = ((n - SIDE) // 2 for n in (picture.height, picture.width))
    whole = np.asarray(picture, np.float32) / 255
    tiles = [("clean", whole)]
    tiles += [(words, degrade_picture(whole, parse_chain(words), 3)[0]) for words in CHAINS]
    rows = -(-len(tiles) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * (SIDE + 6) + 6, rows * (SIDE + 26) + 6), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for k, (words, values) in enumerate(tiles):
        x, y = 6 + k % COLUMNS * (SIDE + 6), 6 + k // COLUMNS * (SIDE + 26)
        crop = values[top : top + SIDE, left : left + SIDE]
        sheet.paste(Image.fromarray((crop * 255).round().astype(np.uint8)), (x, y))
        draw.text((x, y + SIDE + 3), words, fill="black", font=font)
    sheet.save(options.output, quality=88)


if __name__ == "__main__":
    main()
