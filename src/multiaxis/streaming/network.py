"""A whole MAXIM, evaluated in pieces: the same modules and weights, in the authors' order.

Maps are (height, width, channels). Functions that take lists of maps take them over: they empty
the lists as they go, so that a map's memory is free after its last reader.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from multiaxis.axis import MultiAxisGatedMlp
from multiaxis.models.maxim.blocks import (
    BottleneckBlock,
    Conv2d,
    CrossGatingBlock,
    DecoderBlock,
    DenseAttention,
    EncoderBlock,
    MixingGroup,
    Rescale,
    SupervisedAttention,
    Upsample,
)
from multiaxis.models.maxim.network import BridgeConvolution, FuseConvolution, Stage
from multiaxis.streaming.convolution import (
    ConvAttended,
    Convolution,
    DenseAttended,
    Supervised,
    add_resized,
    convolve,
    halve,
    row_bands,
)
from multiaxis.streaming.mixing import CrossGate, Dense, MixedMap


def _apply(dense: Dense, x: Tensor, out: Tensor) -> Tensor:
    """Apply a dense layer in bands; `out` may be `x`."""
    for rows in row_bands(x):
        out[rows] = dense(x[rows])
    return out


def _new(x: Tensor, channels: int, scale: int = 1) -> Tensor:
    return x.new_empty(x.shape[0] * scale, x.shape[1] * scale, channels)


def _columns(layer: nn.Linear, first: int, count: int, *, bias: bool = False) -> Dense:
    """Take the part of a dense layer that reads some of the concatenated channels."""
    weight = layer.weight[:, first : first + count]
    return Dense(weight, layer.bias if bias else None, layer.weight.dtype)


def _double(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias.double()


class _Rescaled:
    """Maps of all levels, each brought to one level and projected, then projected together."""

    def __init__(self, rescales: nn.ModuleList, project: nn.Linear, firsts: list[int]) -> None:
        """`firsts`: where each level's channels begin among those that `project` reads."""
        dtype = project.weight.dtype
        self.width = project.weight.shape[0]
        self.ratios: list[float] = []
        self.parts: list[Dense] = []
        bias = _double(project.bias)
        for first, module in zip(firsts, rescales, strict=True):
            rescale = cast(Rescale, module)
            inner = rescale.project
            outer = project.weight[:, first : first + inner.weight.shape[0]].double()
            self.parts.append(Dense(outer @ inner.weight.double(), None, dtype))
            self.ratios.append(rescale.ratio)
            if (own := _double(inner.bias)) is not None:
                # Weights of a resize sum to one: a bias passes through it.
                bias = (0 if bias is None else bias) + outer @ own
        self.bias = None if bias is None else bias.to(dtype)

    def add(self, maps: list[Tensor], out: Tensor) -> None:
        """Add all maps to `out`, which holds the bias already."""
        for x, ratio, part in zip(maps, self.ratios, self.parts, strict=True):
            if ratio > 1:
                add_resized(_apply(part, x, _new(x, self.width)), out)
            elif ratio < 1:
                add_resized(x, out, part)
            else:
                for rows in row_bands(x):
                    out[rows] += part(x[rows])

    def fill(self, out: Tensor) -> Tensor:
        """Put the bias everywhere."""
        return out.zero_() if self.bias is None else out.copy_(self.bias.expand_as(out))


class _Doubled:
    """A 2 x 2 transposed convolution and the dense layer behind it: one dense layer, shuffled."""

    def __init__(self, up: Upsample, project: Dense, *, bias: Tensor | None) -> None:
        dtype = up.weight.dtype
        outer = project.weight.double()
        self.width = outer.shape[0]
        corners = up.weight.double().permute(2, 3, 1, 0)  # (2, 2, out, in)
        self.dense = Dense((outer @ corners).flatten(0, 2), None, dtype)
        total = None if bias is None else bias.double()
        if up.bias is not None:
            total = (0 if total is None else total) + outer @ up.bias.double()
        self.bias = None if total is None else total.to(dtype)

    def __call__(self, x: Tensor) -> Tensor:
        """Double (height, width, channels) into a new map."""
        out = _new(x, self.width, 2)
        height, width, _ = x.shape
        corners = out.view(height, 2, width, 2, self.width)
        for rows in row_bands(x):
            y = self.dense(x[rows]).view(-1, width, 2, 2, self.width).transpose(1, 2)
            corners[rows] = y if self.bias is None else y + self.bias
        return out


