"""Names of classes.

`imagenet_classes.txt` holds one name a line in the order of ILSVRC 2012, as in the metadata of
torchvision's weights (BSD 3-Clause, Copyright (c) Soumith Chintala 2016).
"""

from __future__ import annotations

import functools
from importlib import resources


@functools.cache
def imagenet_labels() -> tuple[str, ...]:
    """Name the 1000 classes of ImageNet-1K by their index.

    Examples
    --------
    >>> imagenet_labels()[281]
    'tabby'
    """
    file = resources.files("multiaxis.tasks.classify").joinpath("imagenet_classes.txt")
    return tuple(file.read_text("utf-8").splitlines())
