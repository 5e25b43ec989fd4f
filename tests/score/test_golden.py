"""Scores of real pictures against the tools whose numbers papers print."""

import json
import math

import numpy as np
import pytest

from multiaxis.score import (
    PROTOCOLS,
    SSIM_KINDS,
    Protocol,
    luma_matlab,
    psnr,
    score_pair,
    similarity_maps,
)

PAIRS = ("noise25", "motion9", "jpeg15_odd", "lowlight", "inverted", "identical")
# golden column -> (protocol, field of Score)
COLUMNS = {
    "psnr_rgb": ("rgb", "psnr"),
    "psnr_y_matlab": ("y", "psnr"),
    "psnr_y_unrounded": ("y-unrounded", "psnr"),
    "psnr_y_cv2": ("y-opencv", "psnr"),
    "ssim_rgb_gauss": ("rgb", "ssim"),
    "ssim_rgb_volume": ("rgb-volume", "ssim"),
    "ssim_rgb_uniform7": ("rgb-uniform", "ssim"),
    "ssim_y_matlab": ("y", "ssim"),
    "ssim_y_unrounded": ("y-unrounded", "ssim"),
    "ssim_y_cv2_uniform7": ("y-opencv", "ssim"),
}
TOLERANCE, PYIQA_TOLERANCE = 1e-6, 1e-4  # as scores.json states them


@pytest.fixture(scope="module")
def golden(shared_dir):
    with np.load(shared_dir / "golden" / "scores.npz") as arrays:
        pictures = {name: arrays[name] for name in arrays.files}
    return json.loads((shared_dir / "golden" / "scores.json").read_text()), pictures


@pytest.fixture(params=PAIRS)
def case(request, golden):
    """Prediction, target and expected values of one pair."""
    facts, pictures = golden
    expected = {column: float(value) for column, value in facts["values"][request.param].items()}
    return pictures[f"{request.param}_test"], pictures[f"{request.param}_ref"], expected


def test_every_column_and_pair_is_checked(golden):
    facts, _ = golden
    assert set(facts["values"]) == set(PAIRS)
    assert set(facts["protocols"]) == {*COLUMNS, "ssim_y_matlab_pyiqa", "psnr_rgb_pyiqa"}
    assert facts["tolerance"] == {"all but *_pyiqa": TOLERANCE, "*_pyiqa": PYIQA_TOLERANCE}


@pytest.mark.parametrize("column", COLUMNS)
def test_protocol(case, column):
    prediction, target, expected = case
    protocol, field = COLUMNS[column]
    value = getattr(score_pair(prediction, target, PROTOCOLS[protocol]), field)
    assert value == pytest.approx(expected[column], abs=TOLERANCE, rel=0)


def test_psnr_of_pyiqa(case):
    """pyiqa adds 1e-8 to the error of pictures in [0, 1]."""
    prediction, target, expected = case
    error = 10 ** (-psnr(prediction, target, data_range=255) / 10)
    assert -10 * math.log10(error + 1e-8) == pytest.approx(
        expected["psnr_rgb_pyiqa"], abs=PYIQA_TOLERANCE, rel=0
    )


def test_ssim_of_pyiqa(case):
    """pyiqa lets no structure term be negative."""
    prediction, target, expected = case
    luminance, structure = similarity_maps(
        luma_matlab(prediction).astype(np.float64),
        luma_matlab(target).astype(np.float64),
        kind=SSIM_KINDS["gaussian"],
        data_range=255,
    )
    value = np.mean(luminance * np.maximum(structure, 0))
    assert value == pytest.approx(expected["ssim_y_matlab_pyiqa"], abs=PYIQA_TOLERANCE, rel=0)


def test_authors_protocol_is_rgb_for_a_saved_file(case):
    prediction, target, _ = case
    assert score_pair(prediction, target, PROTOCOLS["authors"]) == score_pair(
        prediction, target, PROTOCOLS["rgb"]
    )


def test_floats_of_a_saved_file_score_as_the_file(case):
    prediction, target, _ = case
    protocol = Protocol("own", "any", "this test", channel="y")
    assert score_pair(prediction / np.float32(255), target, protocol) == score_pair(
        prediction, target, protocol
    )
