"""The authors' names and layouts (Flax) of MAXIM's parameters, from ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multiaxis.models.maxim.config import MaximConfig

# Applied in this order to the dotted path of a module of ours; numbers stand for \d+.
_RULES: list[tuple[str, str]] = [
    (pattern.replace("#", r"(\d+)"), replacement)
    for pattern, replacement in [
        # places in the network
        (r"stages\.#\.input_convs\.#", r"stage_\1_input_conv_\2"),
        (r"stages\.#\.input_fusions\.#\.project$", r"stage_\1_input_catconv_\2"),
        (r"stages\.#\.input_fusions\.#", r"stage_\1_input_fuse_sam_\2"),
        (r"stages\.#\.encoders\.#\.body\.", r"stage_\1_encoder_block_\2."),
        (r"stages\.#\.encoders\.#\.cross", r"stage_\1_encoder_block_\2.cross_gating_block"),
        (r"stages\.#\.encoders\.#\.down", r"stage_\1_encoder_block_\2.Conv_1"),
        (r"stages\.#\.bottleneck\.#\.project", r"stage_\1_global_block_\2.input_proj"),
        (r"stages\.#\.bottleneck\.#", r"stage_\1_global_block_\2"),
        (r"stages\.#\.bridge_gates\.#", r"stage_\1_cross_gating_block_\2"),
        (r"stages\.#\.decoders\.#\.up", r"stage_\1_decoder_block_\2.ConvTranspose_0"),
        (r"stages\.#\.decoders\.#\.body", r"stage_\1_decoder_block_\2.UNetEncoderBlock_0"),
        (r"stages\.#\.supervisors\.#", r"stage_\1_supervised_attention_module_\2"),
        (r"stages\.#\.heads\.#", r"stage_\1_output_conv_\2"),
        # a level's body
        (r"groups\.#\.mlp", r"SplitHeadMultiAxisGmlpLayer_\1"),
        (r"groups\.#\.refine", r"channel_attention_block_1\1"),
        (r"mlps\.#", r"SplitHeadMultiAxisGmlpLayer_\1"),
        (r"refines\.#", r"channel_attention_block_1_\1"),
        # cross gating
        (r"up_y", r"ConvTranspose_0"),
        (r"gate\.norm_(\w)", r"LayerNorm_\1"),
        (r"gate\.project_(in|out)_(\w)", r"\1_project_\2"),
        (r"gate\.gating_(\w)", r"SplitHeadMultiAxisGating_\1"),
        (r"grid_mix", r"Dense_0"),
        (r"block_mix", r"Dense_1"),
        (r"\bproject_x\b", r"Conv_0"),
        (r"\bproject_y\b", r"Conv_1"),
        # multi-axis gated MLP
        (r"grid_mlp", r"GridGmlpLayer"),
        (r"block_mlp", r"BlockGmlpLayer"),
        (r"(Grid|Block)GmlpLayer\.gate_norm", r"\1GmlpLayer.\1GatingUnit.intermediate_layernorm"),
        (r"(Grid|Block)GmlpLayer\.mix", r"\1GmlpLayer.\1GatingUnit.Dense_0"),
        (r"GmlpLayer\.norm", r"GmlpLayer.LayerNorm"),
        (r"(GmlpLayer_\d+|Gating_\w)\.norm", r"\1.LayerNorm_in"),
        (r"project_(in|out)$", r"\1_project"),
        # channel attention and its blocks
        (r"(channel_attention_block_\w+)\.norm", r"\1.LayerNorm"),
        (r"attention\.squeeze", r"channel_attention.Conv_0"),
        (r"attention\.excite", r"channel_attention.Conv_1"),
        (r"dense1", r"channel_mixing.Dense_0"),
        (r"dense2", r"channel_mixing.Dense_1"),
        # supervised attention
        (r"(attention_module_\d+)\.features", r"\1.Conv_0"),
        (r"(attention_module_\d+)\.picture", r"\1.Conv_1"),
        (r"(attention_module_\d+)\.mask", r"\1.Conv_2"),
        # what is left of a body's entry
        (r"\.project$", r".Conv_0"),
    ]
]


def authors_name(name: str, config: MaximConfig) -> str:
    """Translate the name of one of our parameters, such as ``stages.0.input_convs.0.weight``.

    Returns
    -------
    str
        Module path and leaf joined by slashes, such as ``stage_0_input_conv_0/kernel``.
    """
    path, leaf = name.rsplit(".", 1)
    is_norm = path.rsplit(".", 1)[-1].startswith(("norm", "gate_norm"))
    if leaf == "weight":
        leaf = "scale" if is_norm else "kernel"
    path = _numbered(path, config) or path
    for pattern, replacement in _RULES:
        path = re.sub(pattern, replacement, path)
    return f"{path}/{leaf}".replace(".", "/")


def _numbered(path: str, config: MaximConfig) -> str | None:
    """Name the modules that the authors number over the whole network, in the order of calls."""
    depth = config.depth
    rescale = re.match(r"stages\.(\d+)\.(bridge|skip)_rescales\.(\d+)\.(\d+)", path)
    if rescale:
        stage, to, source = (int(rescale[k]) for k in (1, 3, 4))
        if rescale[2] == "bridge":
            place = (depth - 1 - to) * depth + source
        else:
            place = depth**2 + (depth - 1 - to) * depth + (depth - 1 - source)
        return f"UpSampleRatio_{stage * 2 * depth**2 + place}.Conv_0"
    plain = re.match(r"stages\.(\d+)\.bridge_gates\.(\d+)\.(project|conv)$", path)
    if plain and not config.use_cross_gating:
        stage, level = int(plain[1]), int(plain[2])
        return f"Conv_{2 * (stage * depth + depth - 1 - level) + (plain[3] == 'conv')}"
    return None


def from_authors(
    arrays: Mapping[str, NDArray[np.generic] | Tensor],
    shapes: Mapping[str, Iterable[int]],
    config: MaximConfig,
) -> tuple[dict[str, Tensor], list[str], list[str]]:
    """Rename and lay out an authors' checkpoint as ours.

    Parameters
    ----------
    arrays : mapping of str to ndarray or Tensor
        Under the authors' names.
    shapes : mapping of str to shape
        Our parameters.
    config : MaximConfig

    Returns
    -------
    tensors : dict of str to Tensor
        Under our names; shapes may still differ from `shapes`.
    missing : list of str
        Our names that the checkpoint lacks.
    unexpected : list of str
        The authors' names that nothing was made of.
    """
    theirs = {name: authors_name(name, config) for name in shapes}
    tensors = {
        ours: _laid_out(_tensor(arrays[name]), ours, shape)
        for (ours, name), shape in zip(theirs.items(), shapes.values(), strict=True)
        if name in arrays
    }
    missing = [ours for ours, name in theirs.items() if name not in arrays]
    unexpected = sorted(set(arrays) - set(theirs.values()))
    return tensors, missing, unexpected


def _tensor(array: NDArray[np.generic] | Tensor) -> Tensor:
    return array if isinstance(array, Tensor) else torch.from_numpy(np.array(array, order="C"))


def _laid_out(array: Tensor, name: str, shape: Iterable[int]) -> Tensor:
    if array.ndim == 4 and re.search(r"\.up(_y)?\.weight$", name):
        # Flax does not flip the kernel of a transposed convolution, PyTorch does.
        return array.flip(0, 1).permute(2, 3, 0, 1).contiguous()
    if array.ndim == 4:
        array = array.permute(3, 2, 0, 1)
        return (array[:, :, 0, 0] if len(tuple(shape)) == 2 else array).contiguous()
    return array.T.contiguous() if array.ndim == 2 else array
