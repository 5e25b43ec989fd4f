"""ONNX files: the same outputs in another runtime, any batch, nothing half-written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import small_maxim
import small_maxvit
from multiaxis.cli.app import _run
from multiaxis.deploy import onnx as room
from multiaxis.deploy.onnx import export_onnx
from multiaxis.errors import ConfigError, ExportError, MissingExtraError, ShapeError
from multiaxis.images import read_picture, to_unit
from multiaxis.models.maxim import Maxim

pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")


SMALL = replace(small_maxvit.CONFIG, depths=(1,), widths=(16,))  # the exporter is slow
TWO = replace(small_maxvit.CONFIG, depths=(1, 1), widths=(16, 24))


def run(path: Path, x: torch.Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]


def photograph(shared_dir: Path, height: int, width: int) -> torch.Tensor:
    picture = read_picture(shared_dir / "data/classify/cat.jpg")
    values = to_unit(picture.pixels)[40 : 40 + height, 60 : 60 + width]
    return torch.from_numpy(values).permute(2, 0, 1)[None].contiguous()


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("change", "size"),
    [({}, (61, 90)), ({"depths": (1,), "widths": (16,), "flavour": "torchvision"}, (96, 64))],
)
def test_maxvit(
    change: dict[str, Any], size: tuple[int, int], tmp_path: Path, shared_dir: Path
) -> None:
    """At a size that windows do not divide, and in torchvision's flavour."""
    model = small_maxvit.lively(replace(TWO, **change))
    file = tmp_path / "model.onnx"
    difference = export_onnx(model, file, size)
    assert difference is not None
    assert difference < 1e-5
    x = photograph(shared_dir, *size).expand(5, -1, -1, -1) * torch.rand(5, 1, 1, 1)
    with torch.no_grad():
        expected = model(x).numpy()
    np.testing.assert_allclose(run(file, x), expected, rtol=1e-4, atol=1e-4)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.thorough
def test_maxim(tmp_path: Path, shared_dir: Path) -> None:
    torch.manual_seed(0)
    model = Maxim(replace(small_maxim.LEAST, num_groups=1)).eval()
    side = max(model.config.size_multiple)
    file = tmp_path / "model.onnx"
    difference = export_onnx(model, file, (2 * side, 3 * side))
    assert difference is not None
    assert difference < 1e-4
    x = photograph(shared_dir, 2 * side, 3 * side)
    with torch.no_grad():
        expected = model(x).numpy()
    np.testing.assert_allclose(run(file, x), expected, rtol=1e-4, atol=1e-4)


def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "model.onnx"
    model = small_maxvit.lively(replace(small_maxvit.CONFIG, window_policy="fixed"))
    with pytest.raises(ShapeError, match="100 x 100 pixels"):
        export_onnx(model, file, (100, 100))
    with pytest.raises(ConfigError, match="cannot export a Linear"):
        export_onnx(torch.nn.Linear(1, 1), file, (8, 8))
    with pytest.raises(ConfigError, match="no folder"):
        export_onnx(model, tmp_path / "none/model.onnx", (128, 128))
    monkeypatch.setattr(room, "_LARGEST", 10)
    with pytest.raises(ConfigError, match="holds up to 2 GB"):
        export_onnx(model, file, (128, 128))
    monkeypatch.undo()
    monkeypatch.setattr(room.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"onnx, onnxscript, onnxruntime: pip install"):
        export_onnx(model, file, (128, 128))
    monkeypatch.undo()
    file.write_bytes(b"mine")
    with pytest.raises(ConfigError, match="exists"):
        export_onnx(model, file, (128, 128))
    assert file.read_bytes() == b"mine"


@pytest.mark.thorough
def test_a_file_that_computes_something_else_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "TOLERANCE", -1.0)
    with pytest.raises(ExportError, match="outputs are off by"):
        export_onnx(small_maxvit.lively(SMALL), tmp_path / "model.onnx", (64, 64))
    assert not list(tmp_path.iterdir())


def test_an_exporter_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no such operator\nand more")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(ExportError, match="model .RuntimeError: no such operator"):
        export_onnx(small_maxvit.lively(SMALL), tmp_path / "model.onnx", (64, 64))


@pytest.mark.thorough
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from multiaxis.weights.store import write_safetensors

    weights = tmp_path / "a.safetensors"
    write_safetensors(weights, small_maxvit.lively(SMALL).state_dict(), {})
    file = tmp_path / "a.onnx"
    words = ["export", str(weights), str(file)]
    assert _run([*words, "--size", "64x96"], is_debugging=False) == 0
    assert "differs from the model by" in capsys.readouterr().out
    assert run(file, torch.rand(3, 3, 64, 96)).shape == (3, 7)
    assert _run([*words, "--size", "64x96"], is_debugging=False) == 2
    assert "exists" in capsys.readouterr().err
    assert _run([*words, "--size", "big"], is_debugging=False) == 2
    assert "--size is 'big'" in capsys.readouterr().err
