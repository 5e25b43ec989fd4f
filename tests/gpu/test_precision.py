"""Float32 is float32 while our models run, whatever the process asks for, and only then."""

from __future__ import annotations

import threading
from collections.abc import Generator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from multiaxis import Restorer
from multiaxis.devices import _float32_operations, full_precision


def settings() -> list[str]:
    return [one.fp32_precision for one in _float32_operations()]


@pytest.fixture
def as_before() -> Generator[None]:
    """Put the process's settings back behind a test."""
    before = settings()
    yield
    torch.set_float32_matmul_precision("highest")
    for one, value in zip(_float32_operations(), before):
        one.fp32_precision = value


def ask_by_word() -> None:
    torch.set_float32_matmul_precision("medium")


def ask_by_older_name() -> None:
    torch.backends.cuda.matmul.allow_tf32 = True


def ask_by_operation() -> None:  # PyTorch then refuses to answer to the older names
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    torch.backends.mkldnn.conv.fp32_precision = "bf16"


def ask_for_nothing() -> None:
    pass


ASKED = [ask_for_nothing, ask_by_word, ask_by_older_name, ask_by_operation]


@pytest.mark.parametrize("ask", ASKED)
def test_what_a_process_asks_for_is_put_back(ask: Any, as_before: None) -> None:
    ask()
    before = settings()
    assert "tf32" in before, "convolutions on GPUs round unless told otherwise"
    with full_precision():
        with full_precision():
            assert not {"tf32", "bf16"} & set(settings())
        assert not {"tf32", "bf16"} & set(settings()), "as long as anybody needs it"
    assert settings() == before


def test_it_is_put_back_behind_an_error() -> None:
    before = settings()
    with pytest.raises(ValueError, match="^stop$"), full_precision():
        raise ValueError("stop")
    assert settings() == before


def test_threads_overlap() -> None:
    """The first to come leaves first: the other still calculates exactly, and then all is back."""
    before, came, go = settings(), threading.Event(), threading.Event()

    def first() -> None:
        with full_precision():
            came.set()
            go.wait()

    thread = threading.Thread(target=first)
    thread.start()
    came.wait()
    with full_precision():
        go.set()
        thread.join()
        assert "tf32" not in settings()
    assert settings() == before


def test_older_versions_of_torch_have_other_names() -> None:
    convolutions, products = SimpleNamespace(allow_tf32=True), SimpleNamespace(allow_tf32=False)
    backends = SimpleNamespace(cudnn=convolutions, cuda=SimpleNamespace(matmul=products))
    one, other = _float32_operations(backends)
    assert (one.fp32_precision, other.fp32_precision) == ("tf32", "ieee")
    one.fp32_precision = "ieee"
    assert not convolutions.allow_tf32


def test_a_restorer_does_not_mind_what_the_process_asks_for(
    restorer: Restorer, as_before: None
) -> None:
    """A processor with units for bfloat16 would use them now for products in float32."""
    picture = np.random.default_rng(0).random((24, 24, 3), np.float32)
    expected = restorer.restore_values(picture)
    ask_by_word()
    np.testing.assert_array_equal(restorer.restore_values(picture), expected)
