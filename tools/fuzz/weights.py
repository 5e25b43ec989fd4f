"""Twist checkpoints of every container by their structure; each is read, or refused in a sentence.

    PYTHONPATH=tests python tools/fuzz/weights.py [--cases 1000] [--first 1]

Seeds are tiny models, written here. Twisted are bytes anywhere, and what containers state, with
checksums mended so that it is believed: headers and metadata of safetensors, entries of zip
archives and headers of npy, pickles of PyTorch, tables and messages of TensorFlow, model.json and
tarballs of TensorFlow.js. "Read" files are whole and of no model; of those "read and used" a model
was built. Anything but these and "refused in words" is a bug.
"""

from __future__ import annotations

import functools
import gzip
import io
import json
import logging
import random
import shutil
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from runner import DONE, READ, REFUSED, run

import tf_bundle
from multiaxis.errors import MultiaxisError
from multiaxis.models.maxim.config import VARIANTS, MaximConfig
from multiaxis.models.maxim.names.authors import authors_name
from multiaxis.models.maxvit.config import MaxViTConfig
from multiaxis.weights.contents import read_model
from multiaxis.weights.load import load_model
from multiaxis.zoo import create_model

MAXIM = MaximConfig(features=2, depth=1, num_stages=1, channels_reduction=1, block_size_hr=(1, 1))
VARIANTS["maxim_tiny"] = MAXIM  # files without a configuration are of a published variant, or none
MAXVIT = MaxViTConfig(
    stem_widths=(2, 4), depths=(1,), widths=(4,), head_dim=2, num_classes=2, image_size=32
)
ODD: list[Any] = [
    *(0, 1, -1, 2, 7, 255, 1 << 16, 1 << 31, (1 << 31) - 1, 1 << 40, (1 << 63) - 1, 1 << 64),
    *(10**30, 0.5, -0.0, 1e308, float("inf"), float("nan"), True, None, "", "a", "1e9999999"),
    *("../a", "/dev/zero", "a\n" * 400, [], {}, [0], [1 << 40, 1 << 40], [1] * 70, [[[[]]]]),
]

Twist = Callable[[random.Random, Path], Path]


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Cut bytes, flip bits, zero or double a range, or put odd numbers in."""
    kind, made = rng.randrange(6), bytearray(data or b"a")
    at = rng.randrange(len(made) + 1)
    if kind == 0:
        return data[:at]
    if kind == 1:
        for _ in range(rng.randrange(1, 20)):
            made[rng.randrange(len(made))] ^= 1 << rng.randrange(8)
    elif kind == 2:
        made[at : at + rng.choice((1, 4, 100))] = bytes(
            min(rng.choice((1, 4, 100)), len(made) - at)
        )
    elif kind == 3:
        made[at:at] = made[at : at + rng.randrange(1, 500)] * rng.choice((1, 1, 3))
    elif kind == 4:
        odd = rng.choice([1, 255, 1 << 31, (1 << 32) - 1, (1 << 63) - 1, (1 << 64) - 1])
        width = rng.choice([2, 4, 8])
        made[at : at + width] = (odd & (1 << 8 * width) - 1).to_bytes(width, "little")
    else:
        del made[at : at + rng.randrange(1, 100)]
    return bytes(made)


def twisted(value: Any, rng: random.Random) -> Any:
    """Change something in a JSON value: a leaf or a branch, a key, an order."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        draw = rng.random()
        if draw < 0.1:
            return {k: v for k, v in value.items() if k != key}
        if draw < 0.2:
            key = rng.choice(["", "a", key + "x", "quantization"])
        return {**value, key: twisted(value.get(key), rng)}
    if isinstance(value, list) and value and rng.random() < 0.9:
        at = rng.randrange(len(value))
        rest = value[at:] * rng.choice((0, 2)) if rng.random() < 0.2 else value[at + 1 :]
        return [*value[:at], twisted(value[at], rng), *rest]
    if isinstance(value, str) and value.startswith("{"):  # a configuration
        return json.dumps(twisted(json.loads(value), rng))
    return rng.choice(ODD)


@functools.cache
def states() -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    maxim, maxvit = create_model("maxim", **asdict(MAXIM)), create_model("maxvit", **asdict(MAXVIT))
    return maxim.state_dict(), maxvit.state_dict()


def authors() -> dict[str, np.ndarray]:
    state = states()[0]
    names = {name: authors_name(name, MAXIM) for name in state}
    order = {2: (1, 0), 4: (2, 3, 1, 0)}
    return {
        names[name]: tensor.permute(order[tensor.ndim]).numpy() if tensor.ndim in order
        else tensor.numpy()
        for name, tensor in state.items()
    }  # fmt: skip


