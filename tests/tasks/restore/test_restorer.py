"""Every kind of picture in Python, and what is refused."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from multiaxis import Restorer, restore
from multiaxis.devices import find_device
from multiaxis.errors import ConfigError, ImageError, ShapeError, WeightsError
from multiaxis.images import Picture, write_picture
from multiaxis.memory import free_memory

KINDS = st.tuples(
    st.sampled_from([(), (1,), (2,), (3,), (4,)]),
    st.sampled_from(["uint8", "uint16", "float32", "float64"]),
    st.integers(1, 40),
    st.integers(1, 40),
)


def picture(shape: tuple[int, ...], dtype: str = "uint8", seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).random(shape)
    return (values * np.iinfo(dtype).max).astype(dtype) if "int" in dtype else values.astype(dtype)


@pytest.mark.thorough
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(KINDS)
def test_arrays_come_back_as_they_went(restorer: Restorer, kind: tuple) -> None:
    channels, dtype, height, width = kind
    array = picture((height, width, *channels), dtype)
    before = array.copy()
    restored = restorer.restore(array)
    assert (restored.shape, restored.dtype) == (array.shape, array.dtype)
    np.testing.assert_array_equal(array, before, err_msg="the input was changed")
    if channels in {(2,), (4,)}:
        np.testing.assert_array_equal(restored[..., -1], array[..., -1], err_msg="alpha")
    if "float" in dtype:
        assert 0 <= restored[..., :3].min() <= restored[..., :3].max() <= 1


def test_whole_numbers_are_rounded_not_truncated(restorer: Restorer) -> None:
    array = picture((20, 30, 3))
    exact = restorer.restore_values(array.astype(np.float32) / 255)
    expected = np.rint(np.clip(exact, 0, 1) * 255).astype(np.uint8)
    np.testing.assert_array_equal(restorer.restore(array), expected)
    deep = restorer.restore(array.astype(np.uint16) * 257)
    np.testing.assert_array_equal(deep, np.rint(np.clip(exact, 0, 1) * 65535).astype(np.uint16))


def test_grey_is_the_luma_of_the_grey_picture_in_colour(restorer: Restorer) -> None:
    grey = picture((16, 24), "float32")
    colour = restorer.restore_values(np.repeat(grey[..., None], 3, axis=-1))
    expected = np.clip(colour @ np.array([0.299, 0.587, 0.114]), 0, 1)
    np.testing.assert_allclose(restorer.restore(grey), expected, atol=1e-5)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_pillow_images_keep_their_mode_family(mode: str, restorer: Restorer) -> None:
    source = Image.fromarray(picture((21, 34, 4)), "RGBA")
    image = Image.fromarray(picture((21, 34), "uint16")) if mode == "I;16" else source.convert(mode)
    restored = restorer.restore(image)
    assert restored.size == (34, 21)
    grey = {"1", "L", "LA", "I;16"}
    assert (restored.getbands()[0] in {"L", "I"} or restored.mode == "I;16") == (mode in grey)
    if "A" in mode:
        assert restored.getchannel("A").tobytes() == image.getchannel("A").tobytes()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.uint8])
def test_tensors_alone_and_in_batches(dtype: torch.dtype, restorer: Restorer) -> None:
    batch = torch.from_numpy(picture((2, 3, 20, 30)))
    batch = batch if dtype == torch.uint8 else (batch / 255).to(dtype)
    restored = restorer.restore(batch)
    assert (restored.shape, restored.dtype) == (batch.shape, dtype)
    one = restorer.restore(batch[1])
    assert one.shape == (3, 20, 30)
    torch.testing.assert_close(one.float(), restored[1].float(), atol=1e-4, rtol=0)
    assert restorer.restore(batch[:, :1]).shape == (2, 1, 20, 30)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.full((4, 4, 3), np.nan, np.float32), "NaN"),
        (np.full((4, 4, 3), 255.0), "from 255 to 255: accepted is the range 0 to 1"),
        (np.zeros((4, 4, 5), np.uint8), r"\(4, 4, 5\): accepted are"),
        (np.zeros((4,), np.uint8), "accepted are"),
        (np.zeros((0, 4, 3), np.uint8), "accepted are"),
        (np.zeros((4, 4, 3), np.int64), "type int64: accepted are uint8"),
        (torch.zeros(2, 4, 4), r"\(2, 4, 4\): accepted are"),
        (torch.full((3, 4, 4), torch.inf), "NaN or infinite"),
        ("text", "received a str"),
    ],
)
def test_what_is_no_picture(image: object, message: str, restorer: Restorer) -> None:
    with pytest.raises(ShapeError, match=message):
        restorer.restore(image)


def test_names_are_checked(weights: Path) -> None:
    with pytest.raises(ConfigError, match="unknown task 'derian': did you mean derain"):
        Restorer("derian")
    with pytest.raises(ConfigError, match="unknown dtype 'float17'"):
        Restorer("derain", weights=weights, dtype="float17")
    with pytest.raises(ConfigError, match="unknown checkpoint 'deblur-red': did you mean deblur-r"):
        Restorer("deblur", weights="deblur-red")
    with pytest.raises(WeightsError, match=r"cannot read the checkpoint none\.npz"):
        Restorer("deblur", weights="none.npz")
    with pytest.raises(ConfigError, match="unknown device 'gpu'"):
        find_device("gpu")
    for name in ("cpu:", "cpu:x", "cuda:-1", "", None):
        with pytest.raises(ConfigError, match="unknown device"):
            find_device(name)
    with pytest.raises(ConfigError, match="unknown task None: known are denoise"):
        Restorer(None)
    with pytest.raises(ConfigError, match="the weights are empty"):
        Restorer("derain", weights="")
    with pytest.raises(ConfigError, match="the device cpu:1 is not available"):
        find_device("cpu:1")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="cuda is not available: this machine has cpu"):
            find_device("cuda")


def test_devices_and_types_of_torch_are_taken(weights: Path) -> None:
    restorer = Restorer("derain", weights=weights, device=torch.device("cpu"), dtype=torch.bfloat16)
    assert (restorer.device, restorer.dtype) == (torch.device("cpu"), torch.bfloat16)


def test_bfloat16_is_near(weights: Path, restorer: Restorer) -> None:
    array = picture((32, 32, 3), "float32")
    rough = Restorer("derain", weights=weights, device="cpu", dtype="bfloat16").restore(array)
    assert np.sqrt(np.mean((rough - restorer.restore(array)) ** 2)) < 0.01


def test_what_does_not_fit_is_refused_before_it_starts(
    restorer: Restorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = import_module("multiaxis.models.maxim.streaming.streamed")
    monkeypatch.setattr(module, "free_device_memory", lambda _: 1_000_000)
    with pytest.raises(ImageError, match=r"takes about .* GB of memory, and 0\.0 GB are free"):
        restorer.restore(picture((640, 640, 3)))


def test_the_free_memory_of_a_container(tmp_path: Path) -> None:
    assert free_memory(tmp_path) is None
    groups = tmp_path / "sys/fs/cgroup"
    files = {
        "proc/meminfo": "MemTotal: 9000 kB\nMemAvailable: 8000 kB\n",
        "sys/fs/cgroup/memory.max": "1000000\n",
        "sys/fs/cgroup/memory.current": "700000\n",
        "sys/fs/cgroup/memory.stat": "anon 100000\ninactive_file 550000\nfile 600000\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert free_memory(tmp_path) == 850_000, "cached files count as used"
    (groups / "memory.max").write_text("max\n")
    assert free_memory(tmp_path) == 8000 * 1024
    (groups / "memory").mkdir()
    (groups / "memory/memory.limit_in_bytes").write_text("500000\n")
    (groups / "memory/memory.usage_in_bytes").write_text("400000\n")
    (groups / "memory/memory.stat").write_text("inactive_file 1\ntotal_inactive_file 300000\n")
    assert free_memory(tmp_path) == 400_000


def test_what_cannot_end_well_does_not_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object, **__: object) -> None:
        raise AssertionError("the weights were asked for")

    monkeypatch.setattr("multiaxis.tasks.restore.opened.open_model", load)
    source, deep = tmp_path / "in.png", tmp_path / "deep.png"
    Image.fromarray(picture((4, 4, 3))).save(source)
    write_picture(deep, Picture(picture((4, 4, 3), "uint16")))
    with pytest.raises(ImageError, match="Pillow cannot hold uint16 RGB: write it to a file"):
        restore(deep, task="derain")
    with pytest.raises(ImageError, match="mode CMYK"):
        restore(Image.new("CMYK", (4, 4)), task="derain")
    with pytest.raises(ImageError, match="it exists"):
        restore(source, task="derain", output=deep)
    with pytest.raises(ImageError, match="its folder does not exist"):
        restore(source, task="derain", output=tmp_path / "none" / "out.png")
    with pytest.raises(ImageError, match="JPEG cannot hold uint16"):
        restore(deep, task="derain", output=tmp_path / "out.jpg")
    if Path("/proc/self").exists():
        with pytest.raises(ImageError, match=r"cannot write /proc/x\.png"):
            restore(source, task="derain", output="/proc/x.png")
    assert sorted(tmp_path.iterdir()) == [deep, source]


@pytest.mark.thorough
def test_the_function_takes_paths_and_images(tmp_path: Path, weights: Path) -> None:
    source = tmp_path / "in.png"
    Image.fromarray(picture((20, 30, 3))).save(source)
    options = {"task": "derain", "weights": weights, "device": "cpu"}
    image = restore(source, **options)
    assert isinstance(image, Image.Image)
    target = tmp_path / "out.png"
    assert restore(str(source), output=target, **options) == target
    with Image.open(target) as written, Image.open(source) as opened:
        assert written.tobytes() == image.tobytes()
        assert restore(opened, **options).tobytes() == image.tobytes()
    with pytest.raises(ImageError, match="exist"):
        restore(source, output=target, **options)
    before = source.read_bytes()
    with pytest.raises(ImageError, match="originals are never replaced"):
        restore(source, output=source, overwrite=True, **options)
    assert source.read_bytes() == before
    with pytest.raises(ConfigError, match="output needs a path"):
        restore(picture((4, 4, 3)), output=target, **options)


@pytest.mark.thorough
@pytest.mark.parametrize("options", [{}, {"ensemble": True}, {"tile": 64, "strength": 0.5}])
def test_a_tensor_stays_on_its_device(
    options: dict[str, object], weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU each of these calls would wait for a copy."""
    restorer = Restorer("derain", weights=weights, device="cpu", **options)
    x = torch.rand(2, 3, 70, 40)
    expected = restorer.restore(x)

    def copied(*_: object) -> None:
        raise AssertionError("it left its device")

    monkeypatch.setattr(torch.Tensor, "numpy", copied)
    monkeypatch.setattr(torch.Tensor, "cpu", copied)
    assert torch.equal(restorer.restore(x), expected)
