"""What a detector can be configured to. No tensors here.

Defaults are those of the authors' detectors: TensorFlow model garden, ``configs/rcnn.py`` of
``official/projects/maxvit``, ``configs/maskrcnn.py`` and ``configs/retinanet.py`` of
``official/vision``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from multiaxis.errors import ConfigError
from multiaxis.models.fields import FieldChecks, is_whole
from multiaxis.models.maxvit.config import MaxViTConfig
from multiaxis.models.pyramid import PyramidConfig

_require = FieldChecks("the detector's field").require
Norm = Literal["batch", "group", "none"]
_MOST = 1 << 16  # of anything that is counted
_MOST_LAYERS = 64


@dataclass(frozen=True, kw_only=True)
class ResNetConfig:
    """A ResNet of torchvision, from scratch: what MaxViT is compared with.

    Attributes
    ----------
    layers : int
        Accepted is 18.
    """

    layers: int = 18

    def __post_init__(self) -> None:
        _require(self.layers == 18, "backbone.layers", self.layers, "18")


@dataclass(frozen=True, kw_only=True)
class AnchorConfig:
    """Boxes that a detector starts from, at each pixel of each level.

    Attributes
    ----------
    size : float
        Side of the smallest, in pixels of its level's map.
    scales : int
        Sizes in an octave: `size` times 2 ** (k / scales).
    ratios : tuple of float
        Width over height; the area stays.
    """

    size: float = 3.0
    scales: int = 3
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)

    def __post_init__(self) -> None:
        _check(self, "anchors")
        _require(self.size > 0, "anchors.size", self.size, "a number above 0")
        _require(1 <= self.scales <= 16, "anchors.scales", self.scales, "1 to 16")
        good = 0 < len(self.ratios) <= 16 and all(ratio > 0 for ratio in self.ratios)
        _require(good, "anchors.ratios", self.ratios, "1 to 16 numbers above 0")

    @property
    def count(self) -> int:
        """Anchors at a pixel."""
        return self.scales * len(self.ratios)


@dataclass(frozen=True, kw_only=True)
class BoxLossConfig:
    """What a wrong box costs: the Huber loss of its four offsets.

    Attributes
    ----------
    delta : float
        Where the loss turns from a parabola into a line.
    weight : float
        1 / delta gives torchvision's ``smooth_l1_loss`` with ``beta=delta``.
    mean : str
        ``positives``: over the offsets of the boxes with an object, as the authors; ``samples``:
        the sum over the offsets by the number of all boxes that were sampled, as torchvision.
    """

    delta: float = 1.0
    weight: float = 1.0
    mean: Literal["positives", "samples"] = "positives"

    def __post_init__(self) -> None:
        _check(self, "loss")
        _require(self.delta > 0, "loss.delta", self.delta, "a number above 0")


@dataclass(frozen=True, kw_only=True)
class ProposalConfig:
    """The region proposal network.

    Attributes
    ----------
    convs : int
        Convolutions before its two outputs.
    matched, unmatched : float
        IoU from which on an anchor has an object, and below which it has none.
    samples, positives : int, float
        Anchors of a picture that the loss looks at; most that may have an object, as a share.
    before, kept : (int, int)
        Proposals of a level before the suppression of doubles, and of a picture behind it: while
        training, and otherwise.
    nms : float
        IoU of doubles.
    loss : BoxLossConfig
    """

    convs: int = 2
    matched: float = 0.7
    unmatched: float = 0.3
    samples: int = 256
    positives: float = 0.5
    before: tuple[int, int] = (2000, 1000)
    kept: tuple[int, int] = (1000, 1000)
    nms: float = 0.7
    loss: BoxLossConfig = field(default_factory=lambda: BoxLossConfig(delta=1 / 9))

    def __post_init__(self) -> None:
        _check(self, "proposals")
        for name in ("before", "kept"):
            pair = getattr(self, name)
            _require(min(pair) > 0, f"proposals.{name}", pair, "two whole numbers from 1 on")
        _check_thresholds("proposals", self.unmatched, self.matched)


@dataclass(frozen=True, kw_only=True)
class MaskConfig:
    """The branch that outlines what a box holds.

    Attributes
    ----------
    convs, width : int
        Convolutions and their channels, before the map is doubled.
    size : int
        Side of the map that is pooled for a box; the mask has twice as many pixels.
    samples : int
        Boxes of a picture that the loss looks at, at most.
    """

    convs: int = 4
    width: int = 256
    size: int = 14
    samples: int = 128

    def __post_init__(self) -> None:
        _check(self, "masks")
        for name in ("width", "size", "samples"):
            _require(getattr(self, name) > 0, f"masks.{name}", 0, "a whole number from 1 on")


@dataclass(frozen=True, kw_only=True)
class RegionConfig:
    """Two stages and more: Faster, Mask and Cascade R-CNN.

    Attributes
    ----------
    proposals : ProposalConfig
    ious : tuple of float
        IoU from which on a box has an object, for each head. One head is Faster R-CNN. The authors'
        cascade has (0.6, 0.7), everybody else's (0.5, 0.6, 0.7).
    background : float
        IoU below which a box has no object, for the first head; for the others it is their own.
        Boxes between it and the first head's IoU are ignored.
    samples, positives : int, float
        Proposals of a picture that the first head learns from; most that may have an object, as a
        share. Later heads learn from the same boxes, as the head before moved them.
    scores : str
        What is averaged over the heads: ``logits``, as the authors, or ``probabilities``.
    losses : str
        ``mean`` over the heads, as the authors, or ``sum``. With ``sum`` the gradient of pooled
        features is divided by the number of heads, as in detectron2.
    class_agnostic : bool
        One box for all classes, instead of one for each. Several heads need it.
    convs, width, hidden, size : int, int, tuple of int, int
        Of a head: convolutions, their channels, dense layers, side of the pooled map.
    loss : BoxLossConfig
    masks : MaskConfig or None
        None finds boxes only.
    """

    proposals: ProposalConfig = field(default_factory=ProposalConfig)
    ious: tuple[float, ...] = (0.6, 0.7)
    background: float = 0.5
    samples: int = 512
    positives: float = 0.25
    scores: Literal["logits", "probabilities"] = "logits"
    losses: Literal["mean", "sum"] = "mean"
    class_agnostic: bool = True
    convs: int = 4
    width: int = 256
    hidden: tuple[int, ...] = (1024,)
    size: int = 7
    loss: BoxLossConfig = field(default_factory=BoxLossConfig)
    masks: MaskConfig | None = None

    def __post_init__(self) -> None:
        _check(self, "head")
        good = 0 < len(self.ious) <= 8 and all(0 < iou <= 1 for iou in self.ious)
        _require(good, "head.ious", self.ious, "1 to 8 numbers above 0, to 1")
        _check_thresholds("head", self.background, self.ious[0])
        hidden = 0 < len(self.hidden) <= 8 and min(self.hidden) > 0
        _require(hidden, "head.hidden", self.hidden, "1 to 8 widths")
        for name in ("width", "size", "samples"):
            _require(getattr(self, name) > 0, f"head.{name}", 0, "a whole number from 1 on")
        one = self.class_agnostic or len(self.ious) == 1
        _require(one, "head.class_agnostic", self.class_agnostic, "True for several heads")


@dataclass(frozen=True, kw_only=True)
class RetinaConfig:
    """One stage: RetinaNet.

    Attributes
    ----------
    convs : int
        Convolutions of each of its two towers.
    matched, unmatched : float
        IoU from which on an anchor has an object, and below which it has none.
    alpha, gamma : float
        Of the focal loss.
    before : int
        Boxes of a level before the suppression of doubles.
    loss : BoxLossConfig
    """

    convs: int = 4
    matched: float = 0.5
    unmatched: float = 0.5
    alpha: float = 0.25
    gamma: float = 1.5
    before: int = 1000
    loss: BoxLossConfig = field(default_factory=lambda: BoxLossConfig(delta=0.1, weight=50.0))

    def __post_init__(self) -> None:
        _check(self, "head")
        _check_thresholds("head", self.unmatched, self.matched)


@dataclass(frozen=True, kw_only=True)
class DetectorConfig:
    """A detector.

    Attributes
    ----------
    classes : int
        Kinds of objects; the background is none of them.
    backbone : MaxViTConfig or ResNetConfig
    pyramid : PyramidConfig
    anchors : AnchorConfig
    head : RegionConfig or RetinaConfig
    norm : str
        Of the heads: ``batch`` as the authors (across devices; with the pyramid's constants),
        ``group`` for small batches, or ``none``.
    score, nms, most : float, float, int
        Results: the lowest score, the IoU of doubles of a class, the number in a picture.
    mean, std : tuple of float
        Of the three colours of pictures from 0 to 1.
    """

    classes: int = 80
    backbone: MaxViTConfig | ResNetConfig = field(
        # The windows are a thirty-second of each picture, 28 at the authors' 896 pixels.
        default_factory=lambda: MaxViTConfig(image_size=896, window_policy="fit", num_classes=0)
    )
    pyramid: PyramidConfig = field(default_factory=PyramidConfig)
    anchors: AnchorConfig = field(default_factory=AnchorConfig)
    head: RegionConfig | RetinaConfig = field(
        default_factory=lambda: RegionConfig(masks=MaskConfig())
    )
    norm: Norm = "batch"
    score: float = 0.05
    nms: float = 0.5
    most: int = 100
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)

    def __post_init__(self) -> None:
        _check(self, "")
        _require(self.classes > 0, "classes", self.classes, "a whole number from 1 on")
        _require(min(self.std) > 0, "std", self.std, "three numbers above 0")

    @property
    def finds_masks(self) -> bool:
        """Whether results have masks."""
        return isinstance(self.head, RegionConfig) and self.head.masks is not None


def _check(config: object, owner: str) -> None:
    """Refuse fields of another type; lists, where they come from JSON, become tuples."""
    hints = get_type_hints(type(config))
    for name in (entry.name for entry in fields(config)):  # pyright: ignore[reportArgumentType] (they are dataclasses)
        value: Any = getattr(config, name)
        hint = hints[name]
        if get_origin(hint) is tuple:
            given: tuple[Any, ...] = tuple(value) if isinstance(value, list | tuple) else ()
            kind, *others = get_args(hint)
            count = len(given) if others == [...] else 1 + len(others)
            good = len(given) == count > 0 and all(_fits(each, kind) for each in given)
            object.__setattr__(config, name, given)
            accepted = f"{'some' if others == [...] else count} values of {kind.__name__}"
        else:
            good, accepted = _fits(value, hint), _words(hint)
        _require(good, f"{owner}.{name}".lstrip("."), value, accepted)
    convs: int = getattr(config, "convs", 0)
    _require(convs <= _MOST_LAYERS, f"{owner}.convs", convs, f"{_MOST_LAYERS} at most")


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if hint is int:
        return is_whole(value, 0, _MOST)
    if hint is float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and math.isfinite(value)
    return isinstance(value, hint)


def _words(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " or ".join(map(repr, get_args(hint)))
    if hint is int:
        return f"a whole number from 0 to {_MOST}"
    return {float: "a number", bool: "True or False"}.get(hint, str(hint))


def _check_thresholds(owner: str, low: float, high: float) -> None:
    if not 0 <= low <= high <= 1:
        raise ConfigError(
            f"the detector's {owner} call a box empty below an IoU of {low} and filled from {high} "
            "on: accepted are numbers from 0 to 1, the second no lower"
        )
