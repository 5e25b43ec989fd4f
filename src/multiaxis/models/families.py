"""The table of model families. No tensors here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from multiaxis.errors import ConfigError, WeightsError
from multiaxis.models.family import Family, Origin
from multiaxis.models.maxim.family import MAXIM
from multiaxis.models.maxvit.family import MAXVIT

if TYPE_CHECKING:
    from torch import nn

    from multiaxis.models.contents import CheckpointContents

AnyFamily = Family[Any, Any]

FAMILIES: dict[str, AnyFamily] = {family.name: family for family in (MAXIM, MAXVIT)}


def family_of(model: object, verb: str = "use") -> AnyFamily:
    """Find the family of a model by its configuration.

    Parameters
    ----------
    model : Module
    verb : str
        What was to be done with it, for the message.

    Raises
    ------
    ConfigError
        If it is of none.
    """
    config = getattr(model, "config", None)
    for family in FAMILIES.values():
        if type(config) is type(family.default):
            return family
    titles = " or a ".join(family.title for family in FAMILIES.values())
    raise ConfigError(
        f"cannot {verb} a {type(model).__name__}: accepted is a {titles}, built by create_model"
    )


def family_inside(model: nn.Module, verb: str = "use") -> AnyFamily:
    """Find the family of the one model of ours in a network; as `model_inside`."""
    return family_of(model_inside(model, verb), verb)


def model_inside(model: nn.Module, verb: str = "use") -> nn.Module:
    """Find the one model of ours in a network, which may be the network itself.

    Parameters
    ----------
    model : Module
        Also wrapped: by DDP, ``torch.compile``, averaging, LoRA, Lightning, or in a detector.
    verb : str
        What was to be done with it, for the message.

    Raises
    ------
    ConfigError
        If there is none, or several.
    """
    kinds = {type(family.default): family for family in FAMILIES.values()}
    found: list[nn.Module] = []
    parts = [model]
    while parts:
        part = parts.pop()
        if type(vars(part).get("config")) in kinds:
            found.append(part)
        else:
            parts += part.children()
    if len(found) > 1:
        names = " and a ".join(type(part).__name__ for part in found[:2])
        raise ConfigError(
            f"cannot {verb} a {type(model).__name__}, which holds a {names}: accepted is one model"
        )
    inside = found[0] if found else model
    family_of(inside, verb)
    return inside


def parameter_groups(
    model: nn.Module, *, lr: float, weight_decay: float, layer_decay: float = 1.0
) -> list[dict[str, Any]]:
    """Group the trainable parameters for a PyTorch optimiser.

    Parameters
    ----------
    model : MaxViT, Backbone or Maxim
        Also wrapped, as in DDP or by ``torch.compile``; or a network around one, such as a
        detector or a decoder of another library: what is outside of it then belongs to the head.
    lr : float
        The learning rate. With `layer_decay`, that of the head.
    weight_decay : float
        The decay of all parameters except biases, norms and bias tables.
    layer_decay : float
        MaxViT: factor on the learning rate for each layer further from the head. Layers are the
        head, each block, and the stem.

    Returns
    -------
    list of dict
        With ``params``, ``lr`` and ``weight_decay``, as optimisers take them.

    Raises
    ------
    ConfigError
        If there is no MAXIM or MaxViT of multiaxis in it, or several, or `layer_decay` is given for
        a model whose layers have no order.

    Examples
    --------
    >>> from multiaxis import create_model
    >>> groups = parameter_groups(
    ...     create_model("maxvit_pico"), lr=1e-3, weight_decay=0.05, layer_decay=0.8
    ... )
    >>> len(groups)
    14
    """
    group = family_inside(model, "group the parameters of").group_parameters
    return group(model, lr=lr, weight_decay=weight_decay, layer_decay=layer_decay)


def marks() -> dict[Origin, str]:
    """Give the mark of each origin of each family: a pattern of names that only that one has."""
    return {
        Origin(family.name, origin): mark
        for family in FAMILIES.values()
        for origin, mark in family.origins.items()
    }


def recognise(contents: CheckpointContents) -> tuple[AnyFamily, str]:
    """Find out which family a checkpoint is of, and whose names it has.

    Returns
    -------
    family : Family
    origin : str
        A key of `family.origins`.

    Raises
    ------
    WeightsError
        If the names are nobody's that is known.
    """
    if contents.origin is not None:
        return FAMILIES[contents.origin.family], contents.origin.name
    if "config" in contents.metadata:  # a stem alone has names that many networks have
        for family in FAMILIES.values():
            if contents.metadata.get("model") in (family.name, *family.variants):
                return family, next(iter(family.origins))
    shown = ", ".join(sorted(contents.arrays)[:4]) or "none"
    accepted = ", ".join(origin for family in FAMILIES.values() for origin in family.origins)
    from multiaxis.models.contents import advice

    raise WeightsError(
        f"{contents.path} belongs to no known model; its first parameters are {shown}."
        f" Accepted are {accepted}. {advice(contents.arrays)}"
    )
