"""One picture, in a call."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from multiaxis.batch import File
from multiaxis.errors import ConfigError, ImageError
from multiaxis.files.place import put, try_place
from multiaxis.images import (
    DEFAULT_MEGAPIXELS,
    check_pillow,
    from_pillow,
    read_picture,
    to_pillow,
)
from multiaxis.tasks.restore.output import Output
from multiaxis.tasks.restore.pictures import PictureWork
from multiaxis.tasks.restore.refine.sampling import Sampling
from multiaxis.tasks.restore.restorer import Restorer, warn_of


def restore(
    source: str | os.PathLike[str] | Image.Image | NDArray[Any] | Tensor,
    *,
    task: str,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    max_megapixels: float = DEFAULT_MEGAPIXELS,
    **options: Any,
) -> Any:
    """Restore one picture. To restore several, create a `Restorer` once and use it for all.

    Parameters
    ----------
    source : path, PIL.Image.Image, ndarray or Tensor
        A file of several pages or frames needs an `output`.
    task : str
        As in `Restorer`.
    output : path, optional
        The file to write, with the depth, profile and metadata of the source. Only for a `source`
        that is a path.
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
    sampling = options.get("sampling")
    if isinstance(sampling, Sampling) and sampling.outputs > 1:
        raise ConfigError(
            f"received {sampling.outputs} answers to keep: this gives one; keep their average or "
            "the sharpest, or use Restorer(...).draw_pictures"
        )
    if not isinstance(source, str | os.PathLike):
        if output is not None:
            raise ConfigError("output needs a path as source: save the returned picture yourself")
        if isinstance(source, Image.Image):
            from_pillow(source)  # refuses a mode before the weights are pulled
        return Restorer(task, **options).restore(source)
    if output is not None and os.path.realpath(output) == os.path.realpath(source):
        raise ImageError(f"the output {output} is the input: originals are never replaced")
    if output is not None:
        target = Path(output)
        work = PictureWork.read(File(Path(source), str(source), target), Output(), max_megapixels)
        try_place(target, overwrite=overwrite)
        work.run(Restorer(task, **options), None)
        made = work.outcome()
        put(target, made.content or b"", overwrite=overwrite)
        warn_of([f"it cannot hold the {lost}" for lost in made.lost], str(target))
        warn_of(made.remarks, str(source))
        return target
    picture = read_picture(Path(source), max_megapixels=max_megapixels)
    check_pillow(picture.depth, picture.pixels.shape[2], alpha=picture.has_alpha)
    restored = Restorer(task, **options).restore_picture(picture)
    warn_of([remark for remark in restored.remarks if remark not in picture.remarks], str(source))
    return to_pillow(restored)
