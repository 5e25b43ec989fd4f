"""Folders of trainings that others changed: no code of theirs runs, and nothing damaged is used."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import small_recipe
from multiaxis.errors import TrainingError
from multiaxis.train import train
from multiaxis.train.checkpoint import checkpoints, newest
from multiaxis.train.described import check_recipe
from multiaxis.train.digests import damage, seal
from multiaxis.train.lines import cut_lines
from multiaxis.train.loop import read_log
from multiaxis.train.override import override
from multiaxis.train.recipe import Recipe
from multiaxis.train.session import Session, open_session

LAST, BEFORE = "step_000000008", "step_000000006"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, Path]:
    """A recipe, and the folder of its training."""
    root = tmp_path_factory.mktemp("trained")
    recipe = small_recipe.recipe(small_recipe.make_pictures(root / "photographs"))
    recipe = override(recipe, ["valid=none", "run.log_every=3"])
    train(recipe, root / "run")
    return recipe, root / "run"


@pytest.fixture
def run(trained: tuple[Recipe, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained[1], tmp_path / "run"))


@pytest.fixture
def resume(trained: tuple[Recipe, Path], run: Path) -> Callable[[], Session]:
    return lambda: open_session(trained[0], run)


class Payload:
    """What makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


FILES = [
    "custom_checkpoint_0.pkl",
    "custom_checkpoint_1.pkl",
    "optimizer.bin",
    "random_states_0.pkl",
    "scaler.pt",
    "scheduler.bin",
    "sampler.bin",
    "dl_state_dict.bin",
    "model.safetensors",
    "average.safetensors",
    "position_0.json",
    "recipe.json",
]


@pytest.mark.thorough
@pytest.mark.parametrize("name", [*FILES, "pytorch_model.bin", "digests.json"])
@pytest.mark.parametrize("kind", ["pickle", "torch", "old torch"])
def test_no_pickle_runs_code(
    name: str, kind: str, run: Path, resume: Callable[[], Session], tmp_path: Path
) -> None:
    payload, path = {"x": Payload(tmp_path / "ran")}, run / LAST / name
    if kind == "pickle":
        path.write_bytes(pickle.dumps(payload))
    else:
        torch.save(payload, path, _use_new_zipfile_serialization=kind == "torch")
    if name == "pytorch_model.bin":  # read in the place of a model that is not there
        (run / LAST / "model.safetensors").unlink()
    if name != "digests.json":
        seal(run / LAST)  # whoever can put a file there can do this, too
    read = {*FILES[:4], *FILES[8:], "pytorch_model.bin", "digests.json"}
    if name in read:
        with pytest.raises(TrainingError, match=r"remove (that folder|it)") as caught:
            resume()
        assert "weights_only" not in str(caught.value), "it tells how to run what was planted"
    else:
        resume()
    assert not (tmp_path / "ran").exists()
    data = path.read_bytes()
    pickle.loads(data) if kind == "pickle" else torch.load(io.BytesIO(data), weights_only=False)
    assert (tmp_path / "ran").exists(), "the trap itself works"


def test_a_scaler_runs_no_code(trained: tuple[Recipe, Path], run: Path, tmp_path: Path) -> None:
    """Half precision has a scaler's state beside the others."""
    from accelerate import Accelerator

    from multiaxis.train.checkpoint import Parts, go_on
    from multiaxis.train.position import Position

    model = torch.nn.Linear(2, 2)
    accelerator = Accelerator(cpu=True)
    optimiser = torch.optim.Adam(model.parameters())
    model, optimiser = accelerator.prepare(model, optimiser)
    accelerator.scaler = torch.amp.GradScaler("cpu")
    parts = Parts({"model": model}, {"model": optimiser}, None, Position())
    part = tmp_path / "step_000000001"
    accelerator.save_state(str(part))
    Position(step=1).write(part, 0)
    shutil.copy(run / LAST / "recipe.json", part)
    seal(part)
    go_on(accelerator, trained[0], part, parts)
    torch.save({"scale": Payload(tmp_path / "ran")}, part / "scaler.pt")
    seal(part)
    with pytest.raises(TrainingError, match="starts again"):
        go_on(accelerator, trained[0], part, parts)
    assert not (tmp_path / "ran").exists()


