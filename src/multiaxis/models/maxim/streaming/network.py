"""A whole MAXIM, evaluated in pieces: the same modules and weights, in the authors' order.

Maps are (height, width, channels). Functions that take lists of maps take them over: they empty
the lists as they go, so that a map's memory is free after its last reader (an argument would be
kept alive by its caller).
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
    SupervisedAttention,
    Upsample,
)
from multiaxis.models.maxim.network import BridgeConvolution, FuseConvolution, Stage
from multiaxis.models.maxim.streaming.convolution import (
    ConvAttended,
    Convolution,
    DenseAttended,
    Supervised,
    add_applied,
    apply,
    convolve,
    halve,
)
from multiaxis.models.maxim.streaming.dense import Dense, columns, precise
from multiaxis.models.maxim.streaming.mixing import CrossGate, MixedMap
from multiaxis.models.maxim.streaming.resampling import Doubled, Rescaled
from multiaxis.models.maxim.streaming.workspace import Workspace


class _Groups:
    """The `MixingGroup`s of a level, around a shortcut."""

    def __init__(self, groups: nn.ModuleList, dtype: torch.dtype) -> None:
        pairs = [cast(MixingGroup, group) for group in groups]
        self.groups = [
            (
                None if group.mlp is None else MixedMap(group.mlp, dtype),
                ConvAttended(group.refine, dtype),
            )
            for group in pairs
        ]

    def __call__(self, shortcut: Tensor, work: Workspace) -> Tensor:
        x = shortcut
        for mix, refine in self.groups:
            if mix is not None:
                x = mix(x, work)
            elif x is shortcut:
                x = x.clone()  # refining is in place, and the shortcut is read again
            refine(x, work)
        return x.add_(shortcut) if x is not shortcut else x * 2


class _Bottleneck:
    """A `BottleneckBlock`."""

    def __init__(self, block: BottleneckBlock, dtype: torch.dtype) -> None:
        self.project = Dense(block.project.weight, block.project.bias, dtype)
        self.mlps = [MixedMap(cast(MultiAxisGatedMlp, mlp), dtype) for mlp in block.mlps]
        self.refines = [DenseAttended(cast(DenseAttention, r), dtype) for r in block.refines]

    def __call__(self, x: Tensor, work: Workspace) -> Tensor:
        x = shortcut = apply(self.project, x, work.like(x), work)
        for mix, refine in zip(self.mlps, self.refines, strict=True):
            x = mix(x, work)
            refine(x, work)
        return x.add_(shortcut)


class _Fusion:
    """Joins two maps of one size: a `CrossGatingBlock` without doubling, or a `FuseConvolution`."""

    def __init__(self, block: CrossGatingBlock | FuseConvolution, dtype: torch.dtype) -> None:
        if isinstance(block, FuseConvolution):
            self.gate, width = None, block.project.weight.shape[0]
            self.x = columns(block.project, 0, width, dtype, bias=True)
            self.y = columns(block.project, width, width, dtype)
        else:
            self.gate = CrossGate(block.gate, dtype)
            self.x = Dense(block.project_x.weight, block.project_x.bias, dtype)
            self.y = Dense(block.project_y.weight, block.project_y.bias, dtype)

    def __call__(self, x: Tensor, y: Tensor, work: Workspace) -> Tensor:
        """Join; both are overwritten."""
        apply(self.x, x, x, work)
        if self.gate is None:
            add_applied(self.y, y, x, work)
            return x
        apply(self.y, y, y, work)
        return self.gate(x, y, work)[0]


class _Encoder:
    """An `EncoderBlock`: body, gating by the stage before, halving."""

    def __init__(self, block: EncoderBlock, dtype: torch.dtype, *, x_channels: int) -> None:
        project = block.body.project
        skip_channels = project.weight.shape[1] - x_channels
        self.x = columns(project, 0, x_channels, dtype, bias=True)
        skip = columns(project, x_channels, skip_channels, dtype) if skip_channels else None
        self.skip = skip
        # At full resolution the picture's map meets itself: the authors do the same.
        self.both = None
        if skip is not None and skip_channels == x_channels:
            halves = precise(project.weight).chunk(2, dim=1)
            self.both = Dense(halves[0] + halves[1], project.bias, dtype)
        self.groups = _Groups(block.body.groups, dtype)
        self.cross = None if block.cross is None else _Fusion(block.cross, dtype)
        self.down = Convolution(block.down.weight, block.down.bias, dtype, stride=2)

    def body(self, maps: list[Tensor], work: Workspace) -> Tensor:
        """Mix the map from above and, where there is one, the picture's at this scale.

        At full resolution there is nothing above: one map, and it is overwritten.
        """
        return self.groups(self._shortcut(maps, work), work)

    def _shortcut(self, maps: list[Tensor], work: Workspace) -> Tensor:
        x = maps.pop(0)
        height, width, channels = x.shape
        if not maps and self.both is not None:
            return apply(self.both, x, x, work)
        if channels == self.x.weight.shape[0]:
            out = apply(self.x, x, x, work)
        else:
            out = apply(self.x, x, work.new(height, width, self.x.weight.shape[0]), work)
        if maps and self.skip is not None:
            add_applied(self.skip, maps.pop(), out, work)
        return out


class StreamedStage:
    """A `Stage` of a MAXIM, evaluated in pieces.

    Parameters
    ----------
    stage : Stage
    dtype : torch.dtype
        Of the folded weights.
    """

    def __init__(self, stage: Stage, dtype: torch.dtype) -> None:
        self.depth, self.scales, self.is_affine = stage.depth, stage.scales, stage.is_affine
        convs = [cast(Conv2d, conv) for conv in stage.input_convs]
        exact = torch.promote_types(dtype, torch.float32)  # where pictures come in and go out
        self.inputs = [Convolution(conv.weight, conv.bias, exact) for conv in convs]
        self.fusions = [_Fusion(cast(CrossGatingBlock, f), dtype) for f in stage.input_fusions]
        encoders = [cast(EncoderBlock, encoder) for encoder in stage.encoders]
        self.widths = [encoder.down.out_channels for encoder in encoders]
        self.encoders = [
            _Encoder(encoder, dtype, x_channels=self.widths[max(level - 1, 0)])
            for level, encoder in enumerate(encoders)
        ]
        self.bottleneck = [_Bottleneck(cast(BottleneckBlock, b), dtype) for b in stage.bottleneck]
        self.bridges = [_Bridge(stage, level, dtype) for level in range(self.depth)]
        self.decoders = [_Decoder(stage, level, dtype) for level in range(self.depth)]
        supervisors = [cast(SupervisedAttention, s) for s in stage.supervisors.values()]
        self.supervisors = [Supervised(supervisor, dtype) for supervisor in supervisors]
        head = cast(Conv2d, stage.heads["0"]) if len(stage.heads) else None
        self.head = None if head is None else Convolution(head.weight, head.bias, exact)

    def __call__(
        self, images: list[Tensor], earlier: list[Tensor], attended: list[Tensor], work: Workspace
    ) -> Tensor:
        """Run the stage.

        Parameters
        ----------
        images : list of Tensor
            The input at each supervision scale, fine to coarse.
        earlier, attended : list of Tensor
            From the stage before (empty for the first); this stage's take their place.
        work : Workspace

        Returns
        -------
        Tensor
            What the last stage's head makes (height, width, channels), in the images' dtype; else
            the decoder's map.
        """
        bridges, maps = self._encode(images, earlier, attended, work)
        for block in self.bottleneck:
            maps.append(block(maps.pop(), work))
        skips = self._gate_bridges(bridges, maps, work)
        x = maps.pop()
        for level in reversed(range(self.depth)):
            maps.append(x)
            del x
            x = self.decoders[level](maps, skips, work, is_last=level == 0)
            if self.head is None:
                if level < self.scales:
                    attended.insert(0, self.supervisors[level](x, images[level], work))
                earlier.insert(0, bridges.pop().add_(x))
        return x if self.head is None else self._finish(x, images[0], work)

    def _finish(self, x: Tensor, image: Tensor, work: Workspace) -> Tensor:
        assert self.head is not None  # noqa: S101
        out = image.new_empty(*x.shape[:2], self.head.weight.shape[0])
        if self.is_affine:
            return convolve(x, self.head, out, work)
        if out.shape[2] == image.shape[2]:
            return convolve(x, self.head, out, work, add=image)
        return convolve(x, self.head, out, work) + image

    def _encode(
        self, images: list[Tensor], earlier: list[Tensor], attended: list[Tensor], work: Workspace
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return the bridges of all levels, and in its own list the map for what lies below."""
        bridges: list[Tensor] = []
        maps: list[Tensor] = []
        for level, encoder in enumerate(self.encoders):
            if level < self.scales:
                height, width, _ = images[level].shape
                skip = work.new(height, width, self.widths[level])
                convolve(images[level], self.inputs[level], skip, work)
                if self.fusions:
                    skip = self.fusions[level](skip, attended.pop(0), work)
                maps.append(skip)
                del skip
            bridge = encoder.body(maps, work)
            if encoder.cross is not None and earlier:
                bridge = encoder.cross(bridge, earlier.pop(0), work)
            maps = [halve(bridge, encoder.down, work)]
            bridges.append(bridge)
            del bridge
        return bridges, maps

    def _gate_bridges(
        self, bridges: list[Tensor], gates: list[Tensor], work: Workspace
    ) -> list[Tensor]:
        """Gate all levels from the coarsest on; the last gate is left in its list, for decoding."""
        skips: list[Tensor] = []
        below = gates[0]
        for level in reversed(range(self.depth)):
            keep = self.head is None or level > 0
            skips.insert(0, self.bridges[level](bridges, gates, work, keep=keep))
        gates[:] = [below]
        return skips


