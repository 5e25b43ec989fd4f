"""MaxViT and its backbone under the tools that researchers train with, unwrapped and tiny."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import small_maxvit
from multiaxis import create_model, parameter_groups
from multiaxis.models.maxvit import Backbone, MaxViT

SMALL = {**asdict(small_maxvit.CONFIG), "depths": (1, 1, 1, 1), "drop_path": 0.1}
PICTURES = torch.rand(2, 3, 64, 45, generator=torch.Generator().manual_seed(5))
theirs = pytest.mark.filterwarnings("ignore")  # what other tools warn of is not ours to mend


def small(**config: Any) -> MaxViT:
    torch.manual_seed(0)
    return create_model("maxvit", **{**SMALL, **config})


def small_backbone(*levels: int, **config: Any) -> Backbone:
    torch.manual_seed(0)
    return create_model(
        "maxvit", features_only=True, **{**SMALL, **config, "out_indices": levels or (1, 2, 3, 4)}
    )


@pytest.fixture
def processes() -> Iterator[None]:
    """One process that believes to be among several."""
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@theirs
@pytest.mark.parametrize("levels", [(1, 2, 3, 4), (2,), (1, 3)])
def test_ddp_over_a_backbone_finds_no_unused_parameter(
    processes: None, levels: tuple[int, ...]
) -> None:
    backbone = small_backbone(*levels)
    model = nn.parallel.DistributedDataParallel(backbone)
    optimiser = torch.optim.SGD(parameter_groups(model, lr=0.1, weight_decay=0.1), lr=0.1)
    for _ in range(3):  # the second one complains of what the first left without gradients
        optimiser.zero_grad()
        sum(m.square().mean() for m in model(PICTURES)).backward()
        assert all(p.grad is not None for p in backbone.parameters())
        optimiser.step()


@theirs
@pytest.mark.parametrize("classes", [3, 0])
def test_ddp_over_a_classifier(processes: None, classes: int) -> None:
    model = nn.parallel.DistributedDataParallel(small(num_classes=classes))
    for _ in range(2):
        model(PICTURES).square().mean().backward()


@pytest.mark.thorough
@theirs
@pytest.mark.parametrize("maps", [False, True])
def test_fsdp2_starts_on_meta_and_computes_the_same(processes: None, maps: bool) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh("cpu", (1,))
    plain = small_backbone(drop_path=0.0) if maps else small(drop_path=0.0)
    with torch.device("meta"):
        model = type(plain)(plain.config)
    for block in model.blocks():
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    model.to_empty(device="cpu")
    model.init_weights()
    assert all(p.full_tensor().isfinite().all() for p in model.parameters())
    with torch.no_grad():
        for sharded, whole in zip(model.parameters(), plain.parameters()):
            sharded.to_local().copy_(whole)
    for network in (model, plain):
        out = network(PICTURES)
        loss = sum(m.square().mean() for m in out) if maps else out.square().mean()
        loss.backward()
    pairs = zip(model.named_parameters(), plain.parameters())
    for (name, sharded), whole in pairs:
        assert sharded.grad is not None, name
        torch.testing.assert_close(sharded.grad.full_tensor(), whole.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.thorough
@theirs
def test_lightning_trains_in_training_mode(tmp_path: Path) -> None:
    lightning = pytest.importorskip("lightning")

    class Task(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = small(num_classes=3)
            self.modes: list[bool] = []

        def training_step(self, batch: list[Tensor], _: int) -> Tensor:
            self.modes += [part.training for part in self.model.modules()]
            return F.cross_entropy(self.model(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            groups = parameter_groups(self, lr=1e-3, weight_decay=0.05, layer_decay=0.8)
            return torch.optim.AdamW(groups)

    task = Task()
    before = copy.deepcopy(task.model.state_dict())
    data = torch.utils.data.TensorDataset(torch.rand(4, 3, 40, 40), torch.arange(4) % 3)
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_steps=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(task, torch.utils.data.DataLoader(data, batch_size=2))
    assert all(task.modes)
    after = task.model.state_dict()
    assert all(not torch.equal(before[n], after[n]) for n in after if n.endswith("running_mean"))


@pytest.mark.thorough
@theirs
def test_transformers_trainer(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")

    class Labelled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = small(num_classes=3)

        def forward(self, pixel_values: Tensor, labels: Tensor) -> dict[str, Tensor]:
            logits = self.model(pixel_values)
            return {"loss": F.cross_entropy(logits, labels), "logits": logits}

    data = [{"pixel_values": torch.rand(3, 40, 40), "labels": k % 3} for k in range(4)]
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path),
        max_steps=2,
        per_device_train_batch_size=2,
        use_cpu=True,
        report_to=[],
        disable_tqdm=True,
        save_strategy="no",
        remove_unused_columns=False,
    )
    model = Labelled()
    before = copy.deepcopy(model.state_dict())
    trainer = transformers.Trainer(model, arguments, train_dataset=data)
    assert trainer.train().global_step == 2
    assert not torch.equal(model.model.head.logits.weight, before["model.head.logits.weight"])


@theirs
def test_lora() -> None:
    peft = pytest.importorskip("peft")
    model = small(num_classes=3, drop_path=0.0).eval()
    with torch.no_grad():
        expected = model(PICTURES)
    config = peft.LoraConfig(r=2, target_modules=["qkv", "expand"], modules_to_save=["logits"])
    adapted = peft.get_peft_model(copy.deepcopy(model), config)
    with torch.no_grad():
        torch.testing.assert_close(adapted(PICTURES), expected)
    groups = parameter_groups(adapted, lr=1e-2, weight_decay=0.0)
    trained = [p for p in adapted.parameters() if p.requires_grad]
    assert sorted(id(p) for g in groups for p in g["params"]) == sorted(map(id, trained))
    optimiser = torch.optim.AdamW(groups)
    for _ in range(2):
        optimiser.zero_grad()
        adapted(PICTURES).square().sum().backward()
        assert all(p.grad is not None for p in trained)
        optimiser.step()
    adapted.eval()
    with torch.no_grad():
        tuned = adapted(PICTURES)
        assert not torch.allclose(tuned, expected)
        merged = adapted.merge_and_unload()
        torch.testing.assert_close(merged(PICTURES), tuned, rtol=1e-4, atol=1e-5)
    assert merged.state_dict().keys() == model.state_dict().keys()


@pytest.mark.thorough
@theirs
def test_segmentation_models_take_it_by_timms_registry() -> None:
    smp = pytest.importorskip("segmentation_models_pytorch")
    timm = pytest.importorskip("timm")

    @timm.models.register_model
    def small_maxvit_of_ours(in_chans: int = 3, **options: Any) -> Any:
        wanted = {k: options[k] for k in ("features_only", "out_indices") if k in options}
        return create_model("maxvit", **{**SMALL, **wanted, "in_channels": in_chans})

    assert small_maxvit_of_ours.__name__ == "small_maxvit_of_ours"
    for kind in (smp.Unet, smp.FPN, smp.UPerNet):
        model = kind("tu-small_maxvit_of_ours", encoder_weights=None, in_channels=4, classes=2)
        x = torch.rand(2, 4, 64, 96)
        assert model(x).shape == (2, 2, 64, 96)
    model(x).square().mean().backward()
    assert isinstance(model.encoder.model, Backbone)
    assert all(p.grad is not None for p in model.encoder.parameters())


@theirs
def test_torchvisions_mask_rcnn() -> None:
    pytest.importorskip("torchvision")
    from torchvision.models.detection import MaskRCNN
    from torchvision.ops import FeaturePyramidNetwork

    class Pyramid(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = small_backbone(2, 3, 4)
            channels = self.backbone.feature_info.channels()
            self.fpn, self.out_channels = FeaturePyramidNetwork(channels, 8), 8

        def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
            maps = self.backbone(x)
            return self.fpn(OrderedDict((str(k), m) for k, m in enumerate(maps)))

    from torchvision.models.detection.anchor_utils import AnchorGenerator

    model = MaskRCNN(
        Pyramid(),
        num_classes=2,
        min_size=64,
        max_size=96,
        rpn_anchor_generator=AnchorGenerator(((16,), (32,), (64,)), ((1.0,),) * 3),
        rpn_post_nms_top_n_train=8,
        rpn_post_nms_top_n_test=8,
        box_detections_per_img=4,
    )
    pictures = [torch.rand(3, 60, 80), torch.rand(3, 70, 50)]
    boxes = torch.tensor([[5.0, 5.0, 40.0, 40.0]])
    targets = [
        {"boxes": boxes, "labels": torch.tensor([1]), "masks": torch.ones(1, *p.shape[1:]).byte()}
        for p in pictures
    ]
    sum(model(pictures, targets).values()).backward()
    assert all(p.grad is not None for p in model.backbone.backbone.parameters())
    assert len(model.eval()(pictures)) == 2


@theirs
def test_a_transformers_backbone() -> None:
    """The contract of AutoBackbone's classes: names, channels, `BackboneOutput`."""
    transformers = pytest.importorskip("transformers")
    from transformers.modeling_outputs import BackboneOutput

    try:
        from transformers.backbone_utils import BackboneConfigMixin, BackboneMixin
    except ImportError:  # before 5.0
        from transformers.utils.backbone_utils import BackboneConfigMixin, BackboneMixin

    class OurConfig(BackboneConfigMixin, transformers.PretrainedConfig):
        model_type = "multiaxis_maxvit"

        def __init__(self, out_indices: list[int] | None = None, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.stage_names = ["stem", "stage1", "stage2", "stage3", "stage4"]
            self.set_output_features_output_indices(None, out_indices or [1, 2, 3, 4])

    class OurBackbone(BackboneMixin, transformers.PreTrainedModel):
        config_class = OurConfig

        def __init__(self, config: OurConfig) -> None:
            super().__init__(config)
            self.maxvit = small_backbone(*config.out_indices)
            self.num_features = self.maxvit.pyramid_channels
            self.post_init()

        def forward(self, pixel_values: Tensor, **_: Any) -> BackboneOutput:
            return BackboneOutput(feature_maps=tuple(self.maxvit(pixel_values)))

    transformers.AutoConfig.register("multiaxis_maxvit", OurConfig, exist_ok=True)
    transformers.AutoBackbone.register(OurConfig, OurBackbone, exist_ok=True)
    model = transformers.AutoBackbone.from_config(OurConfig(out_indices=[2, 4]))
    maps = model(PICTURES).feature_maps
    assert [m.shape[1] for m in maps] == model.channels == [24, 40]
    assert model.out_features == ["stage2", "stage4"]


def test_checkpointing_and_a_frozen_start_in_a_training() -> None:
    model = replace(small_maxvit.CONFIG, depths=(1, 1, 1, 1))
    network = MaxViT(model)
    network.set_grad_checkpointing()
    network.freeze_stages(1)
    network(PICTURES).square().sum().backward()
    assert {n.split(".")[0] for n, p in network.named_parameters() if p.grad is None} == {
        "stem",
        "stages",
    }