@functools.cache
def safetensors_parts(family: int) -> tuple[dict[str, Any], bytes]:
    header: dict[str, Any] = {}
    body = b""
    for name, tensor in states()[family].items():
        data = tensor.numpy().tobytes()
        dtype = {torch.float32: "F32", torch.int64: "I64"}[tensor.dtype]
        places = [len(body), len(body) + len(data)]
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": places}
        body += data
    config = json.dumps(asdict((MAXIM, MAXVIT)[family]))
    return {"__metadata__": {"config": config, "format": "pt"}, **header}, body


def safetensors(rng: random.Random, folder: Path) -> Path:
    header, body = safetensors_parts(rng.randrange(2))
    for _ in range(rng.choice((0, 1, 1, 2, 5))):
        if not isinstance(header, dict) or not header:
            break
        if rng.random() < 0.5:
            about = twisted(header.get("__metadata__", {}), rng)
            header = {**header, "__metadata__": about}
        else:
            header = twisted(header, rng)
    text = json.dumps(header).encode()
    size = rng.choice([len(text)] * 9 + [rng.choice([0, 1, len(text) + 1, 1 << 27, 1 << 63])])
    return put(folder / "a.safetensors", struct.pack("<Q", size) + text + body, rng)


def put(path: Path, data: bytes, rng: random.Random) -> Path:
    path.write_bytes(damaged(data, rng) if rng.random() < 0.2 else data)
    return path


