"""PyTorch's files: which tensors are taken, and that nothing is run."""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from multiaxis.errors import WeightsError
from multiaxis.weights.read import Kind, detect, read_torch

RAW = {"a.weight": torch.arange(300.0), "a.bias": torch.zeros(2, dtype=torch.bfloat16)}
EMA = {name: tensor + 1 for name, tensor in RAW.items()}


def wrapped(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def same(found: Mapping[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> bool:
    return found.keys() == expected.keys() and all(
        found[n].dtype == t.dtype and torch.equal(found[n], t) for n, t in expected.items()
    )


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize(
    ("saved", "expected"),
    [
        (RAW, RAW),
        ({"model": RAW, "epoch": 3}, wrapped("model/", RAW)),
        ({"a": {"b": RAW}, "c": EMA}, {**wrapped("a/b/", RAW), **wrapped("c/", EMA)}),
        ({"state_dict": RAW, "args": argparse.Namespace(lr=0.1)}, wrapped("state_dict/", RAW)),
        ({"w": torch.nn.Parameter(torch.ones(2)), "epoch": 3}, {"w": torch.ones(2)}),
        ({"state": {0: {"step": torch.ones(())}}}, {"state/0/step": torch.ones(())}),
    ],
)
def test_tensors_are_named_by_the_keys_above_them(
    saved: dict[str, Any], expected: dict[str, torch.Tensor], is_zip: bool, tmp_path: Path
) -> None:
    file = tmp_path / "checkpoint"
    torch.save(saved, file, _use_new_zipfile_serialization=is_zip)
    assert detect(file) is Kind.TORCH
    found = read_torch(file)
    assert same(found, expected)
    assert not any(tensor.requires_grad for tensor in found.values())


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        ({"epoch": 3, "model": "maxvit"}, "no state dict but a dict of 'epoch', 'model'"),
        ([torch.zeros(2)], "no state dict but a list"),
        ({}, "no state dict but a dict: accepted"),
        (torch.nn.Linear(1, 1), r"asks for torch\.nn\.modules\.linear\.Linear when it is read"),
    ],
)
def test_what_is_no_state_dict(saved: object, message: str, tmp_path: Path) -> None:
    torch.save(saved, tmp_path / "file.pth")
    with pytest.raises(WeightsError, match=message):
        read_torch(tmp_path / "file.pth")


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("a pickle was executed",))


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_bare_pickle_is_refused_and_not_run(protocol: int, tmp_path: Path) -> None:
    file = tmp_path / "model.pkl"
    file.write_bytes(pickle.dumps(_Bomb(), protocol=protocol))
    assert detect(file) is Kind.TORCH
    with pytest.raises(WeightsError, match="save its tensors"):
        read_torch(file)


@pytest.mark.parametrize("is_zip", [True, False])
def test_code_beside_the_tensors_is_refused_and_not_run(is_zip: bool, tmp_path: Path) -> None:
    file = tmp_path / "model.pth"
    torch.save({**RAW, "x": _Bomb()}, file, _use_new_zipfile_serialization=is_zip)
    with pytest.raises(WeightsError, match=r"asks for \S+ when it is read, and so could run"):
        read_torch(file)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is:FutureWarning")
def test_torchscript_is_refused(tmp_path: Path) -> None:
    torch.jit.script(torch.nn.Linear(1, 1)).save(str(tmp_path / "model.pt"))
    with pytest.raises(WeightsError, match="TorchScript archive, which holds code"):
        read_torch(tmp_path / "model.pt")


@pytest.mark.parametrize("is_zip", [True, False])
def test_files_cut_anywhere_are_refused(is_zip: bool, tmp_path: Path) -> None:
    file = tmp_path / "model.pth"
    torch.save(RAW, file, _use_new_zipfile_serialization=is_zip)
    whole = file.read_bytes()
    for size in range(0, len(whole), 7):
        file.write_bytes(whole[:size])
        with pytest.raises(WeightsError):
            dict(read_torch(file))


@settings(deadline=None)
@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_of_a_zip_is_refused_or_harmless(
    at: float, bit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("flip") / "model.pth"
    torch.save(RAW, file)
    octets = bytearray(file.read_bytes())
    octets[int(at * len(octets))] ^= 1 << bit
    file.write_bytes(octets)
    try:
        found = dict(read_torch(file))
    except WeightsError:
        return
    assert same(found, RAW)
