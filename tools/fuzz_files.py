"""Damage picture and clip files at random, and see that each is read or refused in a sentence.

    python tools/fuzz_files.py SEEDS [--rounds 2000] [--seed 0]

SEEDS is a folder of small pictures and clips. Each round takes one, cuts it, flips bits, doubles
or zeroes a range, or patches numbers in its head, and restores it with a model that changes nothing
into a folder that must hold whole files only. Printed: counts by outcome. Anything but "restored"
and "refused" is a bug, and the file that did it is kept.
"""

from __future__ import annotations

import argparse
import collections
import random
import shutil
import tempfile
import time
import warnings
from pathlib import Path

from multiaxis.errors import MultiaxisError
from multiaxis.images import as_file_has_it, read_picture, seen_by_model, write_picture
from multiaxis.video import SUFFIXES, restore_clip

SLOW = 30  # seconds for one file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("seeds", type=Path)
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)  # noqa: S311
    seeds = sorted(path for path in options.seeds.iterdir() if path.is_file())
    counts: collections.Counter[tuple[str, str]] = collections.Counter()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for _ in range(options.rounds):
            seed = rng.choice(seeds)
            outcome = one(seed, damage(seed.read_bytes(), rng), folder)
            counts[seed.suffix, outcome] += 1
    for (suffix, outcome), count in sorted(counts.items()):
        print(f"{suffix:6} {outcome:40} {count}")


def damage(data: bytes, rng: random.Random) -> bytes:
    kind, made = rng.randrange(5), bytearray(data)
    if kind == 0:
        return data[: rng.randrange(len(data))]
    start = rng.randrange(len(made))
    if kind == 1:
        for _ in range(rng.randrange(1, 50)):
            made[rng.randrange(len(made))] ^= 1 << rng.randrange(8)
    elif kind == 2:
        made[start : start + 200] = bytes(min(200, len(made) - start))
    elif kind == 3:
        made[start:start] = made[start : start + rng.randrange(1, 2000)]
    else:  # absurd numbers near the head
        at = rng.randrange(min(400, len(made)))
        made[at : at + 4] = rng.choice([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0"])
    return bytes(made)


def one(seed: Path, data: bytes, folder: Path) -> str:
    source, target = folder / f"in{seed.suffix}", folder / f"out{seed.suffix}"
    source.write_bytes(data)
    start = time.monotonic()
    outcome = restore(source, target)
    faults = {
        "changed the original": source.read_bytes() != data,
        "left a file": outcome == "refused" and target.exists(),
        "left a part": any(path.suffix == ".part" for path in folder.iterdir()),
        "slow": time.monotonic() - start > SLOW,
    }
    outcome = next((fault for fault, found in faults.items() if found), outcome)
    if outcome not in ("restored", "refused"):
        (Path(tempfile.gettempdir()) / f"fuzz_{outcome[:20]}{seed.suffix}").write_bytes(data)
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return outcome


def restore(source: Path, target: Path) -> str:
    try:
        if source.suffix.lower() in SUFFIXES:
            restore_clip(lambda x: x, source, target)
        else:
            picture = read_picture(source, max_megapixels=20)
            write_picture(
                target.with_suffix(".tif"), as_file_has_it(picture, seen_by_model(picture))
            )
    except MultiaxisError as error:
        return "refused" if "\n" not in str(error) else "refused in several lines"
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {str(error)[:60]}"
    return "restored"


if __name__ == "__main__":
    main()
