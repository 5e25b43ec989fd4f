"""``multiaxis weights``."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import Literal

from multiaxis.cli import console
from multiaxis.cli.options import Flag
from multiaxis.errors import ConfigError, unknown


def list_weights(pattern: str = "*", /) -> None:
    """List the published checkpoints: model, training data, scores, licence, and what is cached.

    Parameters
    ----------
    pattern
        A shell pattern that a checkpoint's name, task, model or timm's name must match, such as
        derain or "maxvit_base*".
    """
    from multiaxis.weights.cache import cached_path, home
    from multiaxis.weights.index import list_checkpoints

    rows = list_checkpoints()
    kept = [
        row
        for row in rows
        if any(
            fnmatch.fnmatch(t, pattern) for t in (row.name, row.task, row.model, row.alias or "")
        )
    ]
    if not kept:
        raise unknown("checkpoint", pattern, [row.name for row in rows])
    for row in kept:
        scores = "; ".join(map(str, row.results)) or "no published score"
        is_here = cached_path(row.name).exists()
        state = "in the package" if row.packaged else "cached" if is_here else "-"
        console.say(f"{row.name:27} {row.model:14} {state}")
        console.say(f"    trained on {row.trained_on}; {scores}")
        console.say(f"    weights {row.licence}; from " + ", or ".join(map(str, row.sources)))
    console.say(f"cache: {home()}")


def pull(names: list[str], /, *, offline: Flag = False) -> None:
    """Fetch checkpoints into the cache, convert and check them.

    Parameters
    ----------
    names
        Checkpoints that "multiaxis weights list" shows. The name of a task stands for its default
        checkpoint.
    offline
        Never download: fail if a checkpoint is not cached. The environment variable
        MULTIAXIS_OFFLINE=1 does the same.
    """
    from multiaxis.weights.index import find_checkpoint
    from multiaxis.weights.pull import pull as pull_one

    rows = [find_checkpoint(name) for name in names]
    for row in rows:
        with console.progress("bytes") as show:
            path = pull_one(row, offline=offline, on_progress=show)
        console.say(f"{row.name}: {path}")


def verify() -> int:
    """Check that every cached checkpoint is whole and equals the published one."""
    from multiaxis.weights.cache import cached_path, home
    from multiaxis.weights.index import list_checkpoints
    from multiaxis.weights.pull import matches_index
    from multiaxis.weights.store import is_intact

    present = [row for row in list_checkpoints() if cached_path(row.name).exists()]
    damaged = 0
    for row in present:
        path = cached_path(row.name)
        if not is_intact(path):
            damaged += 1
            console.say(f"{row.name}: DAMAGED: run 'multiaxis weights pull {row.name}' again")
        elif row.digest is None:
            console.say(f"{row.name}: whole; there is no published checksum to compare it with")
        elif matches_index(path, row):
            console.say(f"{row.name}: whole, and equal to the published parameters")
        else:
            damaged += 1
            console.say(f"{row.name}: whole, but NOT equal to the published parameters: {path}")
    console.say(f"{len(present)} checkpoints cached in {home()}")
    return 1 if damaged else 0


def convert(
    file: str,
    output: Path,
    /,
    *,
    model: str | None = None,
    naming: Literal["multiaxis", "timm"] = "multiaxis",
    image_size: int | None = None,
    overwrite: Flag = False,
) -> None:
    """Convert a checkpoint to safetensors, under our names or timm's.

    Parameters
    ----------
    file
        The checkpoint: a name that "multiaxis weights list" shows, or a file. MAXIM: the authors'
        npz, or a TensorFlow.js model (a folder or a packed .tgz). MaxViT: the authors' TensorFlow
        checkpoint, timm's "tf" models, or torchvision's maxvit_t. Both: multiaxis' own safetensors.
    output
        The .safetensors file to write.
    model
        The checkpoint's variant, such as maxim_s2. By default the parameters tell it.
    naming
        multiaxis, or timm for a MaxViT that timm will load.
    image_size
        Side of the images that a MaxViT was tuned for, in pixels. By default 224: files do not
        state it.
    overwrite
        Replace the output if it exists. By default, an existing output is an error.
    """
    from multiaxis.weights.load import convert_weights
    from multiaxis.zoo import list_models

    if model is not None and model not in list_models():
        raise unknown("model", model, list_models())
    if output.suffix != ".safetensors":
        raise ConfigError(f"the output {output} must end in .safetensors")
    if output.exists() and not overwrite:
        raise ConfigError(f"the output {output} exists: pass --overwrite, or name another file")
    config = {} if image_size is None else {"image_size": image_size}
    name = convert_weights(file, output, model=model, naming=naming, config=config)
    console.say(f"{output}: {name}")
