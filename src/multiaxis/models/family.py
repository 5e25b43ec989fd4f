"""What a model family knows about itself: one record, which other rooms ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from torch import Tensor, nn

    from multiaxis.models.contents import CheckpointContents, Loaded

Config = TypeVar("Config")
Model = TypeVar("Model", bound="nn.Module")


@dataclass(frozen=True)
class Origin:
    """Whose names a checkpoint has.

    Attributes
    ----------
    family : str
        A key of `FAMILIES`.
    name : str
        A key of its `origins`.
    """

    family: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Family(Generic[Config, Model]):
    """A family of models.

    A record and its variants load without torch: what needs tensors imports it when it is called.

    Attributes
    ----------
    name : str
        What `create_model` takes for a model of any configuration.
    title : str
        As papers write it.
    default : Config
        The authors' defaults. Its type tells the family of a model.
    variants : mapping of str to Config
        The published ones.
    describe : callable
        Says a configuration in a few words.
    least_tensors : callable
        Says how few tensors the checkpoint of a configuration has, without building anything.
    build : callable
        Makes a model with random parameters.
    origins : mapping of str to str
        Whose names a checkpoint may have; a pattern of names that only those have, which begins
        where their names begin.
    find_config : callable
        ``find_config(contents, origin, given)`` gives the configuration of a checkpoint of an
        origin, and warns of what it does not show unless the user gives it.
    adopt : callable
        Takes a variant, a checkpoint's configuration and the fields that a user sets; gives the
        configuration of the model that the checkpoint is to be loaded into.
    load : callable
        ``load(model, contents, origin, *, skip, assign)`` loads a checkpoint into a model but for
        the parts that `skip` names, or leaves the model as it was.
    find_variant : callable
        Names the variant that a configuration is of, or gives None.
    foreign_forms : mapping of str to callable
        Namings under which a model can be written, beside ours. Each gives its tensors, and the
        configuration that they are of.
    group_parameters : callable
        ``group_parameters(model, *, lr, weight_decay, layer_decay)``, for an optimiser.
    fold : callable
        Folds a copy's norms into the layers beside them, in place.
    task : str
        What it is for, in the words of hubs, such as ``"image-classification"``.
    output : str
        What a forward pass gives, such as ``"logits"``.
    streamed : callable or None
        Gives the form that runs in bounded memory, where there is one.
    """

    name: str
    title: str
    default: Config
    variants: Mapping[str, Config]
    describe: Callable[[Config], str]
    least_tensors: Callable[[Config], int]
    build: Callable[[Config], Model]
    origins: Mapping[str, str]
    find_config: Callable[[CheckpointContents, str, Mapping[str, Any]], Config]
    adopt: Callable[[Config, Config, Mapping[str, Any]], Config]
    load: Callable[..., Loaded]
    find_variant: Callable[[Config], str | None]
    foreign_forms: Mapping[str, Callable[[Model], tuple[dict[str, Tensor], Config]]]
    group_parameters: Callable[..., list[dict[str, Any]]]
    fold: Callable[[Model], None]
    task: str
    output: str
    streamed: Callable[..., Any] | None = None
