"""``multiaxis compare``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from multiaxis.cli import console
from multiaxis.cli.options import Flag
from multiaxis.errors import ImageError


def compare(
    before: Path,
    after: Path,
    /,
    *,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    overwrite: Flag = False,
) -> None:
    """Put two versions of a picture side by side, with the place of greatest change enlarged.

    Parameters
    ----------
    before
        A picture.
    after
        A changed version of the picture, of the same size.
    output
        The file to write. By default a PNG beside AFTER, with "_compared" appended to its name.
    overwrite
        Replace the output if it exists.
    """
    from multiaxis.files.read import read_bytes
    from multiaxis.images import Picture, decode_picture, side_by_side, write_picture

    target = output or after.with_name(f"{after.stem}_compared.png")
    if os.path.realpath(target) in map(os.path.realpath, (before, after)):
        raise ImageError(f"the output {target} is an input: originals are never replaced")
    pictures = list[Picture]()
    for path in (before, after):
        pictures.append(decode_picture(read_bytes(path), str(path)))
        for remark in pictures[-1].remarks:
            console.note(f"note: {path}: {remark}")
    write_picture(target, side_by_side(*pictures), overwrite=overwrite)
    console.say(str(target))
