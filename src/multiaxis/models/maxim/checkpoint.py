"""Checkpoints of MAXIM: their configuration, and how they are loaded into a model."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from torch import Tensor

from multiaxis.errors import WeightsError
from multiaxis.models.contents import (
    CheckpointContents,
    Loaded,
    check_fit,
    keep_own,
    shapes_of,
    stated_config,
)
from multiaxis.models.maxim.config import VARIANTS, MaximConfig
from multiaxis.models.maxim.names import OURS, TFJS
from multiaxis.models.maxim.names.authors import from_authors
from multiaxis.models.maxim.names.tfjs import authors_arrays
from multiaxis.models.maxim.network import Maxim

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_log = logging.getLogger(__name__)


def find_config(contents: CheckpointContents, origin: str) -> MaximConfig:
    """Read the configuration that a checkpoint of ours states; else find the published variant.

    Foreign checkpoints, and old ones of ours, show their number of stages and features only.

    Raises
    ------
    WeightsError
        If what is stated is no configuration, or no variant is like that.
    """
    stated = stated_config(contents, MaximConfig)
    if stated is not None:
        return stated
    arrays = contents.arrays if origin == OURS else _authors_arrays(contents, origin)
    if origin == OURS:
        stages = {name.split(".")[1] for name in arrays if name.startswith("stages.")}
        first = arrays.get("stages.0.input_convs.0.bias")
    else:
        stages = {name.split("_")[1] for name in arrays if name.startswith("stage_")}
        first = arrays.get("stage_0_input_conv_0/bias")
    features = first.shape[0] if first is not None and first.ndim == 1 else 0
    for config in VARIANTS.values():
        if (config.num_stages, config.features) == (len(stages), features):
            return config
    raise WeightsError(
        f"{contents.path} is not a published MAXIM: it has {len(stages)} stages and {features} "
        f"features; known variants are {', '.join(VARIANTS)}"
    )


def load(
    model: Maxim,
    contents: CheckpointContents,
    origin: str,
    *,
    skip: Sequence[str] = (),
    assign: bool = False,
) -> Loaded:
    """Load a checkpoint into a model, which loses the coarse heads that the file lacks.

    Parameters
    ----------
    model : Maxim
    contents : CheckpointContents
    origin : str
        A key of `names.ORIGINS`.
    skip : sequence of str
        What the model keeps of its own; as `keep_own` takes it.
    assign : bool
        Whether the model takes the tensors as they are instead of copying them.

    Raises
    ------
    ConfigError
        If `skip` names nothing.
    WeightsError
        If names or shapes differ; the model is unchanged then.
    """
    config, shapes = model.config, shapes_of(model)
    tensors, unexpected = _our_tensors(contents, origin, shapes, config)
    skipped = keep_own(tensors, model.state_dict(), skip)
    last = f"stages.{config.num_stages - 1}.heads."
    heads = [
        scale
        for scale in range(1, config.num_supervision_scales)
        if not _has(tensors, f"{last}{scale}.", shapes)
    ]
    what = f"a MAXIM of {config.num_stages} stages and {config.features} features"
    optional = tuple(f"{last}{scale}." for scale in heads)
    needed = {name: shape for name, shape in shapes.items() if not name.startswith(optional)}
    check_fit(what, contents.path, tensors, needed, unexpected)
    model.remove_heads(heads)
    model.load_state_dict(tensors, assign=assign)
    if model.missing_heads:
        _log.info(
            "%s lacks the output heads of the scales %s of the last stage; the restored picture "
            "does not need them, forward_stages does",
            contents.path,
            model.missing_heads,
        )
    kind = str(contents.kind)
    return Loaded(kind, origin, missing_heads=model.missing_heads, skipped=skipped)


def _our_tensors(
    contents: CheckpointContents,
    origin: str,
    shapes: Mapping[str, tuple[int, ...]],
    config: MaximConfig,
) -> tuple[dict[str, Tensor], list[str]]:
    """Bring a checkpoint under our names; returns also the foreign names that are left over."""
    if origin == OURS:
        return contents.tensors(), []
    found, _, unexpected = from_authors(_authors_arrays(contents, origin), shapes, config)
    tensors = {n: t.float() if t.is_floating_point() else t for n, t in found.items()}
    return tensors, unexpected


def _authors_arrays(contents: CheckpointContents, origin: str) -> Mapping[str, Any]:
    """Give the arrays under the authors' names, in Flax' layout."""
    if origin == TFJS:
        return authors_arrays(contents.arrays, contents.nodes)  # pyright: ignore[reportArgumentType]
    return contents.arrays


def _has(tensors: Mapping[str, Tensor], prefix: str, shapes: Mapping[str, object]) -> bool:
    """Whether a whole module is there, or the model has none."""
    return all(name in tensors for name in shapes if name.startswith(prefix))
