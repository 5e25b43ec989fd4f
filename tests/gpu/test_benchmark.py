"""The benchmark measures a GPU, or says that there is none; it writes between its marks alone."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "gpu.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpu_benchmark", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["gpu_benchmark"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def test_without_a_gpu_it_says_so(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = benchmark.PAGE.read_text()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    benchmark.main()
    assert capsys.readouterr().out.startswith("No CUDA GPU is here: nothing was measured.")
    assert benchmark.PAGE.read_text() == before


def test_it_writes_between_its_marks(
    benchmark: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "gpu.md"
    page.write_text(benchmark.PAGE.read_text())
    monkeypatch.setattr(benchmark, "PAGE", page)
    benchmark.write("Measured on a card.\n\n| a |")
    benchmark.write("Measured on another.")
    before, _, rest = (ROOT / "docs" / "gpu.md").read_text().partition("<!-- measured -->")
    behind = rest.partition("<!-- end -->")[2]
    wanted = f"{before}<!-- measured -->\nMeasured on another.\n<!-- end -->{behind}"
    assert page.read_text() == wanted


def test_what_does_not_fit_is_said(benchmark: ModuleType) -> None:
    def too_large() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    found = benchmark.best({"fits": lambda: None, "not": too_large}, torch.device("cpu"), 1)
    assert found["fits"][0] < 1
    assert benchmark._or_not(found["not"][0], "does not fit") == "does not fit"


@pytest.mark.slow
def test_it_runs_on_a_processor() -> None:
    words = [sys.executable, str(SCRIPT), "--device", "cpu", "--quick"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "nan" not in done.stdout
    assert done.stdout.count("|\n") > 20
