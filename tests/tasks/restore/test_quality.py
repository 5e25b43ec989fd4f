"""Strength, ensemble, chains and depth: what comes out is what they promise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from multiaxis import Restorer
from multiaxis.errors import ConfigError
from multiaxis.images import Picture


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(0).random((18, 27, 3), dtype=np.float32)


@pytest.mark.thorough
def test_strength_blends_with_the_input(weights: Path, values: np.ndarray) -> None:
    def restored(strength: float) -> np.ndarray:
        restorer = Restorer("derain", weights=weights, device="cpu", strength=strength)
        return restorer.restore_values(values)

    np.testing.assert_array_equal(restored(0), values)
    assert np.abs(restored(1) - values).max() > 1e-4
    np.testing.assert_allclose(restored(0.25), 0.75 * values + 0.25 * restored(1), atol=1e-6)


@pytest.mark.thorough
def test_the_ensemble_is_the_mean_over_flips_and_turns(weights: Path, values: np.ndarray) -> None:
    plain = Restorer("derain", weights=weights, device="cpu")
    eightfold = Restorer("derain", weights=weights, device="cpu", ensemble=True)
    outputs = []
    for turned in (values, values.transpose(1, 0, 2)):  # the slow way: each of eight by hand
        for rows in (1, -1):
            for columns in (1, -1):
                y = plain.restore_values(turned[::rows, ::columns].copy())[::rows, ::columns]
                outputs.append(y if turned is values else y.transpose(1, 0, 2))
    assert len(outputs) == 8
    np.testing.assert_allclose(eightfold.restore_values(values), np.mean(outputs, 0), atol=1e-6)
    assert np.abs(outputs[0] - outputs[5]).max() > 1e-5, (
        "positions that change nothing prove little"
    )


def test_progress_of_an_ensemble_runs_once_from_start_to_end(
    weights: Path, values: np.ndarray
) -> None:
    restorer = Restorer("derain", weights=weights, device="cpu", ensemble=True)
    seen: list[float] = []
    restorer.restore_picture(Picture(values), on_progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1, abs=0.02)


def test_a_chain_restores_in_a_row_without_rounding(
    weights_file: Path, values: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Restorer("derain", weights=weights_file, device="cpu")
    monkeypatch.setattr("multiaxis.tasks.restore.opened.open_model", lambda *_, **__: one.models[0])
    both = Restorer("denoise, enhance", device="cpu")
    assert len(both.models) == 2
    wanted = one.restore_values(np.clip(one.restore_values(values), 0, 1))
    np.testing.assert_allclose(both.restore_values(values), wanted, atol=1e-6)


def test_depth_comes_from_the_floats(restorer: Restorer, values: np.ndarray) -> None:
    picture = Picture((values * 255).astype(np.uint8))
    deep = restorer.restore_picture(picture, depth="uint16")
    shallow = restorer.restore_picture(picture)
    assert (deep.depth, shallow.depth) == ("uint16", "uint8")
    assert np.abs(deep.pixels / 257 - shallow.pixels).max() <= 0.51
    assert (deep.pixels % 257 != 0).any(), "sixteen bits that hold eight"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strength": 1.5}, "accepted is 0 to 1"),
        ({"strength": float("nan")}, "accepted is 0 to 1"),
        ({"task": "derain,nonsense"}, "unknown task"),
        (
            {"task": "derain,denoise", "weights": "x.npz"},
            "received weights for 1 task, and you named 2",
        ),
    ],
)
def test_nonsense(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Restorer(**{"task": "derain", **options})


@pytest.mark.thorough
def test_what_16_bits_did_not_do_is_remarked(
    weights: Path, values: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    restorer = Restorer("derain", weights=weights, device="cpu", dtype="bfloat16", ensemble=True)
    engine = restorer._engines[0]  # where 16 bits overflow depends on the hardware
    run = engine.run

    def overflow(x: torch.Tensor, *, exact: bool = False, **options: object) -> torch.Tensor:
        y = run(x, exact=exact, **options)
        return y if exact else y + np.inf

    monkeypatch.setattr(engine, "run", overflow)
    said = "torch.bfloat16 was too coarse for this picture: it was restored in float32"
    picture = Picture(values, remarks=("its CMYK inks were converted to sRGB",))
    assert restorer.restore_picture(picture).remarks == (*picture.remarks, said)
    with pytest.warns(RuntimeWarning, match="too coarse"):
        restorer.restore(values)