def test_any_flipped_bit_is_found_before_anything_is_loaded(
    run: Path, resume: Callable[[], Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    from accelerate import Accelerator

    monkeypatch.setattr(Accelerator, "load_state", lambda *_, **__: pytest.fail("it was loaded"))
    rng = np.random.default_rng(0)
    files = sorted((run / LAST).iterdir())
    assert {path.name for path in files} >= {
        "average.safetensors", "digests.json", "model.safetensors", "optimizer.bin",
        "position_0.json", "random_states_0.pkl", "recipe.json",
    }  # fmt: skip
    for path in files:
        whole = path.read_bytes()
        is_seal = path.name == "digests.json"
        places = range(len(whole)) if is_seal else rng.integers(0, len(whole), 6)
        for place in places:
            bad = bytearray(whole)
            bad[place] ^= 1 << int(rng.integers(8))
            if is_seal and _says_the_same(bytes(bad), whole):
                continue
            path.write_bytes(bytes(bad))
            assert damage(run / LAST), f"byte {place} of {path.name}"
        with pytest.raises(TrainingError, match=rf"{LAST} .*resumes from {BEFORE}, which is whole"):
            resume()
        path.write_bytes(whole)
    assert not damage(run / LAST)


def _says_the_same(bad: bytes, whole: bytes) -> bool:
    try:
        return json.loads(bad) == json.loads(whole)
    except ValueError:
        return False


@pytest.mark.thorough
def test_a_damaged_file_is_named_and_the_one_before_is_used_once_it_is_gone(
    trained: tuple[Recipe, Path], run: Path
) -> None:
    name = "model.safetensors"
    path = run / LAST / name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(TrainingError, match=rf"{name} has changed .*from {BEFORE}"):
        train(trained[0], run)
    shutil.rmtree(run / LAST)
    assert train(trained[0], run).step == 8
    one, two = (load_file(folder / "weights.safetensors") for folder in (run, trained[1]))
    assert all(torch.equal(one[n], two[n]) for n in one)


def test_several_damaged_checkpoints_are_all_named(
    run: Path, resume: Callable[[], Session]
) -> None:
    (run / BEFORE / "model.safetensors").write_bytes(b"")
    (run / LAST / "model.safetensors").unlink()
    with pytest.raises(
        TrainingError,
        match=rf"model.safetensors is missing.*and {BEFORE}, damaged as well, and the training st",
    ):
        resume()


def unsealed(folder: Path) -> None:
    (folder / "digests.json").unlink()


def emptied(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def piped(folder: Path) -> None:
    (folder / "optimizer.bin").unlink()
    os.mkfifo(folder / "optimizer.bin")


def outside(folder: Path) -> None:
    (folder / "digests.json").write_text('{"../../secret": "0"}')


def deep(folder: Path) -> None:
    (folder / "digests.json").write_text("[" * 100_000)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (unsealed, "has no digests.json: it is incomplete, or from an early version"),
        (emptied, "has no digests.json"),
        (piped, "optimizer.bin is missing"),
        (outside, "lists a file elsewhere"),
        (deep, "cannot be checked"),
    ],
)
def test_odd_checkpoints_are_refused_in_a_sentence(
    change: Callable[[Path], None], message: str, run: Path, resume: Callable[[], Session]
) -> None:
    change(run / LAST)
    with pytest.raises(TrainingError, match=message):
        resume()


def test_only_folders_of_steps_are_checkpoints(run: Path) -> None:
    shutil.copytree(run / BEFORE, run / "step_000000009 (copy)")
    (run / "step_000000010").write_text("")
    (run / "step_x").mkdir()
    (run / "step_1000000000").mkdir()
    assert [path.name for path in checkpoints(run)] == [BEFORE, LAST, "step_1000000000"]
    assert newest(run) == run / "step_1000000000"


@pytest.mark.parametrize(
    "text",
    [
        "", "{}", "[]", "null", "3", '"x"', '{"run": {}}', '{"run": [], "data": {}}', "[" * 100_000,
        '{"run": {"batch": 1}, "data": {}}', '{"run": {"batch": "1", "accumulate": 1}, "data": {}}',
        '{"run": {"batch": 2, "accumulate": 1, "workers": 0}, "data": {}, "processes": "x"}',
        '{"run": {"batch": 2, "accumulate": 1, "workers": 0}, "data": {}, "processes": 1e999}',
        '{"run": {"batch": 2, "accumulate": 1, "workers": -1}, "data": {}, "processes": 1}',
        '{"run": {"batch": true, "accumulate": 1, "workers": 1}, "data": {}, "processes": 1}',
        '{"run": {"batch": ' + "9" * 5000 + "}}", "\xff\xfe", '{"run": ',
    ],
)  # fmt: skip
def test_recipes_that_are_none_are_refused_in_a_sentence(
    text: str, trained: tuple[Recipe, Path], tmp_path: Path
) -> None:
    checkpoint = tmp_path / "step_000000001"
    checkpoint.mkdir()
    (checkpoint / "recipe.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(TrainingError, match=r"does not state a recipe .*remove it") as told:
        check_recipe(checkpoint, trained[0], 1)
    assert len(str(told.value)) < 600
    (checkpoint / "recipe.json").unlink()
    with pytest.raises(TrainingError, match="does not state a recipe"):
        check_recipe(checkpoint, trained[0], 1)


def test_a_recipe_of_other_words_is_another_recipe(
    trained: tuple[Recipe, Path], run: Path, resume: Callable[[], Session]
) -> None:
    path = run / LAST / "recipe.json"
    stated = json.loads(path.read_text())
    stated["run"]["seed"] = "9" * 10_000
    path.write_text(json.dumps(stated))
    seal(run / LAST)
    with pytest.raises(TrainingError, match=r"belongs to another recipe.*run.seed") as told:
        resume()
    assert len(str(told.value)) < 600


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("position_0.json", {"step": 9, "skipped": 0, "unreadable": 0, "losses": []}),
        ("position_0.json", {"step": -1, "skipped": 0, "unreadable": 0, "losses": []}),
        ("position_0.json", {"step": 8.0, "skipped": 0, "unreadable": 0, "losses": []}),
        ("position_0.json", {"step": 8, "skipped": 0, "unreadable": 0, "losses": ["x"]}),
        ("position_0.json", {"step": 8, "skipped": 0, "unreadable": 0, "losses": {"a": 1}}),
        ("position_0.json", {"step": 8, "skipped": 0, "unreadable": 0, "losses": [1.0]}),
        ("position_0.json", {"step": 8, "skipped": 0, "unreadable": 0, "losses": [{"a": "x"}]}),
        ("position_0.json", {"step": 8}),
        ("position_0.json", []),
        ("position_0.json", 8),
        ("optimizer.bin", {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": []}),
        ("optimizer.bin", [1, 2]),
        ("random_states_0.pkl", {"torch_manual_seed": torch.zeros(3, dtype=torch.uint8)}),
        ("random_states_0.pkl", [1]),
        ("average.safetensors", {"n_averaged": torch.zeros((), dtype=torch.int64)}),
        ("model.safetensors", {"x": torch.zeros(2)}),
    ],
)
def test_sealed_nonsense_is_refused_in_a_sentence(
    name: str, change: Any, run: Path, resume: Callable[[], Session]
) -> None:
    path = run / LAST / name
    if name.endswith("json"):
        path.write_text(json.dumps(change))
    elif name.endswith("safetensors"):
        save_file(change, path)
    else:
        torch.save(change, path)
    seal(run / LAST)
    with pytest.raises(TrainingError, match=rf"cannot resume from .*{BEFORE}, which is whole"):
        resume()


def test_moments_of_another_shape_are_refused(run: Path, resume: Callable[[], Session]) -> None:
    path = run / LAST / "optimizer.bin"
    state = torch.load(path, weights_only=True)
    state["state"][0]["exp_avg"] = torch.zeros(3)
    torch.save(state, path)
    seal(run / LAST)
    with pytest.raises(TrainingError, match="exp_avg of the optimiser has the shape"):
        resume()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff\xfe\x00\n", "line 1 is not a report"),
        ('{"step": 3, "loss": 1}\n'.encode("utf-16"), "line 1 is not a report"),
        (b'{"step": 3, "loss": 1}\n{"step": 6, "lo\n{"step": 8}\n', "line 2 is not a report"),
        (b"[]\n", "line 1 is not a report"),
        (b'{"loss": 1}\n', "line 1 is not a report"),
        (b'{"step": "3"}\n', "line 1 is not a report"),
        (b'{"step": null}\n', "line 1 is not a report"),
        (b'{"step": 1}\n' + b"[" * 100_000 + b"\n", "line 2 is not a report"),
    ],
)
def test_a_log_of_something_else_is_kept_and_told(
    data: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / "log.jsonl").write_bytes(data)
    for use in (lambda: read_log(tmp_path), lambda: cut_lines(tmp_path / "log.jsonl", 8)):
        with pytest.raises(TrainingError, match=rf"jsonl is not the log .*{message}.*another name"):
            use()
    assert (tmp_path / "log.jsonl").read_bytes() == data


