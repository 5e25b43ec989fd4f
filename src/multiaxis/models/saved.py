"""What models have in common beside their arithmetic: how they are saved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from multiaxis.errors import ConfigError, WeightsError
from multiaxis.models.contents import CheckpointContents, shapes_of
from multiaxis.models.families import family_of
from multiaxis.models.hub import Card, Shared
from multiaxis.models.store import as_named, read_safetensors, write_safetensors
from multiaxis.models.wrapping import plain_name, unwrap

LABELS = "labels"
"""Under what a file states the names of the classes of its head."""


class Saved(Shared, nn.Module):
    """A model that can be saved, in a file or on a hub.

    Attributes
    ----------
    config : MaximConfig or MaxViTConfig
    about : dict of str to str
        What a file stated of the model beside its configuration, such as class names and
        preprocessing, as JSON. `save` writes it again.
    """

    config: Any

    def __init__(self) -> None:
        super().__init__()
        self.about: dict[str, str] = {}

    def save(self, path: str | Path, *, about: Mapping[str, str] | None = None) -> None:
        """Write the model as a file that `create_model` opens by itself.

        Parameters
        ----------
        path : str or Path
            A .safetensors file, written all or nothing; replaced if it exists. It states the
            configuration with its windows and their policy, and what `about` states.
        about : mapping of str to str, optional
            More to state, in the place of what the model has under the same keys.

        Raises
        ------
        ConfigError
            If the path has another suffix, or the model was changed since it was built, as by
            folding or adapters: no file of it could be opened.
        WeightsError
            If the file cannot be written.

        Examples
        --------
        >>> from multiaxis import create_model
        >>> create_model("maxvit_pico", image_size=96).save("mine.safetensors")  # doctest: +SKIP
        >>> create_model(weights="mine.safetensors").config.windows  # doctest: +SKIP
        ((3, 3), (3, 3))
        """
        path = as_named(path)
        family = family_of(self, "save")
        state = self._plain_state()
        self._check_parts(state)
        stated = {
            **self.about,
            **(about or {}),
            "model": family.find_variant(self.config) or family.name,
            "config": json.dumps(asdict(self.config)),
        }
        write_safetensors(path, state, stated)

    @classmethod
    def open_file(cls, path: Path, **options: Any) -> Self:
        """Open a safetensors file of a model of this class.

        Parameters
        ----------
        path : Path
        **options
            Fields that replace what the file states.

        Raises
        ------
        ConfigError
            If a field is unknown, or a value cannot work.
        WeightsError
            If the file is unreadable, or of another class of model.
        """
        from multiaxis.models.build import build_found
        from multiaxis.models.families import marks

        tensors, metadata = read_safetensors(path)
        contents = CheckpointContents(path, "safetensors", tensors, metadata)
        model = build_found(unwrap(contents, marks()), options)[0]
        if not isinstance(model, cls):
            raise WeightsError(
                f"{path} is a {type(model).__name__}, not a {cls.__name__}: use "
                f"{type(model).__name__}.from_pretrained, or create_model(weights=...)"
            )
        return model

    def card(self) -> Card:
        """Say what the card on a hub says."""
        family = family_of(self, "describe")
        count = sum(parameter.numel() for parameter in self.parameters())
        return Card(
            title=family.find_variant(self.config) or family.title,
            text=f"{family.describe(self.config)}; {count / 1e6:.1f} million parameters.",
            task=family.task,
            tags=(family.name, "multiaxis"),
            opener="multiaxis.create_model(weights={})",
            facts=asdict(self.config),
        )

    def as_built(self) -> Saved:
        """Build a model of the same parts, with random parameters."""
        return type(self)(self.config)  # pyright: ignore[reportCallIssue] (children take one)

    def _plain_state(self) -> dict[str, Tensor]:
        return {plain_name(n): value.detach().cpu() for n, value in self.state_dict().items()}

    def _check_parts(self, state: Mapping[str, Tensor]) -> None:
        with torch.device("meta"):
            expected = shapes_of(self.as_built())
        found = {name: tuple(value.shape) for name, value in state.items()}
        odd = sorted({name for name, _ in found.items() ^ expected.items()})
        if odd:
            raise ConfigError(
                f"the model is no longer what its configuration builds, as {odd[0]} shows: save it "
                "before it is folded or given adapters (peft: merge_and_unload())"
            )
