"""The authors' padding, for every size from one pixel on."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from multiaxis.tasks.restore.padding import reflect_padding


def authors(frame: np.ndarray, multiple: int) -> tuple[np.ndarray, int, int]:
    """The evaluation protocol step by step (run_eval.py), and where it crops."""
    even = np.pad(frame, ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2)), mode="reflect")
    rows, columns = (-n % multiple for n in even.shape)
    padded = np.pad(even, ((rows // 2, rows // 2), (columns // 2, columns // 2)), mode="reflect")
    top, left = (p // 2 - n // 2 for p, n in zip(padded.shape, even.shape))
    return padded, top, left


@given(st.integers(1, 150), st.integers(1, 150))
def test_as_the_authors_pad_and_crop(height: int, width: int) -> None:
    frame = np.arange(height * width).reshape(height, width)
    plan = reflect_padding(height, width, (64, 64))
    padded = frame[plan.rows[:, None], plan.columns]
    expected, top, left = authors(frame, 64)
    np.testing.assert_array_equal(padded, expected)
    assert (plan.crop[0].start, plan.crop[1].start) == (top, left)
    np.testing.assert_array_equal(padded[plan.crop], frame)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 15), st.integers(1, 15))
def test_any_multiple_holds_the_frame(height: int, width: int, rows: int, columns: int) -> None:
    plan = reflect_padding(height, width, (rows, columns))
    assert len(plan.rows) % rows == 0
    assert len(plan.columns) % columns == 0
    assert len(plan.rows) <= height + height % 2 + rows
    np.testing.assert_array_equal(plan.rows[plan.crop[0]], np.arange(height))
    np.testing.assert_array_equal(plan.columns[plan.crop[1]], np.arange(width))


def test_a_multiple_is_left_alone_and_one_pixel_is_repeated() -> None:
    assert len(reflect_padding(64, 128, (64, 64)).rows) == 64
    plan = reflect_padding(1, 1, (64, 64))
    assert plan.rows.tolist() == [0] * 64
    assert plan.crop == (slice(31, 32), slice(31, 32))