def zipped(entries: dict[str, bytes], rng: random.Random) -> bytes:
    """Pack entries, some twice or compressed, and twist the list of them."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        warnings.simplefilter("ignore")
        for name, data in entries.items():
            method = zipfile.ZIP_DEFLATED if rng.random() < 0.02 else zipfile.ZIP_STORED
            for _ in range(2 if rng.random() < 0.002 else 1):
                archive.writestr(name, data, method)
    made = bytearray(buffer.getvalue())
    if rng.random() < 0.3:
        at = made.index(b"PK\1\2")
        for _ in range(rng.randrange(1, 4)):
            place = rng.randrange(at, len(made) - 4)
            made[place : place + 4] = struct.pack(
                "<I", rng.choice([0, 1, 99, 1 << 31, (1 << 32) - 1])
            )
    return bytes(made)


@functools.cache
def arrays_of_npz() -> dict[str, bytes]:
    entries: dict[str, bytes] = {}
    for name, array in authors().items():
        buffer = io.BytesIO()
        np.save(buffer, array)
        entries[f"opt/target/{name}.npy"] = buffer.getvalue()
    return entries


def npz(rng: random.Random, folder: Path) -> Path:
    entries = dict(arrays_of_npz())
    for _ in range(rng.choice((0, 1, 1, 3))):
        name = rng.choice(list(entries))
        data = entries[name]
        if rng.random() < 0.7:  # the header, with its length kept
            text = data[10:128].decode("latin1")
            old = rng.choice(["<f4", "False", "(", ")", "1", "2", "shape", "descr", "'", ","])
            odd = rng.choice(
                [">f8", "|O", "<U9999", "V99", "True", "((", "9" * 12, "-1", "''", "0,"]
            )
            text = text.replace(old, odd, 1).encode("latin1")
            entries[name] = data[:8] + struct.pack("<H", len(text)) + text + data[128:]
        else:
            entries[name] = damaged(data, rng)
    return put(folder / "a.npz", zipped(entries, rng), rng)


@functools.cache
def parts_of_pth() -> tuple[dict[str, bytes], bytes]:
    zipped_file, old = io.BytesIO(), io.BytesIO()
    state = {"state_dict_ema": {f"module.{n}": t for n, t in states()[0].items()}, "epoch": 3}
    torch.save(state, zipped_file)
    torch.save(state, old, _use_new_zipfile_serialization=False)
    with zipfile.ZipFile(zipped_file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}, old.getvalue()


def pth(rng: random.Random, folder: Path) -> Path:
    entries, old = parts_of_pth()
    if rng.random() < 0.3:
        return put(folder / "a.pth", damaged(old, rng), rng)
    entries = dict(entries)
    pickled = next(name for name in entries if name.endswith("data.pkl"))
    for _ in range(rng.choice((0, 1, 1, 3))):
        if rng.random() < 0.8:
            made = bytearray(damaged(entries[pickled], rng))
            if made and rng.random() < 0.5:  # another instruction
                made[rng.randrange(len(made))] = rng.choice(
                    b"()tKJMXqrhjRbQc}]ea.sNu\x85\x86\x87\x8a\x81"
                )
            entries[pickled] = bytes(made)
        else:
            name = rng.choice(list(entries))
            entries[name] = damaged(entries[name], rng)
    return put(folder / "a.pth", zipped(entries, rng), rng)


@functools.cache
def entries_of_tensorflow() -> tuple[dict[bytes, bytes], bytes]:
    data, entries = b"", {b"": tf_bundle.header()}
    for name in ("kernel", "bias", "gamma"):
        octets = np.arange(12, dtype=np.float32).tobytes()
        key = f"block_00_00/mbconv/expand_conv/{name}/ExponentialMovingAverage".encode()
        entries[key] = tf_bundle.entry(octets, (3, 4), 1, offset=len(data))
        data += octets
    return entries, data


def tensorflow(rng: random.Random, folder: Path) -> Path:
    entries, data = entries_of_tensorflow()
    for _ in range(rng.choice((0, 1, 1, 3))):
        key = rng.choice(list(entries))
        if rng.random() < 0.1:
            entries = {**entries, damaged(key, rng): entries[key]}
        else:
            entries = {**entries, key: damaged(entries[key], rng)}
    index = tf_bundle.table(entries, per_block=rng.choice((1, 3)))
    if rng.random() < 0.3:  # a block of anything, believed
        at = rng.randrange(len(index))
        block = tf_bundle.block({b"a": damaged(index[at : at + 60] or b"a", rng)})
        handle = tf_bundle.varint(rng.choice([0, 1, 1 << 40])) + tf_bundle.varint(len(block) - 5)
        rest = tf_bundle.block({b"b%d" % i: handle for i in range(rng.choice((1, 200)))})
        footer = (
            tf_bundle.varint(0) * 2 + tf_bundle.varint(len(block)) + tf_bundle.varint(len(rest) - 5)
        )
        index = block + rest + footer.ljust(40, b"\0") + tf_bundle.MAGIC
    put(folder / "a.data-00000-of-00001", data, rng)
    return put(folder / "a.index", index, rng)


def tfjs(rng: random.Random, folder: Path) -> Path:
    root = "StatefulPartitionedCall/jax2tf_apply_/Wrapper/backbone/"
    names = [f"{root}stage_0_input_conv_0/{tail}" for tail in ("Reshape", "transpose_3", "Const")]
    weights = [{"name": name, "shape": [2, 2], "dtype": "float32"} for name in names]
    nodes = [{"name": f"{root}a/einsum/Einsum", "op": "Einsum", "input": ["x", names[0]]}]
    shards = {"a.bin": bytes(20), "b.bin": bytes(28)}
    group = {"paths": list(shards), "weights": weights}
    model: Any = {"modelTopology": {"node": nodes}, "weightsManifest": [group]}
    for _ in range(rng.choice((0, 1, 1, 3))):
        model = twisted(model, rng)
    files = {**shards, "model.json": json.dumps(model).encode()}
    name = rng.choice(list(files))
    files[name] = damaged(files[name], rng) if rng.random() < 0.3 else files[name]
    if rng.random() < 0.5:
        for name, data in files.items():
            (folder / name).write_bytes(data)
        return folder
    return put(folder / "a.tgz", gzip.compress(tarred(files, rng), 1), rng)


def tarred(files: dict[str, bytes], rng: random.Random) -> bytes:
    buffer = io.BytesIO()
    form = rng.choice([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo("package/" + "x" * rng.choice((0, 0, 150)) + f"/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    made = bytearray(buffer.getvalue())
    if rng.random() < 0.5:  # a header, with its checksum mended
        at = 512 * rng.randrange(len(made) // 512)
        place = at + rng.choice((0, 124, 128, 135, 156, 345))
        made[place : place + 8] = rng.choice(
            [b"7" * 8, b"\x80" + b"\xff" * 7, b"\xff" * 8, bytes(8)]
        )
        made[at + 148 : at + 156] = b" " * 8
        made[at + 148 : at + 156] = b"%06o\0 " % sum(made[at : at + 512])
    return bytes(made)


TWISTS: dict[str, Twist] = {
    "safetensors": safetensors,
    "npz": npz,
    "pth": pth,
    "tensorflow": tensorflow,
    "tfjs": tfjs,
}


def case(number: int, folder: Path) -> tuple[str, str]:
    """Make a file and load the model that it is of."""
    warnings.simplefilter("ignore")
    logging.disable()
    rng = random.Random(number)  # noqa: S311
    kind = rng.choice(list(TWISTS))
    inner = folder / "case"
    shutil.rmtree(inner, ignore_errors=True)
    inner.mkdir()
    path = TWISTS[kind](rng, inner)
    outcome = REFUSED
    try:
        read_model(path)
        outcome = READ
        load_model(path)
    except MultiaxisError as error:
        lines = str(error).count("\n") + 1
        return kind, outcome if lines <= 3 else f"refused in {lines} lines"
    except BaseException as error:  # noqa: BLE001 (a panic of a library is none of Exception)
        return kind, f"{type(error).__name__}: {str(error)[:60]!r}"
    return kind, DONE


if __name__ == "__main__":
    run(case, __doc__.splitlines()[0])
