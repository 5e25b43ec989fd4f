"""The whole MAXIM: U-Nets in a row, each with several input and output scales."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, overload

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from multiaxis.axis.layers import dense, lecun_normal
from multiaxis.errors import ConfigError, ShapeError
from multiaxis.models.maxim.blocks import (
    BottleneckBlock,
    Conv2d,
    CrossGatingBlock,
    DecoderBlock,
    EncoderBlock,
    Rescale,
    SupervisedAttention,
)
from multiaxis.models.maxim.config import MaximConfig
from multiaxis.models.maxim.ends import finish, pyramid, unshuffle
from multiaxis.models.saved import Saved


@dataclass
class Handover:
    """What a stage gives to the next one; lists run from fine to coarse."""

    earlier: list[Tensor]
    """Bridge plus decoder map of each level."""
    attended: list[Tensor]
    """Attended features of each supervision scale."""


class FuseConvolution(nn.Module):
    """What joins two maps at the input of a stage when cross gating is switched off."""

    def __init__(self, width: int, *, bias: bool) -> None:
        super().__init__()
        self.project = dense(2 * width, width, bias=bias, init=lecun_normal)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Join `x` and `y`; the second result is `y`, so that it can stand for a cross gate."""
        return self.project(torch.cat([x, y], dim=-1)), y


class BridgeConvolution(nn.Module):
    """What prepares a bridge for the decoder when cross gating is switched off."""

    def __init__(self, in_channels: int, width: int, *, bias: bool) -> None:
        super().__init__()
        self.project = dense(in_channels, width, bias=bias, init=lecun_normal)
        self.conv = Conv2d(width, width, 3, bias=bias)

    def forward(self, x: Tensor, gate: Tensor) -> tuple[Tensor, Tensor]:
        """Convolve `x`; `gate` passes unused, so that this can stand for a cross gate."""
        return self.conv(self.project(x)), gate


