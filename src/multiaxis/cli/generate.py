"""``multiaxis generate``."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from cyclopts import Parameter
from numpy.typing import NDArray

from multiaxis.cli import console
from multiaxis.cli.options import Flag
from multiaxis.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multiaxis.progress import OnProgress
    from multiaxis.tasks.generate.generator import Generator


@Parameter(name="*")
@dataclass(frozen=True)
class Wish:
    """Which pictures are made.

    Attributes
    ----------
    count
        How many pictures.
    seed
        Of the random numbers: 0 to 2147483647. Another seed gives other pictures.
    columns
        Pictures beside each other in one file. By default about as many as rows. With --to: how
        many pictures lead from one seed to the other, their ends among them; 8 by default.
    truncation
        Draw random values further from 0 than this again: 0.7, for example, gives more likely and
        less different pictures. 0.1 to 10. By default none are drawn again.
    to
        Another seed. Each row of the file, or group of files, leads from a picture of --seed to
        the same number of this one, in --columns pictures. --count is of all pictures.
    """

    count: int = 64
    seed: int = 0
    columns: int | None = None
    truncation: float | None = None
    to: int | None = None

    def beside(self) -> int:
        """Check all, and tell how many pictures lie beside each other."""
        from multiaxis.tasks.generate.grid import check_wish, columns_of, columns_of_ways

        check_wish(self.count, self.seed, self.truncation)
        if self.to is None:
            return columns_of(self.count, self.columns)
        return columns_of_ways(self.count, self.to, self.columns)

    def names(self, beside: int) -> list[str]:
        """Name the file of each picture by seed and number, or by both seeds, way and step."""
        if self.to is None:
            return [f"{self.seed}_{k:05d}.png" for k in range(self.count)]
        places = (divmod(k, beside) for k in range(self.count))
        return [f"{self.seed}_to_{self.to}_{way:05d}_{step:03d}.png" for way, step in places]

    def make(self, generator: Generator, beside: int) -> Iterator[NDArray[np.uint8]]:
        """Make the pictures one after the other."""
        if self.to is None:
            made = generator.pictures(self.seed, truncation=self.truncation)
        else:
            made = generator.ways(self.seed, self.to, beside, truncation=self.truncation)
        return islice(made, self.count)


def generate(
    *,
    weights: Annotated[str, Parameter(alias="-w")],
    output: Annotated[Path, Parameter(alias="-o")],
    wish: Wish = Wish(),
    overwrite: Flag = False,
    device: str = "auto",
    dtype: str = "float32",
    quiet: Annotated[Flag, Parameter(alias="-q")] = False,
) -> None:
    """Make pictures out of random numbers, with a generator that you have trained.

    Picture 7 of a seed is the same whether you ask for 10 pictures or for 1000.

    Parameters
    ----------
    weights
        The weights.safetensors of a training such as generate-folder.
    output
        A file such as grid.png, for all pictures in one; or a folder, for a PNG file of each. The
        folder is created if it does not exist.
    overwrite
        Replace files that exist. By default, an existing file is an error.
    device
        Where to compute: cpu, cuda, cuda:N, mps, or auto (a GPU if there is one).
    dtype
        Precision: float32, bfloat16, float16 or auto.
    quiet
        Print errors only.
    """
    from multiaxis.files.place import make_folder

    beside = wish.beside()
    is_folder = output.is_dir() or not output.suffix
    if is_folder and wish.columns is not None and wish.to is None:
        raise ConfigError(f"--columns is for one file, and {output} is a folder: name a .png file")
    paths = [output / name for name in wish.names(beside)] if is_folder else [output]
    if is_folder:
        make_folder(output)
    _check(paths, overwrite=overwrite)

    from multiaxis.tasks.generate.generator import Generator

    made = wish.make(Generator(weights, device=device, dtype=dtype), beside)
    with console.progress("pictures", quiet=quiet) as show:
        _write(made, (wish.count, beside), paths, show, overwrite=overwrite)
    console.note(f"{wish.count} pictures in {output}", quiet=quiet)


def _check(paths: list[Path], *, overwrite: bool) -> None:
    """Find out before the work whether the files can be written."""
    from multiaxis.files.place import check_place
    from multiaxis.images import Picture, check_write

    for path in paths[1:]:
        check_place(path, overwrite=overwrite)
    check_write(paths[0], Picture(np.zeros((1, 1, 3), np.uint8)), overwrite=overwrite)


def _write(
    made: Iterator[NDArray[np.uint8]],
    shape: tuple[int, int],
    paths: list[Path],
    show: OnProgress,
    *,
    overwrite: bool,
) -> None:
    """Write each picture into its file, or all of them, (count, columns), into the only one."""
    from multiaxis.images import Picture, write_picture
    from multiaxis.progress import Progress
    from multiaxis.tasks.generate.grid import in_grid

    count, columns = shape
    waiting: list[NDArray[np.uint8]] = []
    for k, pixels in enumerate(made):
        show(Progress("generating", k + 1, count, "pictures"))
        if len(paths) == count:
            write_picture(paths[k], Picture(pixels), overwrite=overwrite)
        else:
            waiting.append(pixels)
    if waiting:
        write_picture(paths[0], Picture(in_grid(np.stack(waiting), columns)), overwrite=overwrite)
