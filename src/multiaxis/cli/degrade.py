"""``multiaxis degrade``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from multiaxis.cli import console
from multiaxis.cli.options import Flag
from multiaxis.errors import ConfigError


def degrade(
    input: Path,
    output: Path,
    /,
    *,
    chain: Annotated[list[str], Parameter(name="--with", negative=())],
    seed: int = 0,
    overwrite: Flag = False,
) -> int:
    """Spoil pictures on purpose: noise, blur, rain, haze, darkness, JPEG.

    What was drawn is printed for each picture, in words that --with takes again.

    Parameters
    ----------
    input
        A picture, or a folder of pictures.
    output
        A file, or a folder for a folder; made if need be.
    chain
        What to do, such as rain, or motion-blur:length=20, or gaussian-noise:sigma=10..50 (drawn
        for each picture). Several with commas between, or by several --with. Known are
        gaussian-noise, poisson-noise, sensor-noise, motion-blur, defocus, rain, drops, haze,
        low-light, jpeg and shrink.
    seed
        The same seed gives the same pictures.
    overwrite
        Replace outputs that exist.
    """
    from dataclasses import replace

    from multiaxis.degrade import degrade_picture, parse_chain, spell
    from multiaxis.images import (
        as_file_has_it,
        check_write,
        grey_to_rgb,
        list_pictures,
        read_picture,
        seen_by_model,
        write_picture,
    )

    links = parse_chain(",".join(chain))
    if not links:
        raise ConfigError("--with names nothing to do: name at least one degradation")
    is_folder = input.is_dir()
    paths = list_pictures(input) if is_folder else [input]
    if not paths:
        raise ConfigError(f"{input} holds no pictures: name a folder that does, or a file")
    for number, path in enumerate(paths):
        target = output / path.name if is_folder else output
        if target.resolve() == path.resolve():
            raise ConfigError(f"{target} is the original: name another output")
        picture = read_picture(path)
        if is_folder:
            target.parent.mkdir(parents=True, exist_ok=True)
        values = grey_to_rgb(seen_by_model(picture))
        spoiled, drawn = degrade_picture(values, links, (seed, number))
        if picture.pixels.shape[-1] == 1:
            picture = replace(picture, pixels=grey_to_rgb(picture.pixels))
        result = as_file_has_it(picture, spoiled)
        check_write(target, result, overwrite=overwrite)
        write_picture(target, result, overwrite=overwrite)
        console.say(f"{target}: {spell(drawn)}")
    return 0
