"""Pictures go to the device once and come back once, and nothing else of their size moves.

On a processor the GPU is a pretence (`pretend.py`): a mixture of devices is an error there too.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from multiaxis import Classifier, Restorer, create_model
from multiaxis.models.maxim import Maxim, MaximConfig
from pretend import Counting, Moves, pretended
from small_recipe import SMALL_VIT, TINY

PICTURE = np.zeros((40, 50, 3), np.uint8)
Count = Callable[[], Any]


@pytest.fixture
def counted(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> Count:
    """Give what counts moves: on a GPU, or on the pretence of one."""

    @contextmanager
    def count() -> Generator[Moves]:
        if device.type == "cuda":
            with Counting() as counting:
                yield counting.moves
        else:
            with pretended(monkeypatch) as moves:
                yield moves

    return count


def tiny_restorer(monkeypatch: pytest.MonkeyPatch, **options: Any) -> Callable[[], Restorer]:
    """Load the model beforehand: what is built under the pretence is built slowly."""
    torch.manual_seed(0)
    model = Maxim(MaximConfig(**TINY)).eval()
    monkeypatch.setattr("multiaxis.tasks.restore.opened.open_model", lambda *_, **__: model)
    return lambda: Restorer("derain", device="cuda", **options)


def restored(monkeypatch: pytest.MonkeyPatch, counted: Count, options: dict[str, Any]) -> Moves:
    build = tiny_restorer(monkeypatch, **options)
    with counted() as moves:
        restorer = build()
        moves.there.clear()
        made = restorer.restore(PICTURE)
    assert made.shape == PICTURE.shape
    return moves


@pytest.mark.thorough
def test_a_picture_moves_once_in_pieces(monkeypatch: pytest.MonkeyPatch, counted: Count) -> None:
    moves = restored(monkeypatch, counted, {"memory": "2GB", "dtype": "float16"})
    assert [shape for shape in moves.there if PICTURE.shape == shape[1:]] == [(1, *PICTURE.shape)]
    assert all(np.prod(shape) < 100 for shape in moves.there if PICTURE.shape != shape[1:])
    assert moves.back == [PICTURE.shape]
    assert moves.waits <= 3, "whether numbers are finite, before and behind"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")  # a copied model
@pytest.mark.parametrize("options", [{}, {"tile": 64}, {"ensemble": True}, {"dtype": "bfloat16"}])
def test_a_picture_moves_once_in_every_mode(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, counted: Count
) -> None:
    moves = restored(monkeypatch, counted, options)
    assert moves.large(moves.there) == [(1, *PICTURE.shape)]
    assert moves.back == [PICTURE.shape]


@pytest.mark.thorough
def test_a_batch_of_frames_moves_once(monkeypatch: pytest.MonkeyPatch, counted: Count) -> None:
    build = tiny_restorer(monkeypatch)
    with counted() as moves:
        restorer = build()
        moves.there.clear()
        restorer.restore(torch.zeros(3, 3, 32, 32))
    assert moves.large(moves.there) == [(3, 32, 32, 3)]
    assert moves.back == [(3, 3, 32, 32)]


@pytest.mark.thorough
def test_pictures_to_classify_move_once(counted: Count) -> None:
    model = create_model("maxvit", **SMALL_VIT, num_classes=5)  # pyright: ignore[reportArgumentType]
    with counted() as moves:
        classifier = Classifier(model, device="cuda")
        moves.there.clear()
        found = classifier.logits([PICTURE, PICTURE])
    assert found.shape == (2, 5)
    assert moves.large(moves.there) == [(2, 3, 32, 32)]
    assert moves.back == [(2, 5)]
    assert not moves.waits
