"""Lay out data for the recipe rain-fine-tune: clean photographs, and the held-out half of Rain100H.

    python tools/prepare_rain.py DATA OUTPUT

`OUTPUT/held/input` and `OUTPUT/held/target` are the pairs of odd numbers. `OUTPUT/clean` has the
clean photographs of even numbers that no odd number shows (some occur twice, with other rain), and
those of `photos/train`. Nothing of Rain100H's own rain is in it.
"""

import argparse
import shutil
from pathlib import Path

from prepare_sets import Item, lay_out, rain100


def is_held_out(item: Item) -> bool:
    """Tell the held-out half: rain-001, rain-003 and so on."""
    return int(item.stem.rpartition("-")[2]) % 2 == 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="the folder of test data")
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    pairs = list(rain100(options.data, "Rain100H"))
    held = [item for item in pairs if is_held_out(item)]
    shown = {item.target for item in held}
    for role in ("input", "target"):
        (options.output / "held" / role).mkdir(parents=True, exist_ok=True)
    for item in held:
        lay_out(item, options.output / "held")
    clean = {item.target for item in pairs} - shown
    clean |= set((options.data / "photos" / "train").glob("*.jpg"))
    (options.output / "clean").mkdir(exist_ok=True)
    for path in clean:
        shutil.copyfile(path, options.output / "clean" / path.name)
    print(f"{len(held)} pairs held out, {len(clean)} clean photographs, in {options.output}")


if __name__ == "__main__":
    main()