class _Bridge:
    """The bridges of all levels at one of them, gated by what lies below."""

    def __init__(self, stage: Stage, level: int, dtype: torch.dtype) -> None:
        block = stage.bridge_gates[level]
        rescales = cast(nn.ModuleList, stage.bridge_rescales[level])
        if isinstance(block, CrossGatingBlock):
            project = block.project_x
        else:
            project = cast(BridgeConvolution, block).project
        self.level, self.width = level, project.weight.shape[0]
        firsts = [self.width * j for j in range(stage.depth)]
        self.maps = Rescaled(rescales, project, firsts, dtype)
        self.gate, self.up, self.conv = None, None, None
        if isinstance(block, CrossGatingBlock):
            inner = block.project_y
            dense = Dense(inner.weight, None, precise(inner.weight).dtype)
            self.up = Doubled(cast(Upsample, block.up_y), dense, dtype, bias=inner.bias)
            self.gate = CrossGate(block.gate, dtype)
        else:
            conv = cast(BridgeConvolution, block).conv
            self.conv = Convolution(conv.weight, conv.bias, dtype)

    def __call__(
        self, bridges: list[Tensor], gates: list[Tensor], work: Workspace, *, keep: bool
    ) -> Tensor:
        """Return the gated bridge; `gates` holds the gating map, and then that for the next level.

        Without `keep` the bridges are dropped.
        """
        height, width, _ = bridges[self.level].shape
        x = self.maps.fill(work.new(height, width, self.width))
        self.maps.add(bridges, x, work)
        if not keep:
            bridges.clear()
        if self.up is None or self.gate is None:
            assert self.conv is not None  # noqa: S101
            return convolve(x, self.conv, work.like(x), work)
        y = self.up(gates, work)
        out, next_gate = self.gate(x, y, work, keep_y=self.level > 0)
        if next_gate is not None:
            gates.append(next_gate)
        return out


