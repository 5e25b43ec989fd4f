"""One picture restored in one call."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from multiaxis.errors import ConfigError, ImageError
from multiaxis.files.read import read_bytes
from multiaxis.images import (
    DEFAULT_MEGAPIXELS,
    Picture,
    Several,
    check_pillow,
    check_place,
    check_several,
    check_write,
    decode_picture,
    from_pillow,
    open_several,
    to_pillow,
    write_picture,
    write_several,
)
from multiaxis.models.maxim.streaming.streamed import OnFraction
from multiaxis.restoration.restorer import Restorer, warn_of
from multiaxis.restoration.several import restore_several


def restore(
    source: str | os.PathLike[str] | Image.Image | NDArray[Any] | Tensor,
    *,
    task: str,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    max_megapixels: float = DEFAULT_MEGAPIXELS,
    **options: Any,
) -> Any:
    """Restore one picture. For several, make a `Restorer` and keep it.

    Parameters
    ----------
    source : path, PIL.Image.Image, ndarray or Tensor
        A file of several pages or frames needs an `output`.
    task : str
        As in `Restorer`.
    output : path, optional
        File to write, with the depth, profile and metadata of the source; for a path only.
    overwrite : bool
        Whether `output` may replace a file.
    max_megapixels : float
        Larger files are refused before they are decoded.
    **options
        Further arguments of `Restorer`.

    Returns
    -------
    PIL.Image.Image, ndarray, Tensor or Path
        For a path, a Pillow image, or the path `output`; otherwise the kind of `source`.

    Examples
    --------
    >>> restore("rainy.jpg", task="derain").save("dry.png")  # doctest: +SKIP
    """
    if not isinstance(source, str | os.PathLike):
        if output is not None:
            raise ConfigError(
                "output goes with a path as source: save the returned picture yourself"
            )
        if isinstance(source, Image.Image):
            from_pillow(source)  # refuses a mode before the weights are pulled
        return Restorer(task, **options).restore(source)
    if output is not None and os.path.realpath(output) == os.path.realpath(source):
        raise ImageError(f"the output {output} is the input: originals are never replaced")
    data = read_bytes(Path(source))
    name, most = os.fspath(source), max_megapixels
    several = open_several(data, name, max_megapixels=most)
    if several is not None and output is not None:
        return _restore_several(several, Path(output), task, overwrite=overwrite, **options)
    picture = decode_picture(data, name, max_megapixels=most)
    if output is None:
        check_pillow(picture.depth, picture.pixels.shape[2], alpha=picture.has_alpha)
    else:
        check_write(output, picture, overwrite=overwrite)
    restored = Restorer(task, **options).restore_picture(picture)
    warn_of(restored.remarks, name)
    if output is None:
        return to_pillow(restored)
    write_picture(Path(output), restored, overwrite=overwrite)
    return Path(output)


def _restore_several(
    several: Several, output: Path, task: str, *, overwrite: bool, **options: Any
) -> Path:
    check_several(output, several)
    check_place(output, overwrite=overwrite)
    restorer = Restorer(task, **options)

    def one(picture: Picture, _: OnFraction | None) -> Picture:
        return restorer.restore_picture(picture)

    made = restore_several(one, several, output)
    warn_of(made.remarks, several.name)
    write_several(output, made.frames, several, overwrite=overwrite)
    return output
