"""Draw what small models make of a photograph beside the published ones: docs/students.jpg.

    python tools/draw_students.py docs/sample/kitten.jpg docs/students.jpg

Each row: spoilt, fast, exact, true. PSNR in dB on RGB, of the whole photograph; for retouching,
which has no truth, of what fast and the input are to the exact result.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from multiaxis import Restorer
from multiaxis.degrade import degrade_picture, parse_chain
from multiaxis.score import psnr

ROWS = {
    "derain": "rain:layers=3:density=0.004:length=40:angle=10:brightness=0.35",
    "denoise": "camera-noise:log_shot=-4.5:smooth=0.6,jpeg:quality=92",
    "enhance": "low-light:gain=0.95:scale=0.2:gamma=1.6:log_shot=-10",
    "retouch": "low-light:gain=1:scale=1:gamma=1:log_shot=-14",
}
WIDTH, HEIGHT = 300, 240


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    true = np.asarray(Image.open(options.input).convert("RGB"))
    sheet = Image.new("RGB", (4 * (WIDTH + 6) + 6, len(ROWS) * (HEIGHT + 26) + 6), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    top, left = (true.shape[0] - HEIGHT) // 2, (true.shape[1] - WIDTH) // 2
    for row, (task, chain) in enumerate(ROWS.items()):
        spoilt = degrade_picture(true.astype(np.float32) / 255, parse_chain(chain), 3)[0]
        spoilt = (spoilt * 255).round().astype(np.uint8)
        made = {
            "as it is": spoilt,
            "--model fast": Restorer(task, model="fast").restore(spoilt),
            "exact": Restorer(task).restore(spoilt),
        }
        wanted = made["exact"] if task == "retouch" else true
        titles = [
            f"{task}, {name}"
            + ("" if one is wanted else f": {psnr(one, wanted, data_range=255):.1f} dB")
            for name, one in made.items()
        ]
        for column, picture in enumerate([*made.values(), true]):
            if task == "retouch" and column == 3:
                continue
            x, y = 6 + column * (WIDTH + 6), 6 + row * (HEIGHT + 26)
            crop = picture[top : top + HEIGHT, left : left + WIDTH]
            sheet.paste(Image.fromarray(crop), (x, y))
            title = [*titles, "true"][column]
            draw.text((x, y + HEIGHT + 3), title, fill="black", font=font)
    sheet.save(options.output, quality=88)


if __name__ == "__main__":
    main()
