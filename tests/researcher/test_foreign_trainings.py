"""Checkpoints that other trainers write of our models: they load, and what is averaged is taken."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import torch
from torch import nn

from multiaxis import create_model, load_weights
from multiaxis.errors import WeightsError
from multiaxis.models.maxvit import MaxViT, MaxViTConfig

SMALL = {
    "stem_widths": (8, 8), "depths": (1, 1), "widths": (8, 16), "head_dim": 8, "num_classes": 3,
    "image_size": 32,
}  # fmt: skip


def small() -> MaxViT:
    return MaxViT(MaxViTConfig(**SMALL))


def same(a: nn.Module, b: nn.Module) -> bool:
    mine, theirs = a.state_dict(), b.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[n], theirs[n]) for n in mine)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Lightning's, about its surroundings
@pytest.mark.parametrize("averaged", [False, True])
def test_lightning(averaged: bool, tmp_path: Path) -> None:
    lightning = pytest.importorskip("lightning")
    from lightning.pytorch.callbacks import EMAWeightAveraging

    class Training(lightning.LightningModule):
        def __init__(self, lr: float = 0.1) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.model = small()
            self.criterion = nn.CrossEntropyLoss(weight=torch.ones(3))

        def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
            return self.criterion(self.model(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters(), 1e-2)

    trainer = lightning.Trainer(
        max_steps=2, logger=False, enable_progress_bar=False, enable_model_summary=False,
        accelerator="cpu", enable_checkpointing=False,
        callbacks=[EMAWeightAveraging()] if averaged else [],
    )  # fmt: skip
    samples = torch.utils.data.TensorDataset(torch.rand(4, 3, 32, 32), torch.tensor([0, 1, 2, 0]))
    training = Training()
    trainer.fit(training, torch.utils.data.DataLoader(samples, batch_size=2))
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    found = load_weights(loaded := small(), tmp_path / "a.ckpt")
    assert found.taken_from == "state_dict.model"
    assert found.left_out == ["state_dict/criterion.weight"]
    stated = torch.load(tmp_path / "a.ckpt", weights_only=False)["state_dict"]
    assert torch.equal(loaded.head.logits.weight, stated["model.head.logits.weight"])
    assert same(create_model("maxvit", weights=tmp_path / "a.ckpt", image_size=32), loaded)


def test_timms_saver_with_averaged_weights(tmp_path: Path) -> None:
    from timm.utils import CheckpointSaver, ModelEmaV3

    model = small()
    average = ModelEmaV3(model)
    with torch.no_grad():
        model.head.logits.weight.add_(1)
    saver = CheckpointSaver(
        model, torch.optim.AdamW(model.parameters()), model_ema=average,
        args=argparse.Namespace(model="maxvit", opt_betas=[0.9, 0.99]),
        checkpoint_dir=str(tmp_path), recovery_dir=str(tmp_path),
    )  # fmt: skip
    saver.save_checkpoint(0, 1.0)
    found = load_weights(loaded := small(), tmp_path / "last.pth.tar")
    assert found.taken_from == "state_dict_ema"
    assert same(loaded, average.module)


def test_an_average_of_torch_and_a_folder_of_a_trainer(tmp_path: Path) -> None:
    model = small()
    average = torch.optim.swa_utils.AveragedModel(model)
    torch.save({"model": model.state_dict(), "swa": average.state_dict()}, tmp_path / "a.pth")
    assert load_weights(small(), tmp_path / "a.pth").taken_from == "swa"
    folder = tmp_path / "checkpoint-500"
    folder.mkdir()
    torch.save(
        {f"backbone.{n}": v for n, v in model.state_dict().items()}, folder / "pytorch_model.bin"
    )
    assert same(create_model("maxvit", weights=folder, image_size=32), model)


def test_adapters_are_told() -> None:
    """Names as peft gives them to a model with adapters, and to a file of adapters alone."""
    prefix, state = "base_model.model.", small().state_dict()
    with_adapters = {
        prefix + name.replace("qkv.", "qkv.base_layer."): value for name, value in state.items()
    }
    adapter = f"{prefix}stages.0.0.block.attention.qkv.lora_A.weight"
    for tensors in (with_adapters, {adapter: torch.ones(2, 8)}):
        with pytest.raises(WeightsError, match=r"It holds adapters: .*merge_and_unload\(\)"):
            load_weights(small(), tensors)
