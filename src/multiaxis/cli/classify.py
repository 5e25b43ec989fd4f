"""``multiaxis classify``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from multiaxis.cli import console
from multiaxis.cli.options import DEFAULT_MODEL, Flag, ModelOptions
from multiaxis.errors import ConfigError, ImageError

if TYPE_CHECKING:
    from multiaxis.classification.classifier import Prediction


def classify(
    inputs: list[str],
    /,
    *,
    model: str | None = None,
    top: int = 5,
    preprocessing: str | None = None,
    image_size: int | None = None,
    as_json: Annotated[Flag, Parameter(name="--json")] = False,
    options: ModelOptions = DEFAULT_MODEL,
    quiet: Annotated[Flag, Parameter(alias="-q")] = False,
) -> int:
    """Name what pictures show, with MaxViT.

    Parameters
    ----------
    inputs
        Files, folders (the pictures directly in them) and patterns such as "*.png".
    model
        A variant that "multiaxis models" shows: maxvit_tiny unless weights are given.
    top
        How many classes to name for each picture.
    preprocessing
        authors, timm or torchvision: how pictures are cropped and resized. By default as the
        weights were published or trained with.
    image_size
        Pixels of the sides that the model sees, where they are others than those that the weights
        were tuned for; a file from elsewhere does not tell, and means 224.
    as_json
        Print one line of JSON for each picture.
    quiet
        Print results and errors only.
    """
    if top < 1:
        raise ConfigError(f"--top is {top}: accepted is 1 or more")
    from multiaxis.classification.classifier import Classifier

    paths, failures = _find(inputs)
    if not paths:
        raise ImageError("\n".join(failures))
    with console.progress("bytes", quiet=quiet) as show:
        classifier = Classifier(
            model,
            preprocessing=preprocessing,
            image_size=image_size,
            on_progress=show,
            **asdict(options),
        )
    for path in paths:
        try:
            predictions = classifier.classify(path, top=top)
        except ImageError as error:
            if len(inputs) == len(paths) == 1:
                raise
            failures.append(str(error))
            continue
        console.say(*([_line(path, predictions)] if as_json else _table(path, predictions)))
    for reason in failures:
        console.complain(reason)
    return 1 if failures else 0


def _find(inputs: list[str]) -> tuple[list[Path], list[str]]:
    """Find the files that words stand for, and say why some stand for none."""
    from multiaxis.files.address import is_address
    from multiaxis.restoration.inputs import find_inputs

    distant = [word for word in inputs if is_address(word)]
    found = find_inputs([word for word in inputs if word not in distant], None)
    failures = [reason for _, reason in found.refused]
    failures += [f"{word} is an address: fetch the picture, and name the file" for word in distant]
    return [path for path in found.paths if isinstance(path, Path)], failures


def _line(path: Path, predictions: list[Prediction]) -> str:
    return json.dumps({"input": str(path), "predictions": [asdict(p) for p in predictions]})


def _table(path: Path, predictions: list[Prediction]) -> list[str]:
    rows = [f"  {100 * p.probability:5.1f} %  {p.label} ({p.index})" for p in predictions]
    return [str(path), *rows]
