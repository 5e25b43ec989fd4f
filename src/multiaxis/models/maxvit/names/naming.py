"""What timm's and torchvision's names of MaxViT's parameters have in common."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

TABLE = "relative_position_bias_table"
INDEX = "relative_position_index"
"""A buffer of theirs, which follows from the windows."""


def in_both(places: Mapping[str, str], layers: Mapping[str, str]) -> dict[str, str]:
    """Map the layers of both attentions, by where each begins."""
    return {
        f"{theirs}.{old}": f"{ours}.{new}"
        for theirs, ours in places.items()
        for old, new in layers.items()
    }


@dataclass(frozen=True)
class Naming:
    """How somebody names modules.

    Attributes
    ----------
    modules : mapping of str to str
        Their modules outside of blocks to ours.
    in_block : mapping of str to str
        Their modules in a block to ours.
    block : re.Pattern
        Of a parameter in a block: stage, block, module and leaf.
    """

    modules: Mapping[str, str]
    in_block: Mapping[str, str]
    block: re.Pattern[str]

    def our_name(self, name: str) -> str | None:
        """Translate a parameter's name; None where nothing of ours is called so."""
        block = self.block.match(name)
        if block is None:
            module, _, leaf = name.rpartition(".")
            return f"{self.modules[module]}.{leaf}" if module in self.modules else None
        stage, index, module, leaf = block.groups()
        if module not in self.in_block or leaf == INDEX:
            return None
        return (
            f"stages.{stage}.{index}.{self.in_block[module]}.{'table' if leaf == TABLE else leaf}"
        )
