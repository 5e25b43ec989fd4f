"""TensorFlow checkpoints: what is read, and that damage never passes."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tf_bundle
from multiaxis.errors import WeightsError
from multiaxis.weights.read import Kind, averaged, detect, read_tensorflow

ARRAYS = {
    "net/conv/kernel": np.arange(12, dtype=np.float32).reshape(3, 4),
    "net/conv/kernel/ExponentialMovingAverage": np.arange(12, dtype=np.float32).reshape(3, 4) + 1,
    "net/conv/bias": np.array([0.5, -2], np.float64),
    "net/half": np.array([[1.5]], np.float16),
    "net/empty": np.zeros((0, 3), np.float32),
    "net/mask": np.array([True, False]),
    "global_step": np.array(93600, np.int64),
}
SHARD = "model.ckpt.data-00000-of-00001"


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tf_bundle.write(tmp_path_factory.mktemp("ckpt") / "model.ckpt", ARRAYS)


def same(found: object, expected: object) -> bool:
    return dict(found).keys() == dict(expected).keys() and all(
        found[n].dtype == a.dtype and np.array_equal(found[n], a) for n, a in expected.items()
    )


@pytest.mark.parametrize("name", ["model.ckpt", "model.ckpt.index", SHARD, ""])
def test_any_part_names_the_checkpoint(name: str, prefix: Path) -> None:
    path = prefix.parent / name
    assert detect(path) is Kind.TENSORFLOW
    found = read_tensorflow(path)
    assert len(found) == len(ARRAYS)
    assert same(found, ARRAYS)


def test_every_tensor_of_a_real_checkpoint(shared_dir: Path) -> None:
    golden = shared_dir / "golden" / "maxvit"
    expected = json.loads((golden / "A.json").read_text())["checkpoint"]["checksums"]
    found = read_tensorflow(golden / "A_ckpt")
    assert set(found) == set(expected)
    for name, array in found.items():
        row = expected[name]
        assert (list(array.shape), array.dtype.name) == (row["shape"], row["dtype"])
        assert hashlib.sha256(array.tobytes()).hexdigest()[:16] == row["sha256_16"], name


def test_averages_of_a_real_checkpoint_are_the_evaluated_variables(shared_dir: Path) -> None:
    golden = shared_dir / "golden" / "maxvit"
    chosen, is_averaged = averaged(read_tensorflow(golden / "A_ckpt"))
    with np.load(golden / "A.npz") as archive:
        variables = {n.removeprefix("var/"): archive[n] for n in archive if n.startswith("var/")}
    assert is_averaged
    assert same(chosen, variables)


def test_averaged_drops_what_was_not_averaged_and_falls_back() -> None:
    chosen, is_averaged = averaged(ARRAYS)
    assert is_averaged
    assert same(chosen, {"net/conv/kernel": ARRAYS["net/conv/kernel/ExponentialMovingAverage"]})
    raw = {"net/conv/bias": ARRAYS["net/conv/bias"]}
    chosen, is_averaged = averaged(raw)
    assert not is_averaged
    assert same(chosen, raw)


def test_several_shards_bfloat16_and_strings(tmp_path: Path) -> None:
    values = np.array([1.0, -2.5, 3e38], np.float32)
    upper = (values.view(np.uint32) >> 16).astype(np.uint16)
    text = b"\x05graph"
    other = np.arange(3, dtype=np.float32).tobytes()
    entries = {
        b"": tf_bundle.header(shards=2),
        b"_CHECKPOINTABLE_OBJECT_GRAPH": tf_bundle.entry(text, (), 7),
        b"a": tf_bundle.entry(upper.tobytes(), (3,), 14, offset=len(text)),
        b"b": tf_bundle.entry(other, (3,), 1, shard=1),
    }
    tf_bundle.write_parts(tmp_path / "m", entries, text + upper.tobytes(), other)
    found = read_tensorflow(tmp_path / "m")
    expected = (upper.astype(np.uint32) << 16).view(np.float32)
    assert same(found, {"a": expected, "b": np.arange(3, dtype=np.float32)})


def test_a_folder_of_several_asks_which(tmp_path: Path) -> None:
    for step in (1, 2):
        tf_bundle.write(tmp_path / f"model.ckpt-{step}", {"step": np.array(step)})
    with pytest.raises(WeightsError, match=r"found: model\.ckpt-1\.index, model\.ckpt-2\.index"):
        read_tensorflow(tmp_path)
    for written in ("/another/machine/model.ckpt-2", r"C:\\runs\\model.ckpt-2"):
        (tmp_path / "checkpoint").write_text(f'model_checkpoint_path: "{written}"\n')
        assert read_tensorflow(tmp_path)["step"] == 2
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-3"\n')
    with pytest.raises(WeightsError, match="give the prefix of the one wanted"):
        read_tensorflow(tmp_path)


def test_missing_parts(tmp_path: Path) -> None:
    prefix = tf_bundle.write(tmp_path / "model.ckpt", ARRAYS)
    shard = tmp_path / SHARD
    content = shard.read_bytes()
    shard.write_bytes(content[:-1])
    with pytest.raises(WeightsError, match="is cut short"):
        read_tensorflow(prefix)
    shard.rename(tmp_path / "model.ckpt.data-00000-of-00002")
    with pytest.raises(
        WeightsError, match=r"00000-of-00001 is missing.*are model\.ckpt\.data-00000-of-00002"
    ):
        read_tensorflow(prefix)
    (tmp_path / "model.ckpt.data-00000-of-00002").unlink()
    with pytest.raises(WeightsError, match="are no shards"):
        read_tensorflow(prefix)
    (tmp_path / "model.ckpt.index").rename(tmp_path / "renamed")
    with pytest.raises(WeightsError, match=r"renamed\.index is not beside it"):
        read_tensorflow(tmp_path / "renamed")
    shard.write_bytes(content)
    with pytest.raises(WeightsError, match=r"model\.ckpt\.index is not beside it"):
        read_tensorflow(shard)
    with pytest.raises(WeightsError, match="found: none"):
        read_tensorflow(tmp_path)


FLOAT = tf_bundle.entry(bytes(8), (2,), 1)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({b"": tf_bundle.header(endianness=1), b"a": FLOAT}, "big-endian"),
        ({b"": tf_bundle.header(), b"a": FLOAT + tf_bundle.part(7, b"")}, "partitioned"),
        ({b"": tf_bundle.header(0), b"a": FLOAT}, "says that there are 0"),
        ({b"": tf_bundle.header(), b"a": tf_bundle.entry(bytes(8), (3,), 1)}, "cannot be"),
        ({b"": tf_bundle.header(), b"a": tf_bundle.entry(b"", (0, 2**62), 1)}, "cannot be"),
        ({b"": tf_bundle.header(), b"a": FLOAT[:-2]}, "longer than its message"),
        ({b"": tf_bundle.header(), b"a": b"\xff"}, "has no end"),
        ({b"": tf_bundle.header(), b"a": b"\x0b\x00"}, "index of a TensorFlow checkpoint"),
        ({b"": tf_bundle.header(), b"\xff": FLOAT}, "index of a TensorFlow checkpoint"),
        ({b"a": FLOAT}, "index of a TensorFlow checkpoint"),
    ],
)
def test_what_is_not_read(entries: dict[bytes, bytes], message: str, tmp_path: Path) -> None:
    tf_bundle.write_parts(tmp_path / "m", entries, bytes(8))
    with pytest.raises(WeightsError, match=message):
        read_tensorflow(tmp_path / "m")


def test_compressed_blocks_are_refused(tmp_path: Path) -> None:
    entries = {b"": tf_bundle.header(), b"a": FLOAT}
    tf_bundle.write_parts(tmp_path / "m", entries, bytes(8), kind=1)
    with pytest.raises(WeightsError, match=r"compressed \(kind 1\)"):
        read_tensorflow(tmp_path / "m")


def with_index(prefix: Path, folder: Path, content: bytes) -> Path:
    (folder / "model.ckpt.index").write_bytes(content)
    if not (folder / SHARD).exists():
        shutil.copy(prefix.with_name(SHARD), folder)
    return folder / "model.ckpt"


def test_an_index_cut_anywhere_is_refused(prefix: Path, tmp_path: Path) -> None:
    whole = prefix.with_name("model.ckpt.index").read_bytes()
    for size in range(len(whole)):
        with pytest.raises(WeightsError):
            read_tensorflow(with_index(prefix, tmp_path, whole[:size]))


@settings(deadline=None)
@given(data=st.data())
def test_an_index_with_flipped_bits_is_refused_or_the_same(
    data: st.DataObject, prefix: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The footer's padding carries no checksum, and no meaning either."""
    octets = bytearray(prefix.with_name("model.ckpt.index").read_bytes())
    for at in data.draw(st.lists(st.integers(0, len(octets) - 1), min_size=1, max_size=3)):
        octets[at] ^= 1 << data.draw(st.integers(0, 7))
    changed = with_index(prefix, tmp_path_factory.mktemp("flip"), bytes(octets))
    try:
        found = dict(read_tensorflow(changed))
    except WeightsError:
        return
    assert same(found, ARRAYS)


def test_any_flipped_byte_of_the_data_is_found(tmp_path: Path) -> None:
    prefix = tf_bundle.write(tmp_path / "model.ckpt", ARRAYS)
    shard = tmp_path / SHARD
    whole = shard.read_bytes()
    for at in range(len(whole)):
        shard.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        with pytest.raises(WeightsError, match="differ from their checksum"):
            dict(read_tensorflow(prefix))


def test_a_shard_cut_or_removed_after_opening(tmp_path: Path) -> None:
    found = read_tensorflow(tf_bundle.write(tmp_path / "model.ckpt", ARRAYS))
    shard = tmp_path / SHARD
    shard.write_bytes(shard.read_bytes()[:1])
    with pytest.raises(WeightsError, match="differ from their checksum"):
        found["net/conv/kernel"]
    shard.unlink()
    with pytest.raises(WeightsError, match="cannot read"):
        found["net/conv/kernel"]
    with pytest.raises(KeyError):
        found["net/conv"]
