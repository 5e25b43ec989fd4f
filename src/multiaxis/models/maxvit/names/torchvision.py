"""torchvision's names and layouts of its ``maxvit_t``, to ours of the flavour torchvision."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from multiaxis.models.maxvit.names.naming import INDEX, Naming, in_both

_MODULES = {
    "stem.0.0": "stem.conv1",
    "stem.0.1": "stem.norm",
    "stem.1.0": "stem.conv2",
    "classifier.2": "head.norm",
    "classifier.3": "head.hidden",
    "classifier.5": "head.logits",
}
_IN_BLOCK = {
    "MBconv.proj.1": "mbconv.project_shortcut",
    "MBconv.layers.pre_norm": "mbconv.pre_norm",
    "MBconv.layers.conv_a.0": "mbconv.expand",
    "MBconv.layers.conv_a.1": "mbconv.expand_norm",
    "MBconv.layers.conv_b.0": "mbconv.depthwise",
    "MBconv.layers.conv_b.1": "mbconv.depthwise_norm",
    "MBconv.layers.squeeze_excitation.fc1": "mbconv.squeeze_excite.squeeze",
    "MBconv.layers.squeeze_excitation.fc2": "mbconv.squeeze_excite.excite",
    "MBconv.layers.conv_c": "mbconv.project",
} | in_both(
    {"window_attention": "block", "grid_attention": "grid"},
    {
        "attn_layer.0": "norm",
        "attn_layer.1": "attention.bias",
        "attn_layer.1.to_qkv": "attention.qkv",
        "attn_layer.1.merge": "attention.out",
        "mlp_layer.0": "mlp_norm",
        "mlp_layer.1": "expand",
        "mlp_layer.3": "project",
    },
)
_BLOCK = re.compile(r"blocks\.(\d+)\.layers\.(\d+)\.layers\.(.+)\.(\w+)$")
_NAMING = Naming(_MODULES, _IN_BLOCK, _BLOCK)


def from_torchvision(arrays: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Rename and lay out a torchvision state dict as ours.

    Its logits are scaled by the whole width, ours by a head's: the keys take up the difference.

    Returns
    -------
    tensors : dict of str to Tensor
    unexpected : list of str
        torchvision's names that nothing was made of.
    """
    tensors: dict[str, Tensor] = {}
    unexpected: list[str] = []
    for name, array in arrays.items():
        ours = _NAMING.our_name(name)
        if ours is not None:
            pointwise = array.ndim == 4 and array.shape[2:] == (1, 1)
            tensors[ours] = array[:, :, 0, 0] if pointwise else array
        elif not name.endswith(INDEX):
            unexpected.append(name)
    for name in [name for name in tensors if name.endswith("bias.table")]:
        heads = tensors[name].shape[-1]
        tensors[name] = _table(tensors[name])
        for leaf in ("weight", "bias"):
            qkv = name.replace("bias.table", f"qkv.{leaf}")
            if qkv in tensors:
                q, k, v = tensors[qkv].chunk(3)
                tensors[qkv] = torch.cat([q, k * heads**-0.5, v])
    return tensors, unexpected


def _table(flat: Tensor) -> Tensor:
    """Lay out (places, heads), query minus key, as (heads, rows, columns), key minus query."""
    side = math.isqrt(flat.shape[0])
    return flat.unflatten(0, (side, side)).flip(0, 1).permute(2, 0, 1).contiguous()
