"""Batches of pictures and frames of clips are as if each were alone; clips go through a device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_clip import patches, write_clip

from multiaxis import Classifier, Restorer, create_model
from multiaxis.video import restore_clip
from small_recipe import SMALL_VIT

ALIKE = 2e-6  # kernels for other sizes of batches add in another order


@pytest.fixture
def loaded(tiny: Path, device: torch.device) -> Restorer:
    return Restorer("derain", weights=tiny / "tiny.safetensors", device=device)


def test_pictures_of_a_batch_do_not_know_each_other(loaded: Restorer, device: torch.device) -> None:
    torch.manual_seed(0)
    pictures = torch.rand(3, 3, 20, 36, device=device)
    together = loaded.restore(pictures)
    assert together.device.type == device.type, "it stays where it was"
    for picture, found in zip(pictures, together):
        assert torch.allclose(loaded.restore(picture), found, atol=ALIKE)


def test_pictures_to_classify_do_not_know_each_other(device: torch.device) -> None:
    torch.manual_seed(0)
    model = create_model("maxvit", **SMALL_VIT, num_classes=5, start="scaled")  # pyright: ignore[reportArgumentType]
    classifier = Classifier(model, device=device)
    seen = [np.random.default_rng(k).integers(0, 256, (40, 50, 3), np.uint8) for k in range(10)]
    alone = torch.cat([classifier.logits([one]) for one in seen])
    assert torch.allclose(classifier.logits(seen), alone, atol=1e-5)
    together = classifier.classify(seen, top=1)
    assert [found[0].index for found in together] == alone.argmax(dim=1).tolist()


def test_frames_of_a_clip_as_a_batch(
    loaded: Restorer, tmp_path: Path, device: torch.device
) -> None:
    """A clip goes frame by frame; a batch of the same frames gives the same."""
    pytest.importorskip("av")
    frames = [patches((32, 20), moved=k) for k in range(3)]
    source = write_clip(tmp_path / "clip.mkv", frames)
    seen: list[np.ndarray] = []

    def restore(values: np.ndarray) -> np.ndarray:
        seen.append(values)
        made.append(loaded.restore_values(values))
        return made[-1]

    made: list[np.ndarray] = []
    assert restore_clip(restore, source, tmp_path / "out.mkv").frames == 3
    batch = torch.from_numpy(np.stack(seen)).permute(0, 3, 1, 2).to(device)
    together = loaded.restore(batch).permute(0, 2, 3, 1).cpu().numpy()
    np.testing.assert_allclose(together, np.clip(made, 0, 1), atol=ALIKE)
