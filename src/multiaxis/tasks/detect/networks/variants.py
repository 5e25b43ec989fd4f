"""Detectors by name."""

from __future__ import annotations

from dataclasses import replace

from multiaxis.models.maxvit.config import SMALL_DATA, VARIANTS, MaxViTConfig
from multiaxis.models.pyramid import PyramidConfig
from multiaxis.tasks.detect.networks.config import (
    AnchorConfig,
    DetectorConfig,
    MaskConfig,
    ProposalConfig,
    RegionConfig,
    ResNetConfig,
    RetinaConfig,
)

_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def _paper(variant: str, drop_path: float) -> DetectorConfig:
    """Build Cascade Mask R-CNN of the paper's table 4 (appendix B.2), for 896 pixels."""
    body = replace(
        VARIANTS[variant],
        num_classes=0,
        image_size=896,
        window_policy="fit",
        drop_path=drop_path,
    )
    return DetectorConfig(backbone=body)


def _garden(variant: str, drop_path: float) -> DetectorConfig:
    """Build RetinaNet for 640 pixels, as in the model garden's ``coco_maxvitb_i640_retinanet``."""
    cascade = _paper(variant, drop_path)
    return replace(cascade, backbone=replace(cascade.backbone, image_size=640), head=RetinaConfig())


def _small(backbone: MaxViTConfig | ResNetConfig, **colours: tuple[float, ...]) -> DetectorConfig:
    """Build what two cores train: half of everything, and group norms for small batches."""
    return DetectorConfig(  # pyright: ignore[reportCallIssue]
        backbone=backbone,
        classes=3,
        pyramid=PyramidConfig(levels=(3, 6), channels=64, bn_momentum=0.1),
        anchors=AnchorConfig(scales=2, size=3.0),
        head=RetinaConfig(convs=2),
        norm="group",
        **colours,  # pyright: ignore[reportArgumentType]
    )


def _own(masks: MaskConfig | None) -> DetectorConfig:
    """Build what starts from published weights, for pictures of one's own: one head."""
    return replace(
        _paper("maxvit_tiny", 0.2), head=RegionConfig(ious=(0.5,), masks=masks), norm="group"
    )


_FASTER = RegionConfig(
    proposals=ProposalConfig(convs=1, before=(500, 300), kept=(300, 200)),
    ious=(0.5,),
    samples=128,
    convs=2,
    width=64,
    hidden=(256,),
)
_MASK = replace(_FASTER, masks=MaskConfig(convs=2, width=64, samples=64))


def _trio(name: str, start: DetectorConfig) -> dict[str, DetectorConfig]:
    return {
        f"{name}_retinanet": start,
        f"{name}_fasterrcnn": replace(start, head=_FASTER),
        f"{name}_maskrcnn": replace(start, head=_MASK),
    }


def _body(variant: str) -> MaxViTConfig:
    """Build a backbone that learns from few pictures."""
    return replace(replace(VARIANTS[variant], **SMALL_DATA), num_classes=0, image_size=256)


NETWORKS: dict[str, DetectorConfig] = {
    "maxvit_tiny_cascade": _paper("maxvit_tiny", 0.8),
    "maxvit_small_cascade": _paper("maxvit_small", 0.3),
    "maxvit_base_cascade": _paper("maxvit_base", 0.3),
    "maxvit_tiny_fasterrcnn": _own(None),
    "maxvit_tiny_maskrcnn": _own(MaskConfig()),
    "maxvit_tiny_retinanet": _garden("maxvit_tiny", 0.3),
    "maxvit_base_retinanet": _garden("maxvit_base", 0.8),
    **_trio("maxvit_pico", _small(_body("maxvit_pico"))),
    **_trio("maxvit_nano", _small(_body("maxvit_nano"))),
    **_trio("resnet18", _small(ResNetConfig(), **_IMAGENET)),
}