class _Groups:
    """The `MixingGroup`s of a level, around a shortcut."""

    def __init__(self, groups: nn.ModuleList) -> None:
        pairs = [cast(MixingGroup, group) for group in groups]
        self.groups = [
            (None if group.mlp is None else MixedMap(group.mlp), ConvAttended(group.refine))
            for group in pairs
        ]

    def __call__(self, shortcut: Tensor) -> Tensor:
        x = shortcut
        for mix, refine in self.groups:
            if mix is not None:
                x = mix(x)
            elif x is shortcut:
                x = x.clone()  # refining is in place, and the shortcut is read again
            refine(x)
        return x.add_(shortcut) if x is not shortcut else x * 2


class _Bottleneck:
    """A `BottleneckBlock`."""

    def __init__(self, block: BottleneckBlock) -> None:
        self.project = Dense(block.project.weight, block.project.bias, block.project.weight.dtype)
        self.mlps = [MixedMap(cast(MultiAxisGatedMlp, mlp)) for mlp in block.mlps]
        self.refines = [DenseAttended(cast(DenseAttention, r)) for r in block.refines]

    def __call__(self, x: Tensor) -> Tensor:
        x = shortcut = _apply(self.project, x, torch.empty_like(x))
        for mix, refine in zip(self.mlps, self.refines, strict=True):
            x = mix(x)
            refine(x)
        return x.add_(shortcut)


