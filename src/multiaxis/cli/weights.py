"""``multiaxis weights``."""

from __future__ import annotations

from pathlib import Path

from multiaxis.cli import console
from multiaxis.cli.options import Flag
from multiaxis.errors import ConfigError


def list_weights(task: str | None = None, /) -> None:
    """List the published checkpoints: what each is for, its scores, terms, and whether it is here.

    Parameters
    ----------
    task
        Only those of one task.
    """
    from multiaxis.weights.cache import cached_path, home
    from multiaxis.weights.index import list_checkpoints

    for row in list_checkpoints(task):
        scores = "; ".join(f"{r.test_set} {r.psnr:g} dB / {r.ssim:g}" for r in row.results)
        state = "cached" if cached_path(row.name).exists() else "-"
        console.say(f"{row.name:18} {row.model:9} {state:7} trained on {row.trained_on}; {scores}")
        console.say(f"{'':18} weights {row.licence}; from " + ", or ".join(map(str, row.sources)))
    console.say(f"cache: {home()}")


def pull(names: list[str], /, *, offline: Flag = False) -> None:
    """Fetch checkpoints into the cache, converted and checked.

    Parameters
    ----------
    names
        Checkpoints of "multiaxis weights list"; a task's name means its default one.
    offline
        Ask no source: fail unless the cache has it (also: MULTIAXIS_OFFLINE=1).
    """
    from multiaxis.weights.index import find_checkpoint
    from multiaxis.weights.pull import pull as pull_one

    rows = [find_checkpoint(name) for name in names]
    for row in rows:
        with console.progress("bytes") as show:
            path = pull_one(row, offline=offline, on_progress=show)
        console.say(f"{row.name}: {path}")


def verify() -> int:
    """Check that every cached checkpoint is whole, and what the index says."""
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
            console.say(f"{row.name}: whole; no checksum is published to compare it with")
        elif matches_index(path, row):
            console.say(f"{row.name}: whole, and the published parameters")
        else:
            damaged += 1
            console.say(f"{row.name}: whole, but NOT the published parameters: {path}")
    console.say(f"{len(present)} cached in {home()}")
    return 1 if damaged else 0


def convert(
    file: Path,
    output: Path,
    /,
    *,
    model: str | None = None,
    overwrite: Flag = False,
) -> None:
    """Convert a checkpoint to safetensors.

    Parameters
    ----------
    file
        The authors' npz, a TensorFlow.js model (folder or packed .tgz), or safetensors.
    output
        File to write.
    model
        The variant that it is, such as maxim_s2; found out from the parameters by default.
    overwrite
        Replace the output if it exists.
    """
    from multiaxis.errors import unknown
    from multiaxis.weights.load import convert_weights
    from multiaxis.zoo import list_models

    if model is not None and model not in list_models():
        raise unknown("model", model, list_models())
    if output.suffix != ".safetensors":
        raise ConfigError(f"the output {output} must end in .safetensors")
    if output.exists() and not overwrite:
        raise ConfigError(f"the output {output} exists: pass --overwrite, or name another file")
    name = convert_weights(file, output, model=model)
    console.say(f"{output}: {name}")
