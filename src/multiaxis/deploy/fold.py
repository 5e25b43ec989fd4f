"""Fold what is constant in inference into the weights beside it."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from torch import nn

from multiaxis.errors import ConfigError
from multiaxis.models.families import family_of, model_inside

Model = TypeVar("Model", bound=nn.Module)


def fold(model: Model, *, share: bool = False) -> Model:
    """Copy a model for inference, with every batch norm folded into the layer beside it.

    In a segmenter's, detector's or rater's network, the backbone is folded.

    Parameters
    ----------
    model : MaxViT, Maxim, or a network that holds one
        Stays as it is. A MAXIM has no batch norm: its copy only lacks gradients.
    share : bool
        Whether the copy holds the model's own weights where folding leaves them as they are, which
        saves their memory. Do not train such a model afterwards.

    Returns
    -------
    MaxViT, Maxim, or such a network
        Of the class of `model`. In evaluation mode, without gradients; outputs agree within
        rounding. It cannot be trained, and loads no checkpoint: fold again instead.

    Raises
    ------
    ConfigError
        If the model is of another kind.

    Examples
    --------
    >>> from multiaxis import create_model
    >>> folded = fold(create_model("maxvit_pico"))
    >>> any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())
    False
    """
    model_inside(model, "fold")
    own: dict[int, Any] = {}  # what deepcopy takes for copied already
    if share:
        own = {id(b): b for b in model.buffers()}
        own |= {id(p): nn.Parameter(p.detach(), requires_grad=False) for p in model.parameters()}
    copied = copy.deepcopy(model, own).eval().requires_grad_(requires_grad=False)
    inside = model_inside(copied)
    family_of(inside).fold(inside)
    return copied


def folded(model: Model) -> Model:
    """Fold a model with shared weights, or give the model itself where that cannot be.

    So it is with a backbone of another kind, norms that are no batch norms, and layers whose weight
    another tool computes. What is given back is not copied then.
    """
    try:
        return fold(model, share=True)
    except ConfigError:
        return model
