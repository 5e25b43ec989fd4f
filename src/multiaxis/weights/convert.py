"""A checkpoint file of any known kind into a safetensors file of ours, or of timm's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from multiaxis.errors import ConfigError, WeightsError
from multiaxis.models.build import build_found
from multiaxis.models.families import FAMILIES
from multiaxis.weights.contents import read_model
from multiaxis.weights.store import write_safetensors

OURS = "multiaxis"


def namings() -> tuple[str, ...]:
    """List under whose names a file can be written."""
    return (OURS, *sorted({name for family in FAMILIES.values() for name in family.foreign_forms}))


def convert_file(
    source: Path,
    target: Path,
    *,
    model: str | None = None,
    naming: str = OURS,
    config: Mapping[str, Any] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> str:
    """Convert a file; as `multiaxis.weights.load.convert_weights`."""
    if naming not in namings():
        raise ConfigError(f"the naming is {naming!r}: accepted are {', '.join(namings())}")
    contents = read_model(source)
    loaded, family = build_found(contents, config or {})
    name = family.find_variant(loaded.config) or family.name
    if model is not None and model != name:
        raise WeightsError(f"{source} is {name}, not {model}: name {name}, or leave the model out")
    if naming == OURS:
        tensors, stated = loaded.state_dict(), loaded.config
    elif naming in family.foreign_forms:
        tensors, stated = family.foreign_forms[naming](loaded)
    else:
        raise ConfigError(f"{source} is {name}, which {naming} does not have: leave --naming out")
    kept = {**contents.metadata, **(metadata or {})}
    kept.update(model=name, config=json.dumps(asdict(stated)))
    write_safetensors(target, tensors, kept)
    return name