class Stage(nn.Module):
    """One U-Net of the row.

    Parameters
    ----------
    config : MaximConfig
    is_first, is_last : bool
        The first stage has nothing to fuse; only the last one has plain output convolutions.
    """

    def __init__(self, config: MaximConfig, *, is_first: bool, is_last: bool) -> None:
        super().__init__()
        self.depth, self.scales = config.depth, config.num_supervision_scales
        self.recomputes, self.is_affine = False, config.affine
        levels, bias, width = range(config.depth), config.use_bias, config.width
        self.input_convs = nn.ModuleList(
            Conv2d(config.channels_seen, width(i), 3, bias=bias) for i in range(self.scales)
        )
        self.input_fusions = nn.ModuleList(
            CrossGatingBlock(config, i, width(i), width(i))
            if config.use_cross_gating
            else FuseConvolution(width(i), bias=bias)
            for i in range(0 if is_first else self.scales)
        )
        self.encoders = nn.ModuleList(
            EncoderBlock(config, i, self._encoder_channels(config, i), is_gated=not is_first)
            for i in levels
        )
        self.bottleneck = nn.ModuleList(
            BottleneckBlock(config) for _ in range(config.num_bottleneck_blocks)
        )
        self.bridge_rescales = self._rescales(config)
        self.bridge_gates = nn.ModuleList(
            CrossGatingBlock(
                config, i, config.depth * width(i), self._below(config, i), upsample_y=True
            )
            if config.use_cross_gating
            else BridgeConvolution(config.depth * width(i), width(i), bias=bias)
            for i in levels
        )
        self.skip_rescales = self._rescales(config)
        self.decoders = nn.ModuleList(
            DecoderBlock(config, i, self._below(config, i), config.depth * width(i)) for i in levels
        )
        # Dictionaries, because a checkpoint may lack the coarse heads (`Maxim.remove_heads`).
        scales = [str(i) for i in range(self.scales)]
        self.supervisors = nn.ModuleDict(
            {} if is_last else {i: SupervisedAttention(config, int(i)) for i in scales}
        )
        self.heads = nn.ModuleDict(
            {i: Conv2d(width(int(i)), config.channels_made, 3, bias=bias) for i in scales}
            if is_last
            else {}
        )

    @staticmethod
    def _encoder_channels(config: MaximConfig, level: int) -> int:
        above = config.width(max(level - 1, 0))
        return above + (config.width(level) if level < config.num_supervision_scales else 0)

    @staticmethod
    def _below(config: MaximConfig, level: int) -> int:
        return config.width(min(level + 1, config.depth - 1))

    @staticmethod
    def _rescales(config: MaximConfig) -> nn.ModuleList:
        """Build [to level][from level]: every level is brought to every other."""
        levels = range(config.depth)
        return nn.ModuleList(
            nn.ModuleList(
                Rescale(config.width(j), config.width(i), 2.0 ** (j - i), bias=config.use_bias)
                for j in levels
            )
            for i in levels
        )

    def forward(
        self, images: list[Tensor], before: Handover | None, *, final_only: bool
    ) -> tuple[list[Tensor], Handover]:
        """Run the U-Net.

        Parameters
        ----------
        images : list of Tensor
            The input at each supervision scale, fine to coarse.
        before : Handover or None
            From the stage before.
        final_only : bool
            Whether the last stage's coarse pictures may be left out.

        Returns
        -------
        outputs : list of Tensor
            Pictures, coarse to fine.
        handover : Handover
            For the next stage.
        """
        bridges, x = self._encode(images, before)
        for block in self.bottleneck:
            x = self._call(block, x)
        skips = self._gate_bridges(bridges, x)
        decoded = self._decode(x, skips)
        return self._finish(images, bridges, decoded, final_only=final_only)

    def blocks(self) -> list[nn.Module]:
        """List encoders, bottleneck, gates of the bridges, and decoders."""
        return [*self.encoders, *self.bottleneck, *self.bridge_gates, *self.decoders]

    def _call(self, block: nn.Module, *maps: Tensor | None) -> Any:
        if self.recomputes and self.training and torch.is_grad_enabled():
            return checkpoint(block, *maps, use_reentrant=False)
        return block(*maps)

    def _encode(self, images: list[Tensor], before: Handover | None) -> tuple[list[Tensor], Tensor]:
        inputs = [conv(image) for conv, image in zip(self.input_convs, images, strict=True)]
        if before is not None:
            pairs = zip(self.input_fusions, inputs, before.attended, strict=True)
            inputs = [fusion(z, attended)[0] for fusion, z, attended in pairs]
        x = inputs[0]  # at full resolution this meets itself as skip: the authors do the same
        bridges: list[Tensor] = []
        for level, encoder in enumerate(self.encoders):
            skip = inputs[level] if level < self.scales else None
            x, bridge = self._call(encoder, x, skip, before.earlier[level] if before else None)
            bridges.append(bridge)
        return bridges, x

    def _gate_bridges(self, bridges: list[Tensor], gate: Tensor) -> list[Tensor]:
        skips: dict[int, Tensor] = {}
        for level in reversed(range(self.depth)):
            rescales = self.bridge_rescales[level].children()
            parts = [rescale(x) for rescale, x in zip(rescales, bridges, strict=True)]
            skips[level], gate = self._call(
                self.bridge_gates[level], torch.cat(parts, dim=-1), gate
            )
        return [skips[level] for level in range(self.depth)]

    def _decode(self, x: Tensor, skips: list[Tensor]) -> list[Tensor]:
        decoded: dict[int, Tensor] = {}
        for level in reversed(range(self.depth)):
            rescales = self.skip_rescales[level].children()
            parts = [rescale(skip) for rescale, skip in zip(rescales, skips, strict=True)]
            # The bridges are joined fine to coarse, these coarse to fine: as in the authors' code.
            skip = torch.cat(parts[::-1], dim=-1)
            x = decoded[level] = self._call(self.decoders[level], x, skip)
        return [decoded[level] for level in range(self.depth)]

    def _finish(
        self,
        images: list[Tensor],
        bridges: list[Tensor],
        decoded: list[Tensor],
        *,
        final_only: bool,
    ) -> tuple[list[Tensor], Handover]:
        if self.heads:
            scales = reversed(range(1 if final_only else self.scales))
            made = {i: self.heads[str(i)](decoded[i]) for i in scales}
            if not self.is_affine:
                made = {i: picture + images[i] for i, picture in made.items()}
            return list(made.values()), Handover([], [])
        outputs: list[Tensor] = []
        attended: dict[int, Tensor] = {}
        for scale in reversed(range(self.scales)):
            supervisor = self.supervisors[str(scale)]
            attended[scale], picture = supervisor(decoded[scale], images[scale])
            outputs.append(picture)
        earlier = [bridge + x for bridge, x in zip(bridges, decoded, strict=True)]
        return outputs, Handover(earlier, [attended[scale] for scale in range(self.scales)])


