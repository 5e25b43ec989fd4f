"""The authors' names and layouts (TensorFlow) of MaxViT's variables, to ours."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

_ATTENTION = {"": "block", "_1": "grid"}  # the second of two layers of one name is the grid's
_PART = {
    "stem/conv_0": "stem.conv1",
    "stem/norm_0": "stem.norm",
    "stem/conv_1": "stem.conv2",
    "final_layer_norm": "head.norm",
    "cls_head/inner_dense": "head.hidden",
    "cls_head/logit_dense": "head.logits",
}
_MBCONV = {
    "shortcut_conv": "project_shortcut",
    "pre_norm": "pre_norm",
    "expand_conv": "expand",
    "expand_norm": "expand_norm",
    "depthwise_conv": "depthwise",
    "depthwise_norm": "depthwise_norm",
    "se/reduce_conv2d": "squeeze_excite.squeeze",
    "se/expand_conv2d": "squeeze_excite.excite",
    "shrink_conv": "project",
}
_LAYER = {
    "attn_layer_norm": "norm",
    "attention/q": "attention.qkv",
    "attention/k": "attention.qkv",
    "attention/v": "attention.qkv",
    "attention/o": "attention.out",
    "attention": "attention.bias",
    "ffn_layer_norm": "mlp_norm",
    "ffn/expand_dense": "expand",
    "ffn/shrink_dense": "project",
}
_LEAF = {
    "kernel": "weight",
    "depthwise_kernel": "weight",
    "weight": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
    "relative_bias": "table",
}
_PLACE = re.compile(r"(?:^|/)((?:stem|final_layer_norm|cls_head|block_\d\d_\d\d)/.+)$")
_BLOCK = re.compile(r"block_(\d\d)_(\d\d)/(.+)$")


def our_name(name: str) -> str | None:
    """Translate ``maxvit/block_00_01/attention_1/o/weight`` and the like; None if it is no such.

    q, k and v have one name, since they are one parameter of ours.
    """
    place = _PLACE.search(name)
    if place is None:
        return None
    path, _, leaf = place[1].rpartition("/")
    block = _BLOCK.match(f"{path}/")
    module = _in_block(block) if block else _PART.get(path)
    return f"{module}.{_LEAF[leaf]}" if module and leaf in _LEAF else None


def _in_block(block: re.Match[str]) -> str | None:
    path = block[3].removesuffix("/")
    where = f"stages.{int(block[1])}.{int(block[2])}"
    if path.startswith("mbconv/"):
        part = _MBCONV.get(path.removeprefix("mbconv/"))
        return f"{where}.mbconv.{part}" if part else None
    layer = re.fullmatch(r"([a-z_]+?)(_1)?(/\w+)?", path)
    part = _LAYER.get(layer[1] + (layer[3] or "")) if layer else None
    return f"{where}.{_ATTENTION[layer[2] or '']}.{part}" if layer and part else None


def from_authors(arrays: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Rename and lay out the authors' variables as ours.

    Parameters
    ----------
    arrays : mapping of str to Tensor
        Under the authors' names, whatever stands before ``stem``, ``block_00_00`` and the others.

    Returns
    -------
    tensors : dict of str to Tensor
    unexpected : list of str
        Names that are no variables of the model: optimiser slots, counters.
    """
    tensors: dict[str, Tensor] = {}
    parts: dict[str, dict[str, Tensor]] = {}
    unexpected: list[str] = []
    for name, array in arrays.items():
        ours = our_name(name)
        if ours is None:
            unexpected.append(name)
        elif ".qkv." in ours:
            parts.setdefault(ours, {})[name.split("/")[-2]] = _laid_out(array, name, ours)
        else:
            tensors[ours] = _laid_out(array, name, ours)
    for ours, three in parts.items():
        if len(three) == 3:
            tensors[ours] = torch.cat([three[key] for key in "qkv"])
    return tensors, unexpected


def _laid_out(array: Tensor, name: str, ours: str) -> Tensor:
    if ours.endswith("bias.table"):
        return array if array.ndim == 3 else array[None]  # one table shared by all heads
    if ".attention." in ours:
        return _attention(array, ours)
    if array.ndim == 2:
        return array.T.contiguous()
    if array.ndim < 4:
        return array
    if name.endswith("depthwise_kernel"):
        return array.permute(2, 3, 0, 1).contiguous()
    # A 1x1 convolution is a dense layer of ours.
    is_conv = ours.startswith("stem.")
    return (array.permute(3, 2, 0, 1) if is_conv else array[0, 0].T).contiguous()


def _attention(array: Tensor, ours: str) -> Tensor:
    """Flatten (channels, heads, head_dim) of q, k, v and (heads, head_dim, channels) of o."""
    if ".out." in ours:
        return array.flatten(0, -2).T.contiguous() if array.ndim == 3 else array
    return array.flatten(1).T.contiguous() if array.ndim == 3 else array.flatten()
