"""torchvision's operators and parts of detectors. No other file imports torchvision."""

# pyright: reportMissingTypeStubs=false, reportUnusedImport=false

from __future__ import annotations

from multiaxis.errors import MissingExtraError

try:
    from torchvision.models.detection._utils import (
        BalancedPositiveNegativeSampler,
        BoxCoder,
        Matcher,
    )
    from torchvision.models.detection.image_list import ImageList
    from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
    from torchvision.models.detection.roi_heads import maskrcnn_loss, paste_masks_in_image
    from torchvision.models.detection.rpn import (
        RegionProposalNetwork,
        concat_box_prediction_layers,
    )
    from torchvision.models.resnet import resnet18
    from torchvision.ops import (
        Conv2dNormActivation,
        MultiScaleRoIAlign,
        batched_nms,
        box_iou,
        clip_boxes_to_image,
        remove_small_boxes,
        sigmoid_focal_loss,
    )
    from torchvision.ops.poolers import LevelMapper
except ImportError as error:
    raise MissingExtraError(
        "detecting needs the optional package torchvision: pip install 'multiaxis[detect]'"
    ) from error

__all__ = [
    "BalancedPositiveNegativeSampler",
    "BoxCoder",
    "Conv2dNormActivation",
    "ImageList",
    "LevelMapper",
    "MaskRCNNHeads",
    "MaskRCNNPredictor",
    "Matcher",
    "MultiScaleRoIAlign",
    "RegionProposalNetwork",
    "batched_nms",
    "box_iou",
    "clip_boxes_to_image",
    "concat_box_prediction_layers",
    "maskrcnn_loss",
    "paste_masks_in_image",
    "remove_small_boxes",
    "resnet18",
    "sigmoid_focal_loss",
]