class _Decoder:
    """A `DecoderBlock`: the map below doubled, and the gated bridges of all levels."""

    def __init__(self, stage: Stage, level: int, dtype: torch.dtype) -> None:
        block = cast(DecoderBlock, stage.decoders[level])
        project = block.body.project
        width = project.weight.shape[0]
        # The bridges are joined coarse to fine here, behind the doubled map.
        firsts = [width * (stage.depth - j) for j in range(stage.depth)]
        rescales = cast(nn.ModuleList, stage.skip_rescales[level])
        self.maps = Rescaled(rescales, project, firsts, dtype)
        doubled = columns(project, 0, width, precise(project.weight).dtype)
        self.up = Doubled(block.up, doubled, dtype, bias=self.maps.bias)
        self.groups = _Groups(block.body.groups, dtype)

    def __call__(
        self, maps: list[Tensor], skips: list[Tensor], work: Workspace, *, is_last: bool
    ) -> Tensor:
        """Decode the only map of a list."""
        if is_last:  # the gated bridge of full resolution is read here for the last time
            shortcut = skips[0]
            self.maps.add(skips, shortcut, work)
            skips.clear()
            self.up(maps, work, add=shortcut)
        else:
            shortcut = self.up(maps, work)
            self.maps.add(skips, shortcut, work)
        return self.groups(shortcut, work)