class _Fusion:
    """Joins two maps of one size: a `CrossGatingBlock` without doubling, or a `FuseConvolution`."""

    def __init__(self, block: CrossGatingBlock | FuseConvolution) -> None:
        if isinstance(block, FuseConvolution):
            self.gate, width = None, block.project.weight.shape[0]
            self.x = _columns(block.project, 0, width, bias=True)
            self.y = _columns(block.project, width, width)
        else:
            self.gate = CrossGate(block.gate)
            dtype = block.project_x.weight.dtype
            self.x = Dense(block.project_x.weight, block.project_x.bias, dtype)
            self.y = Dense(block.project_y.weight, block.project_y.bias, dtype)

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Join into `x`; both are overwritten."""
        _apply(self.x, x, x)
        _apply(self.y, y, y)
        if self.gate is None:
            return x.add_(y)
        self.gate(x, y)
        return x


class _Encoder:
    """An `EncoderBlock`: body, gating by the stage before, halving."""

    def __init__(self, block: EncoderBlock, *, x_channels: int) -> None:
        project = block.body.project
        skip_channels = project.weight.shape[1] - x_channels
        self.x = _columns(project, 0, x_channels, bias=True)
        self.skip = _columns(project, x_channels, skip_channels) if skip_channels else None
        self.groups = _Groups(block.body.groups)
        self.cross = None if block.cross is None else _Fusion(block.cross)
        self.down = Convolution(block.down.weight, block.down.bias, stride=2)

    def body(self, x: Tensor, skip: Tensor | None) -> Tensor:
        """Mix; the inputs are not kept here."""
        shortcut = _apply(self.x, x, _new(x, self.x.weight.shape[0]))
        if skip is not None and self.skip is not None:
            for rows in row_bands(shortcut):
                shortcut[rows] += self.skip(skip[rows])
        del x, skip
        return self.groups(shortcut)


class StreamedStage:
    """A `Stage` of a MAXIM, evaluated in pieces.

    Parameters
    ----------
    stage : Stage
    """

    def __init__(self, stage: Stage) -> None:
        self.depth, self.scales = stage.depth, stage.scales
        convs = [cast(Conv2d, conv) for conv in stage.input_convs]
        self.inputs = [Convolution(conv.weight, conv.bias) for conv in convs]
        self.fusions = [_Fusion(cast(CrossGatingBlock, f)) for f in stage.input_fusions]
        encoders = [cast(EncoderBlock, encoder) for encoder in stage.encoders]
        self.widths = [encoder.down.out_channels for encoder in encoders]
        self.encoders = [
            _Encoder(encoder, x_channels=self.widths[max(level - 1, 0)])
            for level, encoder in enumerate(encoders)
        ]
        self.bottleneck = [_Bottleneck(cast(BottleneckBlock, b)) for b in stage.bottleneck]
        self.bridges = [_Bridge(stage, level) for level in range(self.depth)]
        self.decoders = [_Decoder(stage, level) for level in range(self.depth)]
        supervisors = [cast(SupervisedAttention, s) for s in stage.supervisors.values()]
        self.supervisors = [Supervised(supervisor) for supervisor in supervisors]
        head = cast(Conv2d, stage.heads["0"]) if len(stage.heads) else None
        self.head = None if head is None else Convolution(head.weight, head.bias)

    def __call__(
        self, images: list[Tensor], earlier: list[Tensor], attended: list[Tensor]
    ) -> Tensor:
        """Run the stage.

        Parameters
        ----------
        images : list of Tensor
            The input at each supervision scale, fine to coarse.
        earlier, attended : list of Tensor
            From the stage before (empty for the first); this stage's take their place.

        Returns
        -------
        Tensor
            The last stage's restored picture (height, width, channels); else the decoder's map.
        """
        bridges, x = self._encode(images, earlier, attended)
        for block in self.bottleneck:
            x = block(x)
        skips = self._gate_bridges(bridges, x)
        for level in reversed(range(self.depth)):
            x = self.decoders[level](x, skips)
            if self.head is None:
                if level < self.scales:
                    attended.insert(0, self.supervisors[level](x, images[level]))
                earlier.insert(0, bridges.pop().add_(x))
            if level == 0:
                skips.clear()
        if self.head is None:
            return x
        out = x.new_empty(*x.shape[:2], self.head.weight.shape[0])
        if out.shape[2] == images[0].shape[2]:
            convolve(x, self.head, out, images[0])
            return out
        convolve(x, self.head, out)
        return out + images[0]

    def _encode(
        self, images: list[Tensor], earlier: list[Tensor], attended: list[Tensor]
    ) -> tuple[list[Tensor], Tensor]:
        bridges: list[Tensor] = []
        x: Tensor | None = None
        for level, encoder in enumerate(self.encoders):
            skip = None
            if level < self.scales:
                skip = _new(images[level], self.widths[level])
                convolve(images[level], self.inputs[level], skip)
                if self.fusions:
                    skip = self.fusions[level](skip, attended.pop(0))
            if x is None:
                x = skip  # at full resolution this meets itself: the authors do the same
            assert x is not None  # noqa: S101 (there is a scale at least)
            bridge = encoder.body(x, skip)
            del x, skip
            if encoder.cross is not None and earlier:
                bridge = encoder.cross(bridge, earlier.pop(0))
            x = halve(bridge, encoder.down)
            bridges.append(bridge)
            del bridge
        assert x is not None  # noqa: S101
        return bridges, x

    def _gate_bridges(self, bridges: list[Tensor], gate: Tensor) -> list[Tensor]:
        skips: list[Tensor] = []
        for level in reversed(range(self.depth)):
            skip, gate = self.bridges[level](bridges, gate, keep=self.head is None or level > 0)
            skips.insert(0, skip)
        return skips


class _Bridge:
    """The bridges of all levels at one of them, gated by what lies below."""

    def __init__(self, stage: Stage, level: int) -> None:
        block = stage.bridge_gates[level]
        rescales = cast(nn.ModuleList, stage.bridge_rescales[level])
        if isinstance(block, CrossGatingBlock):
            project = block.project_x
        else:
            project = cast(BridgeConvolution, block).project
        self.width = project.weight.shape[0]
        firsts = [self.width * j for j in range(stage.depth)]
        self.maps = _Rescaled(rescales, project, firsts)
        self.gate, self.up, self.conv = None, None, None
        if isinstance(block, CrossGatingBlock):
            inner = block.project_y
            dense = Dense(inner.weight, None, inner.weight.dtype)
            self.up = _Doubled(cast(Upsample, block.up_y), dense, bias=inner.bias)
            self.gate = CrossGate(block.gate)
        else:
            conv = cast(BridgeConvolution, block).conv
            self.conv = Convolution(conv.weight, conv.bias)

    def __call__(self, bridges: list[Tensor], gate: Tensor, *, keep: bool) -> tuple[Tensor, Tensor]:
        """Return the gated bridge and the gating map; without `keep` the bridges are dropped."""
        level = next(i for i, b in enumerate(bridges) if b.shape[2] == self.width)
        x = self.maps.fill(_new(bridges[level], self.width))
        self.maps.add(bridges, x)
        if not keep:
            bridges.clear()
        if self.conv is not None:
            out = torch.empty_like(x)
            convolve(x, self.conv, out)
            return out, gate
        assert self.up is not None and self.gate is not None  # noqa: S101, PT018
        y = self.up(gate)
        del gate
        self.gate(x, y)
        return x, y


class _Decoder:
    """A `DecoderBlock`: the map below doubled, and the gated bridges of all levels."""

    def __init__(self, stage: Stage, level: int) -> None:
        block = cast(DecoderBlock, stage.decoders[level])
        project = block.body.project
        width = project.weight.shape[0]
        # The bridges are joined coarse to fine here, behind the doubled map.
        firsts = [width * (stage.depth - j) for j in range(stage.depth)]
        rescales = cast(nn.ModuleList, stage.skip_rescales[level])
        self.maps = _Rescaled(rescales, project, firsts)
        self.up = _Doubled(block.up, _columns(project, 0, width), bias=self.maps.bias)
        self.groups = _Groups(block.body.groups)

    def __call__(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        shortcut = self.up(x)
        del x
        self.maps.add(skips, shortcut)
        return self.groups(shortcut)
