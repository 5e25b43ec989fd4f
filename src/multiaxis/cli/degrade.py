"""``multiaxis degrade``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from multiaxis.cli import console
from multiaxis.cli.codes import BAD_INPUT, OK, SOME_FAILED
from multiaxis.cli.options import Flag
from multiaxis.errors import ConfigError, ImageError, MultiaxisError

if TYPE_CHECKING:
    from multiaxis.degrade.apply import Degradation


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

    What was drawn is printed for each picture, in words that --with takes again. A picture of a
    folder that fails is reported at the end, and the others are done.

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
        The same seed gives the same pictures; 0 or more.
    overwrite
        Replace outputs that exist.
    """
    from multiaxis.degrade import parse_chain

    links = parse_chain(",".join(chain))
    if not links:
        raise ConfigError("--with names nothing to do: name at least one degradation")
    if seed < 0:
        raise ConfigError(f"--seed is {seed}: accepted is 0 or more")
    pairs = _pair(input, output)
    for left_out in _left_out(input, output):
        console.complain(f"left out: {left_out}")
    failures: list[str] = []
    for number, (path, target) in enumerate(pairs):
        try:
            drawn = _spoil(path, target, links, (seed, number), overwrite=overwrite)
        except MultiaxisError as error:
            if not input.is_dir():
                raise
            failures.append(str(error))
            continue
        console.say(f"{target}: {drawn}")
    for reason in failures:
        console.complain(reason)
    if not failures:
        return OK
    return SOME_FAILED if len(failures) < len(pairs) else BAD_INPUT


def _pair(input: Path, output: Path) -> list[tuple[Path, Path]]:
    """Give each picture the file that it goes to; the folder for them is made."""
    from multiaxis.images import list_pictures

    pairs = [(input, output)]
    if input.is_dir():
        pairs = [(path, output / path.name) for path in list_pictures(input)]
    if not pairs:
        raise ConfigError(f"{input} holds no pictures: name a folder that does, or a file")
    for path, target in pairs:
        if target.resolve() == path.resolve():
            raise ConfigError(f"{target} is the original: name another output")
    if input.is_dir():
        try:
            output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = "it is a file" if output.is_file() else error.strerror
            raise ConfigError(
                f"cannot make the folder {output} for the pictures of {input} ({reason}): name "
                "another output"
            ) from error
    return pairs


def _left_out(input: Path, output: Path) -> list[str]:
    """Say what of a folder is not degraded; its outputs may lie inside it."""
    from multiaxis.images import walk_pictures

    if not input.is_dir():
        return []
    found = walk_pictures(input, but=output)
    kinds = {
        "pictures of folders inside": [path for path in found.pictures if path.parent != input],
        "files of other kinds": [path for path in found.others if path.parent == input],
    }
    return [f"{len(of)} {kind}, such as {of[0]}" for kind, of in kinds.items() if of]


def _spoil(
    path: Path,
    target: Path,
    links: tuple[Degradation, ...],
    seed: tuple[int, int],
    *,
    overwrite: bool,
) -> str:
    """Degrade one picture; returns what was drawn, in words."""
    from dataclasses import replace

    from multiaxis.degrade import degrade_picture, spell
    from multiaxis.images import (
        as_file_has_it,
        check_write,
        decode_picture,
        grey_to_rgb,
        read_bytes,
        seen_by_model,
        write_picture,
    )

    picture = decode_picture(read_bytes(path), str(path))
    for remark in picture.remarks:
        console.note(f"note: {path}: {remark}")
    try:
        seen = grey_to_rgb(seen_by_model(picture))
    except ImageError as error:
        raise ImageError(f"cannot degrade {path}: {error}") from error
    spoiled, drawn = degrade_picture(seen, links, seed)
    if picture.pixels.shape[-1] == 1:
        picture = replace(picture, pixels=grey_to_rgb(picture.pixels))
    result = as_file_has_it(picture, spoiled)
    check_write(target, result, overwrite=overwrite)
    write_picture(target, result, overwrite=overwrite)
    return spell(drawn)
