"""Detecting and segmenting as every batch: at addresses, in several processes, on a cluster."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import small_detections
import small_segments
from multiaxis.batch import File, Verb
from multiaxis.cli.app import main
from multiaxis.models.store import save_network
from multiaxis.tasks.detect.verb import Detect
from multiaxis.tasks.segment.classes import Numbers, named
from multiaxis.tasks.segment.config import DecoderConfig
from multiaxis.tasks.segment.network import build_network
from multiaxis.tasks.segment.stated import write_stated
from multiaxis.tasks.segment.verb import Segment
from small_recipe import SMALL_VIT

fsspec = pytest.importorskip("fsspec", reason="addresses need fsspec (extra: ray)")


@dataclass(frozen=True)
class Use:
    """A command with its weights, and four pictures."""

    words: tuple[str, ...]
    verb: Verb
    pictures: Path


@pytest.fixture(params=["detect", "segment"])
def use(request: pytest.FixtureRequest, tmp_path: Path) -> Use:
    weights, pictures = tmp_path / "w.safetensors", tmp_path / "in"
    if request.param == "detect":
        small_detections.write_set(pictures)
        (pictures / "truth.json").unlink()
        small_detections.write_weights(weights, "mask")
        arguments: dict[str, Any] = {"weights": str(weights), "threshold": 0.0, "device": "cpu"}
        words = ("detect", "--weights", str(weights), "--device", "cpu", "--threshold", "0")
        return Use(words, Detect(arguments, draws=True), pictures)
    pictures = small_segments.make_squares(tmp_path, count=4) / "pictures"
    network = build_network("maxvit", DecoderConfig(level=1, channels=8), 2, config=SMALL_VIT)
    save_network(network, weights, write_stated(named(["a", "b"]), Numbers((0, 1), ())))
    arguments = {"weights": str(weights), "device": "cpu"}
    words = ("segment", "-w", str(weights), "--device", "cpu", "--as", "both")
    return Use(words, Segment(arguments, form="both"), pictures)


@pytest.fixture
def store() -> Iterator[Any]:
    store = fsspec.filesystem("memory")
    store.store.clear()
    yield store
    store.store.clear()


def run(use: Use, *words: object) -> None:
    with pytest.raises(SystemExit) as caught:
        main([use.words[0], *map(str, words), *use.words[1:], "-q"])
    assert not caught.value.code


def contents(folder: Path) -> dict[str, bytes]:
    """Without the ledger, which has its lines in the order of finishing."""
    return {path.name: path.read_bytes() for path in folder.glob("[!.]*")}


def rows(text: str) -> list[Mapping[str, Any]]:
    rows = json.loads(text)["pictures"]
    return [{k: row[k] for k in ("state", "detections", "classes") if k in row} for row in rows]


@pytest.mark.thorough
def test_at_addresses(use: Use, store: Any, tmp_path: Path) -> None:
    for path in use.pictures.iterdir():
        store.pipe_file(f"/in/{path.name}", path.read_bytes())
    run(use, use.pictures, "-o", tmp_path / "out", "--report", tmp_path / "report.json")
    run(use, "memory://in", "-o", "memory://out", "--report", tmp_path / "there.json")
    found = {name: store.cat_file(f"/out/{name}") for name in contents(tmp_path / "out")}
    assert found == contents(tmp_path / "out")
    assert len(found) == (4 if use.words[0] == "detect" else 8)
    here, there = (rows((tmp_path / name).read_text()) for name in ("report.json", "there.json"))
    assert here == there


def test_a_verb_that_was_sent_does_the_same(use: Use) -> None:
    """What other processes get is pickled, and loads its own model there."""
    results = []
    for verb in (use.verb, pickle.loads(pickle.dumps(use.verb))):
        runner = verb.load()
        path = use.pictures / "0.png"
        results.append(runner.encode(runner.run(runner.read(File(path, "0.png", path)))))
    assert results[0] == results[1]


@pytest.mark.slow
@pytest.mark.parametrize("engine", [["--workers", "2"], ["--engine", "ray", "--workers", "2"]])
def test_several_processes(
    use: Use, engine: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "ray" in engine:
        pytest.importorskip("ray")
        monkeypatch.setenv("RAY_ADDRESS", "local")
    run(use, use.pictures, "-o", tmp_path / "one", "--report", tmp_path / "one.json")
    run(use, use.pictures, "-o", tmp_path / "two", "--report", tmp_path / "two.json", *engine)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert rows((tmp_path / "one.json").read_text()) == rows((tmp_path / "two.json").read_text())
