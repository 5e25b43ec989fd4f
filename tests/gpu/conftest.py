"""Each check takes a device: the processor in the default run, a GPU under the marker `gpu`."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> torch.device:
    """The device of a check."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA GPU is here")
    return torch.device(request.param)
