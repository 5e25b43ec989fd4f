"""Files made to harm: what they state is compared with their bytes, and nothing hangs or grows."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import small_maxim
import tf_bundle
from multiaxis import create_model, load_weights
from multiaxis.errors import WeightsError
from multiaxis.files.bounds import readable
from multiaxis.weights.load import load_model
from multiaxis.weights.read import read_npz, read_tensorflow, read_tfjs, read_torch


def refused(path: Path) -> str:
    """Load a file by every way in; returns the sentence, the same for all."""
    with pytest.raises(WeightsError) as caught:
        load_model(path)
    text = str(caught.value)
    assert text.count("\n") < 3
    assert len(text) < 2000
    return text


@pytest.mark.parametrize("name", ["huge_shape.npz", "bad_utf8.pth"])
def test_files_that_did_harm(name: str, shared_dir: Path) -> None:
    assert name in refused(shared_dir / "data" / "faults" / "weights" / name)


def npy(header: str, body: bytes = b"", version: int = 1) -> bytes:
    text = header.encode().ljust(117) + b"\n"
    size = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + body


def npz(path: Path, **entries: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(f"{name}.npy", data)
    return path


HEADER = "{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}"


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (HEADER.format("<f4", False, "(2000000000000,)"), b""),
        (HEADER.format("<f4", False, "(0, 99999999999999999999)"), b""),
        (HEADER.format("<f4", False, (1,) * 40), bytes(4)),
        (HEADER.format("<f4", False, "(-1,)"), bytes(4)),
        (HEADER.format("<f4", False, "(1,)"), bytes(8)),
        (HEADER.format("<U999999999", False, "(0,)"), b""),
        (HEADER.format("<f16", False, "(1,)"), bytes(16)),
        (HEADER.format("|O", False, "(1,)"), bytes(8)),
        ("(" * 100, b""),
        ("-" * 100 + "1", b""),
    ],
)
def test_headers_of_npz(header: str, body: bytes, tmp_path: Path) -> None:
    refused(npz(tmp_path / "a.npz", a=npy(header, body)))
    refused(npz(tmp_path / "b.npz", a=npy(header, body, version=2)))


def test_npz_in_other_orders_and_of_other_machines(tmp_path: Path) -> None:
    array = np.arange(6, dtype=">f8").reshape(2, 3)
    np.savez_compressed(tmp_path / "a.npz", a=array, b=array.T, c=np.zeros((0, 3)), d=np.float16(2))
    found = read_npz(tmp_path / "a.npz")
    assert np.array_equal(found["a"], array)
    assert found["a"].dtype.isnative
    assert np.array_equal(found["b"], array.T)
    assert found["c"].shape == (0, 3)
    assert found["d"] == 2


def test_zip_bombs(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in "ab":
            archive.writestr(
                f"{name}.npy", npy(HEADER.format("u1", False, "(40000000,)"), bytes(40_000_000))
            )
    assert "unpack to" in refused(tmp_path / "a.npz")
    data = bytearray(npz(tmp_path / "b.npz", a=bytes(900), b=bytes(900)).read_bytes())
    second = data.rindex(b"PK\1\2")
    data[second + 42 : second + 46] = bytes(4)  # the second entry begins where the first does
    (tmp_path / "b.npz").write_bytes(data)
    assert "over each other" in refused(tmp_path / "b.npz")
    with zipfile.ZipFile(tmp_path / "c.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.npy", bytes(900))
    assert "packed in a way" in refused(tmp_path / "c.npz")


def torch_zip(path: Path, pickled: bytes, storage: bytes = bytes(16)) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", pickled)
        archive.writestr("m/data/0", storage)
    return path


def tensor(size: bytes, stride: bytes, count: int = 4, kind: str = "torch\nFloatStorage") -> bytes:
    """A pickle of {"stages.0.input_convs.0.bias": tensor}, written by hand."""
    storage = (
        b"(X\x07\0\0\0storage" + f"c{kind}\n".encode() + b"X\x01\0\0\x000X\x03\0\0\0cpu"
        b"J" + struct.pack("<i", count) + b"tQ"
    )
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\0" + size + stride
    name = b"stages.0.input_convs.0.bias"
    key = b"X" + struct.pack("<I", len(name)) + name
    return b"\x80\x02}" + key + rebuild + b"\x89NtRs."


def number(value: int) -> bytes:
    size = value.bit_length() // 8 + 1
    return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)


@pytest.mark.parametrize(
    ("size", "stride"),
    [
        (number(1 << 40) + b"\x85", b"K\x01\x85"),
        (number(1 << 40) + b"\x85", b"K\x00\x85"),  # one number shown a million million times
        (b"K\x05\x85", b"K\x01\x85"),
        (b"K\x02\x85", b"K\x04\x85"),
        (b"K\x02\x85", number(-1) + b"\x85"),
        (number(-2) + b"\x85", b"K\x01\x85"),
        (b"K\x02\x85", b"K\x01K\x01\x86"),
        (b"N", b"N"),
        (b"(" + b"K\x01" * 70 + b"t", b"(" + b"K\x01" * 70 + b"t"),
        (number(1 << 100) + number(0) + b"\x86", b"K\x01K\x01\x86"),
    ],
)
def test_tensors_that_leave_their_storage(size: bytes, stride: bytes, tmp_path: Path) -> None:
    file = torch_zip(tmp_path / "a.pth", tensor(size, stride))
    with pytest.raises(WeightsError, match=r"a\.pth is not a whole PyTorch file"):
        dict(read_torch(file))


def test_a_tensor_by_hand_is_read(tmp_path: Path) -> None:
    file = torch_zip(
        tmp_path / "a.pth",
        tensor(b"K\x02K\x02\x86", b"K\x01K\x02\x86"),
        np.arange(4, dtype="<f4").tobytes(),
    )
    found = read_torch(file)["stages.0.input_convs.0.bias"]
    assert found.tolist() == [[0, 2], [1, 3]]
    with pytest.raises(WeightsError, match="has 16 bytes"):
        dict(read_torch(torch_zip(tmp_path / "b.pth", tensor(b"K\x02\x85", b"K\x01\x85", count=5))))


REPEATED = (  # dicts of the same list, a thousand times
    b"\x80\x02ccollections\nOrderedDict\n](" + b"K\x01K\x02\x86" * 100 + b"eq\0\x85R"
    b"" + b"ccollections\nOrderedDict\nh\0\x85R" * 1000 + b"."
)


def deep_key(depth: int) -> bytes:
    """A tuple of twice the tuple before: hashing it takes 2 ** depth steps."""
    return b"\x80\x02}K\x01\x85" + b"q\0h\0\x86" * depth + b"K\x01s."


@pytest.mark.thorough
@pytest.mark.parametrize(
    "pickled",
    [
        deep_key(200),
        b"\x80\x02" + b"(" * 100_000 + b".",
        b"\x80\x02N" + b"\x85" * 100_000 + b".",
        b"\x80\x02}q\0X\x05\0\0\0modelh\0s.",  # a dict that holds itself
        REPEATED,
        b"\x80\x02X\xff\xff\xff\x7fshort.",
        b"\x80\x02X\x02\0\0\0\xff\xfe.",
        b"\x80\x02\x8a\xff.",
        b"\x80\x02r\xff\xff\xff\xff.",
        b"\x80\x02j\xff\xff\xff\xff.",
        b"\x80\x02R.",
        b"\x80\x02c" + b"a" * 1000,
        b"I" + b"9" * 100_000 + b"\n.",
        b"",
    ],
)  # fmt: skip
def test_pickles_that_hang_or_grow(pickled: bytes, tmp_path: Path) -> None:
    with pytest.raises(WeightsError):
        read_torch(torch_zip(tmp_path / "a.pth", pickled))
    (tmp_path / "b.pth").write_bytes(pickled)
    with pytest.raises(WeightsError):
        read_torch(tmp_path / "b.pth")


def test_nothing_that_a_pickle_names_is_called(tmp_path: Path) -> None:
    class Made:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (os.mkdir, (str(tmp_path / "made"),))

    file = torch_zip(tmp_path / "a.pth", pickle.dumps({"a": Made()}, 2))
    with pytest.raises(WeightsError, match=r"asks for \w+\.mkdir"):
        read_torch(file)
    assert not (tmp_path / "made").exists()


def test_a_compressed_pth_is_not_taken_for_numbers(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1000)}, tmp_path / "a.pth")
    with (
        zipfile.ZipFile(tmp_path / "a.pth") as whole,
        zipfile.ZipFile(tmp_path / "b.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in whole.namelist():
            packed.writestr(name, whole.read(name))
    with pytest.raises(WeightsError, match="is compressed"):
        read_torch(tmp_path / "b.pth")


def safetensors(path: Path, header: object, body: bytes = b"") -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


ARRAY = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


@pytest.mark.parametrize(
    "header",
    [
        {"stages.0.input_convs.0.bias": {**ARRAY, "shape": [1 << 40]}},
        {"stages.0.input_convs.0.bias": {**ARRAY, "shape": [0, 1 << 63], "data_offsets": [0, 0]}},
        {"stages.0.input_convs.0.bias": {**ARRAY, "shape": [1] * 40}},
        {"stages.0.input_convs.0.bias": {**ARRAY, "data_offsets": [4, 8]}},
        {"x" * 2000: ARRAY},
        {"stages.0.input_convs.0.bias": ARRAY, "a": ARRAY},
    ],
)
def test_headers_of_safetensors(header: object, tmp_path: Path) -> None:
    refused(safetensors(tmp_path / "a.safetensors", header, bytes(4)))


def test_a_safetensors_header_without_end(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", 90_000_000) + b"{}" * 10)
    assert "header" in refused(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    "config",
    [
        '{"depth": 4096}',
        '{"depth": 12, "num_stages": 60}',
        '{"features": 60000}',
        '{"num_groups": 1e999}',
        '{"num_stages": 9' + "9" * 5000 + "}",
        "[" * 100_000,
        '{"block_gmlp_factor": 1000000000}',
        '{"block_size_hr": [100000, 100000]}',
    ],
)  # fmt: skip
def test_a_maxim_cannot_state_what_it_does_not_hold(config: str, tmp_path: Path) -> None:
    header = {"__metadata__": {"config": config}, "stages.0.input_convs.0.bias": ARRAY}
    file = safetensors(tmp_path / "a.safetensors", header, bytes(4))
    refused(file)
    with pytest.raises(WeightsError):
        create_model("maxim", weights=file)


@pytest.mark.parametrize(
    "config",
    [
        {"scale_ratio": "1e9999999"},
        {"scale_ratio": "1e-9999999"},
        {"scale_ratio": "9" * 100_000},
        {"depths": [10**6], "widths": [32]},
        {"image_size": 10**9},
        {"widths": [1 << 40, 128, 256, 512]},
        {"num_classes": 10**12},
        {"window_size": 10**6, "relative_bias": None},
        {"head_hidden": 10**9},
        {"kernel_size": 10**9 + 1},
    ],
)
def test_a_maxvit_cannot_state_what_it_does_not_hold(config: dict, tmp_path: Path) -> None:
    header = {
        "__metadata__": {"config": json.dumps(config)},
        "stages.0.0.mbconv.project.weight": ARRAY,
    }
    file = safetensors(tmp_path / "a.safetensors", header, bytes(4))
    refused(file)
    with pytest.raises(WeightsError):
        create_model("maxvit_tiny", weights=file)


def test_a_head_that_is_only_stated_is_not_made_up(tmp_path: Path) -> None:
    from multiaxis.weights.store import write_safetensors

    model = create_model("maxvit_pico", num_classes=3)
    config = json.dumps(
        {
            "stem_widths": [16, 16],
            "depths": [1, 1, 2, 1],
            "widths": [16, 32, 64, 128],
            "head_dim": 16,
            "num_classes": 50,
        }
    )
    write_safetensors(tmp_path / "a.safetensors", model.state_dict(), {"config": config})
    assert "another head than it states" in refused(tmp_path / "a.safetensors")
    wanted = load_model(tmp_path / "a.safetensors", num_classes=50)
    assert wanted.head.logits.weight.shape[0] == 50
    assert not any(p.is_meta for p in wanted.parameters())
    assert wanted(torch.zeros(1, 3, 64, 64)).isfinite().all()


def test_whole_numbers_are_no_parameters(tmp_path: Path) -> None:
    from multiaxis.weights.store import write_safetensors

    state = small_maxim.model().state_dict()
    name = next(iter(state))
    write_safetensors(tmp_path / "a.safetensors", {**state, name: state[name].int()}, {})
    with pytest.raises(WeightsError, match=f"no real numbers: {name}"):
        load_weights(small_maxim.model(), tmp_path / "a.safetensors")


def test_a_tensorflow_checkpoint_of_70_axes(tmp_path: Path) -> None:
    tf_bundle.write(tmp_path / "m", {"block_00_00/mbconv/x": np.ones(1, np.float32)})
    entry = tf_bundle.entry(np.ones(1, np.float32).tobytes(), (1,) * 70, 1)
    tf_bundle.write_parts(
        tmp_path / "m", {b"": tf_bundle.header(), b"block_00_00/mbconv/x": entry}, bytes(4)
    )
    assert "70 axes" in refused(tmp_path / "m.index")


def table(handles: dict[bytes, bytes], data: bytes) -> bytes:
    from multiaxis.weights.read.table import MAGIC

    footer = b""
    for content in ({}, handles):
        written = tf_bundle.block(content)
        footer += tf_bundle.varint(len(data)) + tf_bundle.varint(len(written) - 5)
        data += written
    return data + footer.ljust(40, b"\0") + MAGIC


def test_ten_thousand_handles_to_one_block(tmp_path: Path) -> None:
    block = tf_bundle.block(
        {b"": tf_bundle.header(), **{b"%05d" % i: bytes(50) for i in range(2000)}}
    )
    handle = tf_bundle.varint(0) + tf_bundle.varint(len(block) - 5)
    (tmp_path / "m.index").write_bytes(table({b"%05d" % i: handle for i in range(10_000)}, block))
    assert "over each other" in refused(tmp_path / "m.index")


def test_names_that_grow_by_a_letter_each(tmp_path: Path) -> None:
    block = tf_bundle.block({b"a" * k: b"" for k in (1, 5000)})
    handle = tf_bundle.varint(0) + tf_bundle.varint(len(block) - 5)
    (tmp_path / "m.index").write_bytes(table({b"z": handle}, block))
    assert "names are too long" in refused(tmp_path / "m.index")


def test_many_names_of_the_same_bytes(tmp_path: Path) -> None:
    data = np.ones(1_000_000, np.float32).tobytes()
    entry = tf_bundle.entry(data, (1_000_000,), 1)
    rows = {b"": tf_bundle.header(), **{b"block_00_00/mbconv/%d" % i: entry for i in range(100)}}
    tf_bundle.write_parts(tmp_path / "m", rows, data)
    assert "over each other" in refused(tmp_path / "m.index")


def tfjs(folder: Path, paths: object, weights: object, **files: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    group = {"paths": paths, "weights": weights}
    model = {"modelTopology": {"node": []}, "weightsManifest": [group]}
    (folder / "model.json").write_text(json.dumps(model))
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


ONE = [{"name": "a", "shape": [4], "dtype": "float32"}]


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "sub/a", "..", ".", "", "a\\b", "C:a", 7, None]
)
def test_tfjs_names_files_beside_it_only(name: object, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(16))
    with pytest.raises(WeightsError, match="accepted are names in its folder"):
        read_tfjs(tfjs(tmp_path / "m", [name], ONE))


def test_tfjs_links_that_lead_out(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(16))
    folder = tfjs(tmp_path / "m", ["a"], ONE, b=bytes(16))
    (folder / "a").symlink_to("../secret")
    with pytest.raises(WeightsError, match="leads out of its folder"):
        read_tfjs(folder)
    (folder / "a").unlink()
    (folder / "a").symlink_to("b")
    assert read_tfjs(folder).arrays["a"].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("paths", "weights"),
    [
        (["a", "a"], ONE),
        ("a", ONE),
        (["a"], [{**ONE[0], "shape": [-4]}]),
        (["a"], [{**ONE[0], "shape": [1 << 70]}]),
        (["a"], [{**ONE[0], "shape": [2.5]}]),
        (["a"], [{**ONE[0], "shape": "4"}]),
        (["a"], [{**ONE[0], "shape": [1] * 40}]),
        (["a"], [{**ONE[0], "dtype": ["float32"]}]),
        (["a"], [{**ONE[0], "name": ["a"]}]),
        (["a"], [ONE[0] | {"shape": [2]}, ONE[0] | {"shape": [2]}]),
        (["a"], [None]),
        (["a"], None),
        (["a"], [{**ONE[0], "quantization": {"scale": 0, "min": 0, "dtype": "uint8"}}]),
    ],
)
def test_manifests_of_tfjs(paths: object, weights: object, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="not a whole TensorFlow.js model"):
        read_tfjs(tfjs(tmp_path / "m", paths, weights, a=bytes(16)))


def tarball(path: Path, **files: bytes) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_tarballs(tmp_path: Path) -> None:
    folder = tfjs(tmp_path / "m", ["a"], ONE, a=np.arange(4, dtype="<f4").tobytes())
    long = "x" * 150  # a name that needs an entry of its own
    for kind in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        with tarfile.open(tmp_path / "a.tgz", "w:gz", format=kind) as archive:
            archive.add(folder, f"{long}/package")
        assert read_tfjs(tmp_path / "a.tgz").arrays["a"].tolist() == [0, 1, 2, 3]
    whole = (tmp_path / "a.tgz").read_bytes()
    for size in range(0, len(whole), 37):
        (tmp_path / "a.tgz").write_bytes(whole[:size])
        refused(tmp_path / "a.tgz")
    with tarfile.open(tmp_path / "b.tgz", "w:gz") as archive:
        link = tarfile.TarInfo("package/model.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    assert "no model.json" in refused(tmp_path / "b.tgz")


def test_a_packed_bomb(tmp_path: Path) -> None:
    (tmp_path / "a.tgz").write_bytes(gzip.compress(bytes(70 << 20), 1))
    assert "unpacks to more than" in refused(tmp_path / "a.tgz")


def test_a_model_json_of_brackets(tmp_path: Path) -> None:
    assert "values" in refused(
        tarball(tmp_path / "a.tgz", **{"model.json": b"[" + b"[]," * 3_000_000})
    )
    refused(tarball(tmp_path / "b.tgz", **{"model.json": b"[" * 100_000}))


@pytest.mark.parametrize("place", ["file", "model.json", "shard", "index"])
def test_what_never_ends_is_not_opened(place: str, tmp_path: Path) -> None:
    folder = tfjs(tmp_path / "m", ["a"], ONE)
    path = {
        "file": folder / "pipe",
        "model.json": folder / "model.json",
        "shard": folder / "a",
        "index": folder / "m.index",
    }[place]
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    refused(folder if place in ("model.json", "shard") else path)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such device here")
def test_a_device_is_no_checkpoint(tmp_path: Path) -> None:
    assert "not a regular file" in refused(Path("/dev/zero"))
    prefix = tf_bundle.write(tmp_path / "m", {"a": np.ones(1, np.float32)})
    shard = tmp_path / "m.data-00000-of-00001"
    shard.unlink()
    shard.symlink_to("/dev/zero")
    with pytest.raises(WeightsError, match="not a regular file"):
        read_tensorflow(prefix)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "not enough memory to read a.pth"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "not enough"),
        (RecursionError("too deep"), r"a\.pth is not a readable checkpoint \(RecursionError: too"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "UnicodeDecodeError"),
        (KeyError("x\n" * 9000), "KeyError"),
        (WeightsError("names: " + "x\n" * 9000), r"^names: x x .* \.\.\. x x"),
    ],
)
def test_whatever_is_raised_becomes_a_sentence(error: Exception, message: str) -> None:
    with pytest.raises(WeightsError, match=message) as caught, readable(Path("a.pth")):
        raise error
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("words", [["weights", "convert"], ["restore", "--task", "denoise"]])
def test_the_command_refuses_in_one_line(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], shared_dir: Path
) -> None:
    from multiaxis.cli.app import main

    file = safetensors(tmp_path / "a.safetensors", {"x\x1b[31m\n" * 50: ARRAY}, bytes(4))
    picture = shared_dir / "data" / "faults" / "03_text.png"
    given = {
        "weights": [str(file), str(tmp_path / "b.safetensors")],
        "restore": [str(picture), "-o", str(tmp_path / "b.png"), "--weights", str(file)],
    }[words[0]]
    with pytest.raises(SystemExit) as caught:
        main([*words, *given])
    said = capsys.readouterr().err
    assert caught.value.code == 2
    assert said.count("\n") == 1
    assert "\x1b" not in said
    assert not list(tmp_path.glob("b.*"))


def test_a_hostile_file_in_the_cache_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from multiaxis.cli.weights import verify
    from multiaxis.weights.cache import cached_path

    monkeypatch.setenv("MULTIAXIS_HOME", str(tmp_path))
    cached_path("derain").parent.mkdir(parents=True)
    safetensors(cached_path("derain"), {"a": {**ARRAY, "shape": [1 << 40]}}, bytes(4))
    os.mkfifo(cached_path("denoise"))
    assert verify() == 1
    assert capsys.readouterr().out.count("DAMAGED") == 2
