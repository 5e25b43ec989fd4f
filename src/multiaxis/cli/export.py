"""``multiaxis export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from multiaxis.cli import console
from multiaxis.cli.options import Flag
from multiaxis.errors import ConfigError, WeightsError


def export(
    weights: str,
    output: Path,
    /,
    *,
    size: Annotated[list[str] | None, Parameter(negative=())] = None,
    overwrite: Flag = False,
    offline: Flag = False,
) -> None:
    """Write a model as an ONNX file for pictures of one size, and check it with onnxruntime.

    Parameters
    ----------
    weights
        A checkpoint: a name that "multiaxis weights list" shows, or a file.
    output
        The .onnx file to write. It takes batches of any size, and pictures of one size.
    size
        Size of the pictures in pixels: one number, or HEIGHTxWIDTH such as 512x768; 224 by default.
        Repeat the option for several sizes: each gets its own file, with the size in its name.
    overwrite
        Replace the output if it exists. By default, an existing output is an error.
    offline
        Never download: fail if the weights are not cached. The environment variable
        MULTIAXIS_OFFLINE=1 does the same.
    """
    sizes = [_parse_size(text) for text in size or ["224"]]
    if output.suffix != ".onnx":
        raise ConfigError(f"the output {output} must end in .onnx")
    files = [output]
    if len(sizes) > 1:
        files = [output.with_stem(f"{output.stem}-{h}x{w}") for h, w in sizes]
    from multiaxis.deploy.onnx import export_onnx
    from multiaxis.zoo import open_model

    _refuse_networks(weights)
    with console.progress("bytes") as show:
        model = open_model(weights, offline=offline, on_progress=show)
    for file, pixels in zip(files, sizes, strict=True):
        console.note(f"exporting {file} and checking it ...")
        difference = export_onnx(model, file, pixels, overwrite=overwrite)
        console.say(f"{file}: differs from the model by {difference:.1e} of the largest output")


def _refuse_networks(weights: str) -> None:
    """Refuse networks around a model, of which only the model would be written."""
    from multiaxis.weights.find import find_published
    from multiaxis.weights.purpose import stated_purpose

    path = Path(weights)
    if find_published(weights) is None and path.is_file() and (stated := stated_purpose(path)):
        raise WeightsError(
            f"{weights} is {stated}: accepted are a MAXIM, a MaxViT and a backbone. For the "
            "backbone of it alone, export what create_model(weights=...) gives, in Python"
        )


def _parse_size(text: str) -> tuple[int, int]:
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isascii() and side.isdigit() for side in sides):
        raise ConfigError(f"--size is {text!r}: accepted is one number, or HEIGHTxWIDTH")
    return int(sides[0]), int(sides[-1])
