"""What timm's users and tools ask of a model: words, optimiser factory, training script."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import small_maxvit
from multiaxis import create_model, load_weights, parameter_groups
from multiaxis.errors import ConfigError, WeightsError
from multiaxis.models.maxvit import MaxViT
from multiaxis.weights.store import write_safetensors

timm = pytest.importorskip("timm")
pytest.importorskip("timm.optim")
for room in ("data", "loss", "scheduler", "utils"):
    pytest.importorskip(f"timm.{room}")
_features = pytest.importorskip("timm.models._features")
SMALL = asdict(small_maxvit.CONFIG)
PICTURES = torch.rand(2, 3, 70, 45, generator=torch.Generator().manual_seed(5))


def small(**config: Any) -> MaxViT:
    return small_maxvit.lively(replace(small_maxvit.CONFIG, **config))


@pytest.mark.parametrize("name", ["maxvit_tiny_tf_224"])
def test_they_answer_alike(name: str) -> None:
    with torch.device("meta"):
        theirs = timm.create_model(name, num_classes=10)
        ours = create_model("maxvit_tiny", num_classes=10)
    for word in ("num_classes", "num_features", "head_hidden_size"):
        assert getattr(ours, word) == getattr(theirs, word)
    told = [{k: row[k] for k in ("num_chs", "reduction", "module")} for row in ours.feature_info]
    assert told == theirs.feature_info
    assert ours.get_classifier().weight.shape == theirs.get_classifier().weight.shape
    assert len(ours.no_weight_decay()) == len(theirs.no_weight_decay()) == 22
    for model in (ours, theirs):
        model.reset_classifier(0)
        assert isinstance(model.get_classifier(), nn.Identity)


def test_intermediates() -> None:
    model = small()
    with torch.no_grad():
        maps = model.forward_pyramid(PICTURES)
        final, every = model.forward_intermediates(PICTURES)
        assert all(torch.equal(a, b) for a, b in zip([final, *every], [maps[-1], *maps]))
        final, last = model.forward_intermediates(PICTURES, 2)
        assert all(torch.equal(a, b) for a, b in zip([final, *last], [maps[4], *maps[3:]]))
        final, some = model.forward_intermediates(PICTURES, [-3, 1], stop_early=True)
        assert all(torch.equal(a, b) for a, b in zip([final, *some], [maps[2], maps[2], maps[1]]))
        only = model.forward_intermediates(PICTURES, [1], intermediates_only=True)
        assert [m.shape for m in only] == [maps[1].shape]
        getter = _features.FeatureGetterNet(model, out_indices=(1, 3))
        assert getter.feature_info.channels() == [16, 32]
        assert all(torch.equal(a, b) for a, b in zip(getter(PICTURES), (maps[1], maps[3])))
    for wrong in [{"indices": [5]}, {"indices": [-6]}, {"norm": True}, {"output_fmt": "NHWC"}]:
        with pytest.raises(ConfigError):
            model.forward_intermediates(PICTURES, **wrong)


def test_a_hidden_layer_is_kept_or_not(tmp_path: Path) -> None:
    model = small()
    file = tmp_path / "a.safetensors"
    write_safetensors(file, model.state_dict(), {})
    with torch.no_grad():
        features = model.forward_features(PICTURES)
        hidden = model.forward_head(features, pre_logits=True)
        pooled = model.head.norm(features.mean((2, 3)))
        assert torch.equal(model.head.logits(hidden), model(PICTURES))
        embedder = create_model("maxvit", weights=file, num_classes=0, keep_hidden=True).eval()
        assert torch.equal(embedder(PICTURES), hidden)
        assert embedder.head_hidden_size == hidden.shape[1]
        probe = create_model("maxvit", weights=file, num_classes=0).eval()
        torch.testing.assert_close(probe(PICTURES), pooled)
        write_safetensors(file, embedder.state_dict(), {})
        assert torch.equal(create_model("maxvit", weights=file).eval()(PICTURES), hidden)
        model.reset_classifier(0, keep_hidden=True)
        assert torch.equal(model(PICTURES), hidden)
        model.reset_classifier(4, keep_hidden=True)
        assert torch.equal(model.head.logits(hidden), model(PICTURES))
    with pytest.raises(ConfigError, match="leave one of them out"):
        model.reset_classifier(4, 11, keep_hidden=True)
    with pytest.raises(ConfigError, match="width is none"):
        probe.reset_classifier(4, keep_hidden=True)


@pytest.mark.parametrize("channels", [1, 2, 4, 6, 7])
def test_other_input_channels_follow_timms_rule(channels: int, tmp_path: Path) -> None:
    weight = small().stem.conv1.weight.detach()
    file = tmp_path / "a.safetensors"
    write_safetensors(file, small().state_dict(), {})
    model = create_model("maxvit", weights=file, in_channels=channels)
    expected = timm.models.adapt_input_conv(channels, weight.clone())
    torch.testing.assert_close(model.stem.conv1.weight, expected)
    fresh = MaxViT(replace(small_maxvit.CONFIG, in_channels=channels))
    assert load_weights(fresh, file).resized == ["stem.conv1.weight"]
    assert torch.equal(fresh.stem.conv1.weight, model.stem.conv1.weight)
    model(torch.rand(1, channels, 40, 33))


def test_other_input_channels_are_not_guessed(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    write_safetensors(file, small(in_channels=4).state_dict(), {})
    with pytest.raises(WeightsError, match=r"stem.conv1.weight \(12, 4, 3, 3\) where the model"):
        load_weights(small(), file)


def names_by(groups: list[dict[str, Any]], model: nn.Module, key: str) -> dict[str, float]:
    found = {id(p): group.get(key, 1.0) for group in groups for p in group["params"]}
    return {name: found[id(p)] for name, p in model.named_parameters()}


def test_timms_optimiser_factory_groups_as_we_do() -> None:
    model = small()
    theirs = timm.optim.create_optimizer_v2(
        model, opt="adamw", lr=1e-3, weight_decay=0.05, layer_decay=0.8
    )
    groups = theirs.param_groups
    ours = parameter_groups(model, lr=1e-3, weight_decay=0.05, layer_decay=0.8)
    assert names_by(groups, model, "weight_decay") == names_by(ours, model, "weight_decay")
    rates = {name: 1e-3 * s for name, s in names_by(groups, model, "lr_scale").items()}
    assert rates == pytest.approx(names_by(ours, model, "lr"))
    coarse = timm.models.group_parameters(model, model.group_matcher(coarse=True))
    assert len(coarse) == 6  # stem, four stages, head


@pytest.mark.parametrize("wrap", ["data parallel", "compiled", "averaged", "lightning-like"])
def test_groups_of_wrapped_models(wrap: str) -> None:
    model = small()
    holder = nn.Module()
    holder.model, holder.loss = model, nn.CrossEntropyLoss()
    wrapped = {
        "data parallel": lambda: nn.DataParallel(model),
        "compiled": lambda: torch.compile(model),
        "averaged": lambda: torch.optim.swa_utils.AveragedModel(nn.DataParallel(model)),
        "lightning-like": lambda: holder,
    }[wrap]()
    groups = parameter_groups(wrapped, lr=1.0, weight_decay=0.1, layer_decay=0.5)
    grouped = sorted(id(p) for group in groups for p in group["params"])
    assert grouped == sorted(id(p) for p in wrapped.parameters())


def test_what_lies_around_a_model_belongs_to_its_head() -> None:
    model, beyond = small(), nn.Linear(7, 2)
    groups = parameter_groups(
        nn.Sequential(model, beyond), lr=1.0, weight_decay=0.1, layer_decay=0.5
    )
    rates = {id(p): g["lr"] for g in groups for p in g["params"]}
    assert rates[id(beyond.weight)] == rates[id(model.head.logits.weight)] == 1.0
    assert max(rates[id(p)] for p in model.stages.parameters()) == 0.5
    with pytest.raises(ConfigError, match="which holds a MaxViT and a MaxViT: accepted is one"):
        parameter_groups(nn.ModuleList([small(), small()]), lr=1.0, weight_decay=0.1)
    with pytest.raises(ConfigError, match="cannot group the parameters of a Linear"):
        parameter_groups(beyond, lr=1.0, weight_decay=0.1)


@pytest.mark.thorough
def test_the_calls_of_timms_training_script(tmp_path: Path) -> None:
    """Of its train.py, in its order, two steps: timm's wheel has no script."""
    from timm.models import model_parameters
    from timm.utils import AverageMeter, CheckpointSaver, ModelEmaV3, accuracy

    model = create_model("maxvit", **SMALL)
    assert model.num_classes == 7
    assert sum(m.numel() for m in model.parameters())
    model.set_grad_checkpointing(enable=True)
    data = timm.data.resolve_data_config({"img_size": 64}, model=model)
    assert data["input_size"] == (3, 64, 64)
    model = model.to(memory_format=torch.channels_last)
    optimiser = timm.optim.create_optimizer_v2(model, opt="adamw", lr=1e-3, layer_decay=0.75)
    average = ModelEmaV3(model, decay=0.9)
    scheduler, epochs = timm.scheduler.create_scheduler_v2(
        optimiser, num_epochs=1, warmup_epochs=0, updates_per_epoch=2
    )
    mixup = timm.data.Mixup(mixup_alpha=0.2, num_classes=7)
    loss_of = timm.loss.SoftTargetCrossEntropy()
    saver = CheckpointSaver(model, optimiser, model_ema=average, checkpoint_dir=str(tmp_path))
    losses = AverageMeter()
    model.train()
    for step in range(2):
        x, targets = mixup(torch.rand(4, 3, 64, 64), torch.arange(4))
        loss: Tensor = loss_of(model(x.contiguous(memory_format=torch.channels_last)), targets)
        losses.update(loss.item(), len(x))
        optimiser.zero_grad()
        loss.backward()
        timm.utils.dispatch_clip_grad(model_parameters(model, exclude_head=True), 1.0, mode="agc")
        optimiser.step()
        average.update(model, step=step)
        scheduler.step_update(step + 1, metric=losses.avg)
    model.eval()
    with torch.no_grad():
        top1, _ = accuracy(model(torch.rand(6, 3, 64, 64)), torch.arange(6), topk=(1, 5))
    scheduler.step(epochs, top1.item())
    saver.save_checkpoint(0, metric=top1.item())
    saved = torch.load(tmp_path / "checkpoint-0.pth.tar", weights_only=False)
    assert saved["state_dict"].keys() == model.state_dict().keys()
