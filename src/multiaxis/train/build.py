"""The model of a recipe, and how its blocks run while it is trained."""

from __future__ import annotations

from collections.abc import Collection

from torch import nn

from multiaxis.errors import ConfigError
from multiaxis.train.recipe import ModelChoice
from multiaxis.zoo import create_named, open_model


def build_model(choice: ModelChoice) -> nn.Module:
    """Build the model of a recipe, with its weights if it names any."""
    if choice.weights is not None and not choice.config:
        return open_model(choice.weights)
    return create_named(choice.name, choice.weights, choice.config)


def prepare_blocks(models: Collection[nn.Module], *, recompute: bool, compile_: bool) -> None:
    """Switch recomputation on, and compile each block by itself, in all models that have blocks.

    Raises
    ------
    ConfigError
        If none has any.
    """
    for wanted, field, method in (
        (recompute, "run.recompute", "set_grad_checkpointing"),
        (compile_, "run.compile", "blocks"),
    ):
        if wanted and not any(hasattr(model, method) for model in models):
            kinds = ", ".join(type(model).__name__ for model in models)
            raise ConfigError(
                f"{field} is true, and there are no blocks in {kinds}: --set {field}=false"
            )
    for model in models:
        if recompute and hasattr(model, "set_grad_checkpointing"):
            model.set_grad_checkpointing(True)  # pyright: ignore[reportCallIssue]
        if compile_ and hasattr(model, "blocks"):
            for block in model.blocks():  # pyright: ignore[reportCallIssue]
                block.compile()
