"""A checkpoint of any known kind into a model, or into a file of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from torch import nn

from multiaxis.files.bounds import readable
from multiaxis.models.build import build_found, load_contents
from multiaxis.models.contents import Loaded
from multiaxis.models.families import family_of
from multiaxis.weights.contents import Weights, read_model, read_state_dict
from multiaxis.weights.convert import convert_file
from multiaxis.weights.find import find_file
from multiaxis.weights.purpose import stated_purpose, wrong_purpose


def load_weights(model: nn.Module, weights: Weights, *, skip: Sequence[str] = ()) -> Loaded:
    """Load a checkpoint into a model, in place. The content of a file tells its kind.

    Parameters
    ----------
    model : Maxim or MaxViT
        Built by `create_model`.
    weights : str, Path or mapping of str to Tensor
        A published checkpoint's name, a file, or a state dict, alone or in dicts such as a
        training's. MAXIM: the authors' npz (with or without its ``opt/target/`` prefix) or a
        TensorFlow.js model (folder or tarball). MaxViT: the authors' TensorFlow checkpoint (its
        averaged weights) or an npz under their names, timm's ``maxvit_*_tf_*`` or torchvision's
        `maxvit_t` (safetensors or pth). Both: state dicts of ours in any container.
    skip : sequence of str
        What the model keeps of its own, whatever the checkpoint holds of it: names of parts or
        parameters, such as ``"head"`` or ``"stages.3"``, or shell patterns such as
        ``"*.bias.table"``.

    Returns
    -------
    Loaded
        What the file was, what it lacked, and what was adapted.

    Raises
    ------
    ConfigError
        If the model is neither a MAXIM nor a MaxViT of multiaxis, or `skip` names nothing.
    WeightsError
        If the file is unreadable, or a checkpoint of another architecture. The message names the
        first mismatches, and the model stays unchanged.

    Notes
    -----
    Names may begin with anything, such as ``module.``, Lightning's ``model.`` or the ``encoder.``
    of a larger network, whose other tensors are left out. Of several models in a file, averaged
    weights (``model_ema``, ``state_dict_ema`` and the like) are preferred. For a MaxViT with other
    windows, the bias tables are stretched, as the authors do. A MaxViT with another number of
    classes keeps its own head. The log and the result state all of it.

    Examples
    --------
    >>> from multiaxis import create_model
    >>> teacher, student = create_model("maxvit_pico"), create_model("maxvit_pico", num_classes=3)
    >>> load_weights(student, {"teacher": teacher.state_dict()}, skip=["head"]).taken_from
    'teacher'
    """
    family_of(model, "load weights into")
    if isinstance(weights, Mapping):
        contents = read_state_dict(weights)
    else:
        contents = read_model(find_file(weights))
    with readable(contents.path):
        return load_contents(model, contents, skip=skip)


def load_model(weights: str | Path, **config: Any) -> nn.Module:
    """Build the model that a checkpoint is of, with its weights, for evaluation.

    Parameters
    ----------
    weights : str or Path
        As in `load_weights`.
    **config
        Fields of `MaxViTConfig` that replace what the checkpoint shows, such as `image_size`.

    Raises
    ------
    WeightsError
        If the file is unreadable, or of no model that can be built.
    """
    path = find_file(weights)
    contents = read_model(path)
    if contents.origin is None and stated_purpose(path):  # nothing of ours is in it
        raise wrong_purpose(path, "MAXIM or MaxViT", "are checkpoints of one of them")
    return build_found(contents, config)[0]


def convert_weights(
    source: str | Path,
    target: str | Path,
    *,
    model: str | None = None,
    naming: Literal["multiaxis", "timm"] = "multiaxis",
    config: Mapping[str, Any] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> str:
    """Convert a checkpoint of any known kind to safetensors.

    Parameters
    ----------
    source : str or Path
        As in `load_weights`.
    target : str or Path
        File to write, atomically; replaced if it exists.
    model : str, optional
        Name of the variant that it must be; found out from the parameters where it is not given.
    naming : str
        ``"multiaxis"``, or ``"timm"`` to write a MaxViT that timm's ``maxvit_*_tf_*`` load. Its
        tables are stretched to the windows, as timm has them.
    config : mapping of str to value, optional
        As in `load_model`: what the file is to state and does not show, such as the image size.
    metadata : mapping of str to str, optional
        Kept in the file.

    Returns
    -------
    str
        Name of the variant; the family's, ``"maxim"`` or ``"maxvit"``, where it is none of them.

    Raises
    ------
    ConfigError
        If the naming is unknown, or not for this model.
    WeightsError
        If the file is unreadable, of another variant, or the target cannot be written.
    """
    return convert_file(
        find_file(source),
        Path(target),
        model=model,
        naming=naming,
        config=config,
        metadata=metadata,
    )
