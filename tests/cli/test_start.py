"""What the command does before it loads anything."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from multiaxis.__main__ import SPINS, wait_briefly


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"GOMP_SPINCOUNT": SPINS}),
        ({"GOMP_SPINCOUNT": "7"}, {"GOMP_SPINCOUNT": "7"}),
        ({"OMP_WAIT_POLICY": "active"}, {"OMP_WAIT_POLICY": "active"}),
    ],
)
def test_what_the_user_says_of_waiting_threads_holds(
    given: dict[str, str], expected: dict[str, str]
) -> None:
    wait_briefly(given)
    assert given == expected


def test_it_is_said_before_torch_is_loaded() -> None:
    code = "import sys, multiaxis.__main__; sys.exit('torch' in sys.modules)"
    environment = {k: v for k, v in os.environ.items() if "COV" not in k}
    assert (
        subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
    )