class Maxim(Saved):
    """MAXIM, from a configuration under the authors' field names.

    Parameters
    ----------
    config : MaximConfig

    Notes
    -----
    Source: MAXIM (arXiv 2201.02973), section 3; authors' ``maxim/models/maxim.py``.
    """

    config: MaximConfig

    def __init__(self, config: MaximConfig) -> None:
        super().__init__()
        self.config = config
        last = config.num_stages - 1
        self.stages = nn.ModuleList(
            Stage(config, is_first=t == 0, is_last=t == last) for t in range(config.num_stages)
        )

    @overload
    def forward(self, x: Tensor, *, every: Literal[False] = False) -> Tensor: ...

    @overload
    def forward(self, x: Tensor, *, every: Literal[True]) -> list[list[Tensor]]: ...

    def forward(self, x: Tensor, *, every: bool = False) -> Tensor | list[list[Tensor]]:
        """Restore pictures.

        Parameters
        ----------
        x : Tensor, shape (batch, in_channels, height, width)
            Values in [0, 1]; height and width multiples of `config.size_multiple`.
        every : bool
            Give every picture that there is a head for, as training supervises them: what
            `forward_stages` gives where no head is missing. The last stage gives its full size only
            where it lacks coarse heads.

        Returns
        -------
        Tensor, shape (batch, channels, height, width)
            Restored, not clipped. channels = max(num_outputs, in_channels).

        Raises
        ------
        ShapeError
            For any other shape. `multiaxis.restore` takes every size.
        """
        if every:
            return self._run(x, final_only=bool(self.missing_heads))
        return self._run(x, final_only=True)[-1][-1]

    def forward_stages(self, x: Tensor) -> list[list[Tensor]]:
        """Return every picture that training supervises.

        Parameters
        ----------
        x : Tensor, shape (batch, in_channels, height, width)
            As in `forward`.

        Returns
        -------
        list of list of Tensor
            ``outputs[stage][scale]``, the smallest scale first; ``outputs[-1][-1]`` is `forward`'s.

        Raises
        ------
        ShapeError
            As in `forward`.
        ConfigError
            If the loaded checkpoint lacks the last stage's coarse heads.
        """
        if missing := self.missing_heads:
            raise ConfigError(
                f"this model has no output heads for the scales {missing} of its last stage, "
                "because the checkpoint that it was loaded from lacks them: call model(x) for the "
                "restored picture, or load the authors' full checkpoint for every scale"
            )
        return self._run(x, final_only=False)

    def set_grad_checkpointing(self, enable: bool = True) -> None:  # noqa: FBT001, FBT002 (timm's)
        """Recompute each block in the backward pass instead of keeping its maps."""
        for stage in self.stages:
            stage.recomputes = enable  # pyright: ignore[reportArgumentType]

    def blocks(self) -> list[nn.Module]:
        """List the blocks that are worth compiling or recomputing by themselves."""
        return [block for stage in self.stages for block in stage.blocks()]  # pyright: ignore[reportCallIssue]

    @property
    def missing_heads(self) -> list[int]:
        """Scales (0 = full resolution) whose output head was removed from the last stage."""
        heads = self._last_heads()
        return [i for i in range(self.config.num_supervision_scales) if str(i) not in heads]

    def remove_heads(self, scales: list[int]) -> None:
        """Remove coarse output heads of the last stage, which the restored picture does not need.

        Parameters
        ----------
        scales : list of int
            Scales from 1 (half resolution) on. Already removed ones are ignored.
        """
        heads = self._last_heads()
        for scale in scales:
            if scale == 0:
                raise ConfigError("the head of scale 0 makes the restored picture: it must stay")
            if str(scale) in heads:
                del heads[str(scale)]

    def as_built(self) -> Maxim:
        """Build a model of the same parts: without the heads that were removed."""
        model = Maxim(self.config)
        model.remove_heads(self.missing_heads)
        return model

    def _last_heads(self) -> nn.ModuleDict:
        heads = self.stages[-1].heads
        assert isinstance(heads, nn.ModuleDict)  # noqa: S101 (for the type checker)
        return heads

    def _run(self, x: Tensor, *, final_only: bool) -> list[list[Tensor]]:
        self.check_input(x)
        whole = x.permute(0, 2, 3, 1).contiguous()
        images = pyramid(unshuffle(whole, self.config.shuffle), self.config.num_supervision_scales)
        results: list[list[Tensor]] = []
        handover: Handover | None = None
        for stage in self.stages:
            outputs, handover = stage(images, handover, final_only=final_only)
            pictures = [finish(picture, whole, self.config) for picture in outputs]
            results.append([picture.permute(0, 3, 1, 2) for picture in pictures])
        return results

    def check_input(self, x: Tensor) -> None:
        """Refuse a batch of another shape than `forward` takes, with a `ShapeError`."""
        channels, (rows, columns) = self.config.in_channels, self.config.size_multiple
        if x.ndim != 4 or x.shape[1] != channels:
            raise ShapeError(
                f"received a tensor of shape {tuple(x.shape)}: accepted is (batch, {channels}, "
                "height, width)"
            )
        height, width = x.shape[2:]
        if height < 1 or width < 1 or height % rows or width % columns:
            wanted = tuple(max(-(-n // m), 1) * m for n, m in ((height, rows), (width, columns)))
            raise ShapeError(
                f"received {height} x {width} pixels: this model takes heights that are multiples "
                f"of {rows} and widths that are multiples of {columns}; pad to {wanted[0]} x "
                f"{wanted[1]}, or let multiaxis.restore pad and crop"
            )
