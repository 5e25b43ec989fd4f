"""A checkpoint of any known kind into a model, or into a file of ours."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor, nn

from multiaxis.errors import WeightsError
from multiaxis.models.maxim import VARIANTS, Maxim, MaximConfig
from multiaxis.weights.convert.maxim import AUTHORS_PREFIX, from_authors
from multiaxis.weights.convert.maxim_tfjs import authors_arrays
from multiaxis.weights.read import Kind, detect, read_npz, read_tfjs
from multiaxis.weights.store import read_safetensors, write_safetensors

_log = logging.getLogger(__name__)
_LISTED = 8  # names in an error before the rest is only counted


@dataclass(frozen=True)
class Loaded:
    """What `load_weights` found.

    Attributes
    ----------
    kind : str
        The container that the file turned out to be.
    missing_heads : list of int
        Scales of the last stage whose output head the file lacks; the model lost them too.
    """

    kind: str
    missing_heads: list[int]


@dataclass(frozen=True)
class _Contents:
    """Parameters as a file holds them: under our names, or under the authors'."""

    kind: Kind
    ours: dict[str, Tensor] | None
    theirs: Mapping[str, object]
    metadata: dict[str, str]


def load_weights(model: nn.Module, path: str | Path) -> Loaded:
    """Load a checkpoint into a model, in place; the file's kind is found out from its content.

    Parameters
    ----------
    model : Maxim
        Built by `create_model`.
    path : str or Path
        The authors' npz (with or without its ``opt/target/`` prefix), a TensorFlow.js model (folder
        or tarball), or safetensors of ours.

    Returns
    -------
    Loaded
        What the file was, and what it lacked.

    Raises
    ------
    WeightsError
        If the file is unreadable, or is a checkpoint of another architecture: the first few
        mismatches are named. The model is unchanged then.
    """
    if not isinstance(model, Maxim):
        raise WeightsError(
            f"cannot load weights into a {type(model).__name__}: build the model with create_model"
        )
    path = Path(path)
    contents = _read(path)
    tensors, heads = _fit(contents, _shapes(model), model.config, path)
    model.remove_heads(heads)
    model.load_state_dict(tensors)
    missing = model.missing_heads
    _log.info("loaded %s (%s)", path, contents.kind)
    if missing:
        _log.warning(
            "%s lacks the output heads of the scales %s of the last stage; the restored picture "
            "does not need them, forward_stages does",
            path,
            missing,
        )
    return Loaded(str(contents.kind), missing)


def load_model(path: str | Path) -> Maxim:
    """Build the published variant that a checkpoint is of, with its weights, for evaluation.

    Parameters
    ----------
    path : str or Path
        As in `load_weights`.

    Raises
    ------
    WeightsError
        If the file is unreadable, or fits no published variant.
    """
    path = Path(path)
    contents = _read(path)
    config = VARIANTS[_recognise(contents, path)]
    model = Maxim(config)
    tensors, heads = _fit(contents, _shapes(model), config, path)
    model.remove_heads(heads)
    model.load_state_dict(tensors, assign=True)
    return model.eval()


def convert_weights(
    source: str | Path,
    target: str | Path,
    *,
    model: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> str:
    """Convert a checkpoint of any known kind to safetensors of ours.

    Parameters
    ----------
    source : str or Path
        As in `load_weights`.
    target : str or Path
        File to write, atomically; replaced if it exists.
    model : str, optional
        Name of the variant; found out from the parameters where it is not given.
    metadata : mapping of str to str, optional
        Kept in the file.

    Returns
    -------
    str
        Name of the variant.

    Raises
    ------
    WeightsError
        If the file is unreadable, fits no published variant, or the target cannot be written.
    """
    source = Path(source)
    contents = _read(source)
    name = model or _recognise(contents, source)
    config = VARIANTS[name]
    tensors, _ = _fit(contents, _shapes(Maxim(config)), config, source)
    kept = {**contents.metadata, **(metadata or {})}
    kept.update(model=name, config=json.dumps(asdict(config)))
    write_safetensors(Path(target), tensors, kept)
    return name


def _shapes(model: Maxim) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def _read(path: Path) -> _Contents:
    kind = detect(path)
    if kind is Kind.NPZ:
        return _Contents(kind, None, read_npz(path, AUTHORS_PREFIX), {})
    if kind is Kind.TFJS:
        return _Contents(kind, None, authors_arrays(read_tfjs(path)), {})
    tensors, metadata = read_safetensors(path)
    return _Contents(kind, tensors, {}, metadata)


def _fit(
    contents: _Contents, shapes: Mapping[str, tuple[int, ...]], config: MaximConfig, path: Path
) -> tuple[dict[str, Tensor], list[int]]:
    """Bring the contents under our names; returns them and the coarse heads that they lack."""
    if contents.ours is not None:
        tensors = contents.ours
        missing = sorted(set(shapes) - set(tensors))
        unexpected = sorted(set(tensors) - set(shapes))
    else:
        tensors, missing, unexpected = from_authors(contents.theirs, shapes, config)  # pyright: ignore[reportArgumentType]
    last = f"stages.{config.num_stages - 1}.heads."
    optional = {
        scale: [name for name in missing if name.startswith(f"{last}{scale}.")]
        for scale in range(1, config.num_supervision_scales)
    }
    heads = [scale for scale, names in optional.items() if names]
    missing = [name for name in missing if not any(name in names for names in optional.values())]
    differing = [
        f"{name} {tuple(tensor.shape)} where the model has {shapes[name]}"
        for name, tensor in tensors.items()
        if name in shapes and tuple(tensor.shape) != shapes[name]
    ]
    if missing or unexpected or differing:
        raise WeightsError(_misfit(path, config, missing, unexpected, differing))
    return tensors, heads


def _misfit(
    path: Path,
    config: MaximConfig,
    missing: list[str],
    unexpected: list[str],
    differing: list[str],
) -> str:
    parts = [
        f"{title} {_first(names)}"
        for title, names in [
            ("missing:", missing),
            ("not in the model:", unexpected),
            ("of another shape:", differing),
        ]
        if names
    ]
    return (
        f"{path} does not fit a MAXIM of {config.num_stages} stages and {config.features} "
        f"features: {'; '.join(parts)}. Create the model that the checkpoint was made for "
        "(multiaxis.list_models() names the published ones)"
    )


def _first(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _recognise(contents: _Contents, path: Path) -> str:
    """Name the variant whose number of stages and features the parameters show."""
    if contents.ours is not None:
        names: Iterable[str] = contents.ours
        stages = {n.split(".")[1] for n in names if n.startswith("stages.")}
        first = contents.ours.get("stages.0.input_convs.0.bias")
    else:
        stages = {n.split("_")[1] for n in contents.theirs if n.startswith("stage_")}
        first = contents.theirs.get("stage_0_input_conv_0/bias")
    features = len(first) if first is not None else 0  # pyright: ignore[reportArgumentType]
    for name, config in VARIANTS.items():
        if (config.num_stages, config.features) == (len(stages), features):
            return name
    raise WeightsError(
        f"{path} is no published MAXIM: it shows {len(stages)} stages and {features} features; "
        f"known variants are {', '.join(VARIANTS)}"
    )
