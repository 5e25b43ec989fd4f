"""timm's names and layouts of the ported MaxViTs (``maxvit_*_tf_*``), to ours and back."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from multiaxis.errors import WeightsError
from multiaxis.models.maxvit.names.naming import TABLE, Naming, in_both

_MODULES = {
    "stem.conv1": "stem.conv1",
    "stem.norm1": "stem.norm",
    "stem.conv2": "stem.conv2",
    "head.norm": "head.norm",
    "head.pre_logits.fc": "head.hidden",
    "head.fc": "head.logits",
}
_IN_BLOCK = {
    "conv.shortcut.expand": "mbconv.project_shortcut",
    "conv.pre_norm": "mbconv.pre_norm",
    "conv.conv1_1x1": "mbconv.expand",
    "conv.norm1": "mbconv.expand_norm",
    "conv.conv2_kxk": "mbconv.depthwise",
    "conv.norm2": "mbconv.depthwise_norm",
    "conv.se.fc1": "mbconv.squeeze_excite.squeeze",
    "conv.se.fc2": "mbconv.squeeze_excite.excite",
    "conv.conv3_1x1": "mbconv.project",
} | in_both(
    {"attn_block": "block", "attn_grid": "grid"},
    {
        "norm1": "norm",
        "attn.qkv": "attention.qkv",
        "attn.proj": "attention.out",
        "attn.rel_pos": "attention.bias",
        "norm2": "mlp_norm",
        "mlp.fc1": "expand",
        "mlp.fc2": "project",
    },
)
_BLOCK = re.compile(r"stages[._](\d+)\.blocks\.(\d+)\.(.+)\.(\w+)$")
_NAMING = Naming(_MODULES, _IN_BLOCK, _BLOCK)
_OUR_BLOCK = re.compile(r"stages\.(\d+)\.(\d+)\.(.+)\.(\w+)$")
_CONVS = ("project_shortcut", "expand", "squeeze", "excite", "project")  # 1x1 there, dense here


def from_timm(arrays: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Rename and lay out a timm state dict as ours.

    Returns
    -------
    tensors : dict of str to Tensor
    unexpected : list of str
        timm's names that nothing was made of.

    Raises
    ------
    WeightsError
        If it is one of timm's own designs, which differ from the authors'.
    """
    tensors: dict[str, Tensor] = {}
    unexpected: list[str] = []
    for name, array in arrays.items():
        if ".rel_pos.mlp" in name or (name.endswith(TABLE) and array.ndim != 3):
            raise WeightsError(
                f"the parameter {name} {tuple(array.shape)} is of one of timm's own designs; "
                "accepted are its ports of the authors' models, maxvit_*_tf_*"
            )
        ours = _NAMING.our_name(name)
        if ours is None:
            unexpected.append(name)
        else:
            tensors[ours] = array[:, :, 0, 0] if _is_pointwise(ours, array) else array
    return tensors, unexpected


def to_timm(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename and lay out our parameters as timm's ``maxvit_*_tf_*`` have them."""
    back = {ours: theirs for theirs, ours in _MODULES.items()}
    back_in_block = {ours: theirs for theirs, ours in _IN_BLOCK.items()}
    arrays: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        block = _OUR_BLOCK.match(name)
        if block is None:
            module, _, leaf = name.rpartition(".")
            arrays[f"{back[module]}.{leaf}"] = tensor
            continue
        stage, index, module, leaf = block.groups()
        leaf = TABLE if leaf == "table" else leaf
        theirs = f"stages.{stage}.blocks.{index}.{back_in_block[module]}.{leaf}"
        is_conv = module.startswith("mbconv.") and module.rpartition(".")[2] in _CONVS
        arrays[theirs] = tensor[:, :, None, None] if is_conv and leaf == "weight" else tensor
    return arrays


def _is_pointwise(ours: str, array: Tensor) -> bool:
    return array.ndim == 4 and ".mbconv." in ours and not ours.endswith("depthwise.weight")
