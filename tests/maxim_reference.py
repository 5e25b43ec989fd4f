"""A second MAXIM: plain functions on the authors' arrays, one line for each step of the paper.

It shares no code with the package, knows only the authors' names and layouts (Flax: channels last,
kernels in-out), and makes no attempt at speed. Used as the reference of property tests and of the
benchmark.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

Arrays = dict[str, Tensor]


def maxim(p: Arrays, config: dict, image: Tensor) -> list[list[Tensor]]:  # noqa: C901 (one walk)
    """Every output, [stage][scale], coarse to fine; image (N, H, W, C)."""
    net = _Net(p, config)
    scales, depth = config["num_supervision_scales"], config["depth"]
    images = [image] + [nearest(image, 2**i) for i in range(1, scales)]
    results, sams, before = [], [], []
    for t in range(config["num_stages"]):
        is_last = t == config["num_stages"] - 1
        z = [net.conv(f"stage_{t}_input_conv_{i}", images[i]) for i in range(scales)]
        if t > 0 and config["use_cross_gating"]:
            z = [
                net.cgb(f"stage_{t}_input_fuse_sam_{i}", z[i], sams[i], net.sizes(i), up=False)[0]
                for i in range(scales)
            ]
        elif t > 0:
            z = [
                net.dense(f"stage_{t}_input_catconv_{i}", torch.cat([z[i], sams[i]], -1))
                for i in range(scales)
            ]
        x, bridges = z[0], []
        for i in range(depth):
            name = f"stage_{t}_encoder_block_{i}"
            x = net.unet_block(name, x, z[i] if i < scales else None, net.sizes(i))
            if t > 0:
                x, _ = net.cgb(f"{name}/cross_gating_block", x, before[i], net.sizes(i), up=False)
            bridges.append(x)
            x = net.conv(f"{name}/Conv_1", x, stride=2)
        for k in range(config["num_bottleneck_blocks"]):
            x = net.bottleneck(f"stage_{t}_global_block_{k}", x)
        gate, skips = x, {}
        for i in reversed(range(depth)):
            signal = torch.cat([net.up_sample_ratio(bridges[j], j - i) for j in range(depth)], -1)
            if config["use_cross_gating"]:
                name = f"stage_{t}_cross_gating_block_{i}"
                skips[i], gate = net.cgb(name, signal, gate, net.sizes(i), up=True)
            else:
                skips[i] = net.next_conv(net.next_conv(signal))
        decoded = {}
        for i in reversed(range(depth)):
            order = reversed(range(depth))
            signal = torch.cat([net.up_sample_ratio(skips[j], j - i) for j in order], -1)
            name = f"stage_{t}_decoder_block_{i}"
            x = net.up_conv(f"{name}/ConvTranspose_0", x)
            x = net.unet_block(f"{name}/UNetEncoderBlock_0", x, signal, net.sizes(i))
            decoded[i] = x
        outputs, sams = [], {}
        for i in reversed(range(scales)):
            if is_last:
                outputs.append(net.conv(f"stage_{t}_output_conv_{i}", decoded[i]) + images[i])
            else:
                name = f"stage_{t}_supervised_attention_module_{i}"
                sams[i], out = net.sam(name, decoded[i], images[i])
                outputs.append(out)
        before = [bridges[i] + decoded[i] for i in range(depth)]
        results.append(outputs)
    return results


def nearest(x: Tensor, factor: int) -> Tensor:
    h, w = x.shape[1:3]
    rows = [int((i + 0.5) * factor) for i in range(h // factor)]
    columns = [int((i + 0.5) * factor) for i in range(w // factor)]
    return x[:, rows][:, :, columns]


class _Net:
    """The blocks, by the authors' names; `p` holds the arrays."""

    def __init__(self, p: Arrays, config: dict) -> None:
        self.p, self.config = p, config
        self.ratio_calls = self.conv_calls = 0

    def sizes(self, level: int) -> tuple:
        c = self.config
        if level < c["high_res_stages"]:
            return c["block_size_hr"], c["grid_size_hr"]
        return c["block_size_lr"], c["block_size_lr"]

    def bias(self, name: str) -> Tensor:
        return self.p.get(f"{name}/bias", torch.zeros((), dtype=torch.float64))

    def dense(self, name: str, x: Tensor) -> Tensor:
        kernel = self.p[f"{name}/kernel"]
        return x @ kernel.reshape(kernel.shape[-2:]) + self.bias(name).to(x)

    def conv(self, name: str, x: Tensor, stride: int = 1) -> Tensor:
        kernel = self.p[f"{name}/kernel"].permute(3, 2, 0, 1)
        y = F.conv2d(x.permute(0, 3, 1, 2), kernel, stride=stride, padding=1)
        return y.permute(0, 2, 3, 1) + self.bias(name).to(x)

    def next_conv(self, x: Tensor) -> Tensor:
        name = f"Conv_{self.conv_calls}"
        self.conv_calls += 1
        is_conv = (
            self.p[f"{name}/kernel"].shape[:2] == (3, 3) and self.p[f"{name}/kernel"].ndim == 4
        )
        return self.conv(name, x) if is_conv else self.dense(name, x)

    def up_conv(self, name: str, x: Tensor) -> Tensor:
        kernel = self.p[f"{name}/kernel"]
        n, h, w, _ = x.shape
        out = x.new_empty(n, 2 * h, 2 * w, kernel.shape[-1])
        for a in (0, 1):
            for b in (0, 1):
                out[:, a::2, b::2] = x @ kernel[1 - a, 1 - b]
        return out + self.bias(name).to(x)

    def norm(self, name: str, x: Tensor) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + 1e-6)
        return scaled * self.p[f"{name}/scale"] + self.p[f"{name}/bias"]

    def mix(self, name: str, x: Tensor, axis: int) -> Tensor:
        """Token dense on (N, grid, block, C): axis 1 or 2."""
        equation = "ngbc,gh->nhbc" if axis == 1 else "ngbc,bh->nghc"
        bias = self.bias(name).to(x)
        bias = bias.reshape(-1, 1, 1) if axis == 1 else bias.reshape(-1, 1)
        return torch.einsum(equation, x, self.p[f"{name}/kernel"]) + bias

    def split(self, x: Tensor, kind: str, size: tuple) -> Tensor:
        n, h, w, c = x.shape
        if kind == "Grid":
            gh, gw = size
            fh, fw = h // gh, w // gw
        else:
            fh, fw = size
            gh, gw = h // fh, w // fw
        y = x.reshape(n, gh, fh, gw, fw, c).permute(0, 1, 3, 2, 4, 5)
        return y.reshape(n, gh * gw, fh * fw, c)

    def merge(self, x: Tensor, kind: str, size: tuple, shape: tuple) -> Tensor:
        n, h, w, c = shape
        gh, gw = size if kind == "Grid" else (h // size[0], w // size[1])
        y = x.reshape(n, gh, gw, h // gh, w // gw, c).permute(0, 1, 3, 2, 4, 5)
        return y.reshape(shape)

    def gmlp(self, name: str, x: Tensor, kind: str, size: tuple) -> Tensor:
        s = self.split(x, kind, size)
        y = gelu(self.dense(f"{name}/in_project", self.norm(f"{name}/LayerNorm", s)))
        u, v = y.chunk(2, -1)
        unit = f"{name}/{kind}GatingUnit"
        v = self.norm(f"{unit}/intermediate_layernorm", v)
        v = self.mix(f"{unit}/Dense_0", v, 1 if kind == "Grid" else 2)
        y = self.dense(f"{name}/out_project", u * (v + 1))
        return self.merge(s + y, kind, size, x.shape)

    def mab(self, name: str, x: Tensor, sizes: tuple) -> Tensor:
        y = gelu(self.dense(f"{name}/in_project", self.norm(f"{name}/LayerNorm_in", x)))
        u, v = y.chunk(2, -1)
        u = self.gmlp(f"{name}/GridGmlpLayer", u, "Grid", sizes[1])
        v = self.gmlp(f"{name}/BlockGmlpLayer", v, "Block", sizes[0])
        return x + self.dense(f"{name}/out_project", torch.cat([u, v], -1))

    def attention(self, name: str, x: Tensor) -> Tensor:
        y = torch.relu(self.dense(f"{name}/Conv_0", x.mean((1, 2), keepdim=True)))
        return x * torch.sigmoid(self.dense(f"{name}/Conv_1", y))

    def rcab(self, name: str, x: Tensor) -> Tensor:
        y = self.conv(f"{name}/conv1", self.norm(f"{name}/LayerNorm", x))
        y = self.conv(f"{name}/conv2", torch.where(y > 0, y, 0.2 * y))
        return x + self.attention(f"{name}/channel_attention", y)

    def rdcab(self, name: str, x: Tensor) -> Tensor:
        y = gelu(self.dense(f"{name}/channel_mixing/Dense_0", self.norm(f"{name}/LayerNorm", x)))
        y = self.dense(f"{name}/channel_mixing/Dense_1", y)
        return x + self.attention(f"{name}/channel_attention", y)

    def bottleneck(self, name: str, x: Tensor) -> Tensor:
        x = shortcut = self.dense(f"{name}/input_proj", x)
        size = self.config["block_size_lr"]
        for k in range(self.config["num_groups"]):
            x = self.mab(f"{name}/SplitHeadMultiAxisGmlpLayer_{k}", x, (size, size))
            x = self.rdcab(f"{name}/channel_attention_block_1_{k}", x)
        return x + shortcut

    def unet_block(self, name: str, x: Tensor, skip: Tensor | None, sizes: tuple) -> Tensor:
        x = x if skip is None else torch.cat([x, skip], -1)
        x = shortcut = self.dense(f"{name}/Conv_0", x)
        for k in range(self.config["num_groups"]):
            if self.config["use_global_mlp"]:
                x = self.mab(f"{name}/SplitHeadMultiAxisGmlpLayer_{k}", x, sizes)
            x = self.rcab(f"{name}/channel_attention_block_1{k}", x)
        return x + shortcut

    def gating(self, name: str, x: Tensor, sizes: tuple) -> Tensor:
        y = gelu(self.dense(f"{name}/in_project", self.norm(f"{name}/LayerNorm_in", x)))
        u, v = y.chunk(2, -1)
        u = self.mix(f"{name}/Dense_0", self.split(u, "Grid", sizes[1]), 1)
        v = self.mix(f"{name}/Dense_1", self.split(v, "Block", sizes[0]), 2)
        u = self.merge(u, "Grid", sizes[1], x.shape)
        v = self.merge(v, "Block", sizes[0], x.shape)
        return self.dense(f"{name}/out_project", torch.cat([u, v], -1))

    def cgb(
        self, name: str, x: Tensor, y: Tensor, sizes: tuple, *, up: bool
    ) -> tuple[Tensor, Tensor]:
        if up:
            y = self.up_conv(f"{name}/ConvTranspose_0", y)
        x = sx = self.dense(f"{name}/Conv_0", x)
        y = sy = self.dense(f"{name}/Conv_1", y)
        x = gelu(self.dense(f"{name}/in_project_x", self.norm(f"{name}/LayerNorm_x", x)))
        y = gelu(self.dense(f"{name}/in_project_y", self.norm(f"{name}/LayerNorm_y", y)))
        gx = self.gating(f"{name}/SplitHeadMultiAxisGating_x", x, sizes)
        gy = self.gating(f"{name}/SplitHeadMultiAxisGating_y", y, sizes)
        y = self.dense(f"{name}/out_project_y", y * gx) + sy
        x = self.dense(f"{name}/out_project_x", x * gy) + y + sx
        return x, y

    def sam(self, name: str, x: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        out = self.conv(f"{name}/Conv_1", x)
        out = out + image if self.config["num_outputs"] == 3 else out
        mask = torch.sigmoid(self.conv(f"{name}/Conv_2", out))
        return self.conv(f"{name}/Conv_0", x) * mask + x, out

    def up_sample_ratio(self, x: Tensor, power: int) -> Tensor:
        name = f"UpSampleRatio_{self.ratio_calls}/Conv_0"
        self.ratio_calls += 1
        size = [int(n * 2.0**power) for n in x.shape[1:3]]
        y = triangle(triangle(x, size[0], 1), size[1], 2)
        return self.dense(name, y)


def gelu(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.tanh(0.7978845608028654 * (x + 0.044715 * x**3)))


def triangle(x: Tensor, size: int, axis: int) -> Tensor:
    """Bilinear along one axis as a matrix; the triangle widens when it shrinks."""
    n = x.shape[axis]
    scale = n / size
    centre = (torch.arange(size, dtype=torch.float64) + 0.5) * scale - 0.5
    distance = (torch.arange(n)[None] - centre[:, None]).abs() / max(scale, 1.0)
    weight = (1 - distance).clamp(min=0)
    weight = (weight / weight.sum(1, keepdim=True)).to(x)
    return (x.movedim(axis, -1) @ weight.T).movedim(-1, axis)