@pytest.mark.parametrize("rest", [b'{"step": 8, "lo', b"\0\0\0\0", b"\xff", b""])
def test_half_a_last_line_is_what_a_stop_leaves(rest: bytes, run: Path) -> None:
    path = run / "log.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + rest)
    assert len(read_log(run)) == whole.count(b"\n")
    cut_lines(path, 8)
    assert path.read_bytes() == whole
    path.write_bytes(whole.rstrip(b"\n"))
    cut_lines(path, 8)
    assert path.read_bytes() == whole


@pytest.mark.thorough
def test_other_things_in_the_way(trained: tuple[Recipe, Path], run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match=r"cannot write into .*file .*another folder"):
        train(trained[0], tmp_path / "file")
    (run / "log.jsonl").write_bytes(b"\xff\n")
    with pytest.raises(TrainingError, match="is not the log of a training"):
        train(trained[0], run)
    (run / "log.jsonl").unlink()
    os.mkfifo(run / "log.jsonl")
    with pytest.raises(TrainingError, match="is not the log of a training"):
        train(trained[0], run)
    with pytest.raises(TrainingError, match=r"cannot read .*log.jsonl"):
        read_log(tmp_path)
    (tmp_path / "locked" / ".lock").mkdir(parents=True)
    with pytest.raises(TrainingError, match=r"cannot write into .*locked"):
        train(trained[0], tmp_path / "locked")
