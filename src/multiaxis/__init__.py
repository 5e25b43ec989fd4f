"""Restore and classify pictures with MAXIM and MaxViT, exactly as published.

Public names are loaded on first use, so that ``import multiaxis`` costs next to nothing and does
not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from multiaxis.deploy.stream import streamed
    from multiaxis.models.families import parameter_groups
    from multiaxis.models.maxim.network import Maxim
    from multiaxis.models.maxvit.network import MaxViT
    from multiaxis.score import psnr, ssim
    from multiaxis.tasks.classify.classifier import Classifier
    from multiaxis.tasks.detect.detector import Detector
    from multiaxis.tasks.generate.generator import Generator
    from multiaxis.tasks.rate.rater import Rater
    from multiaxis.tasks.restore.evaluate import evaluate
    from multiaxis.tasks.restore.refine.sampling import Sampling
    from multiaxis.tasks.restore.restorer import Restorer
    from multiaxis.tasks.restore.single import restore
    from multiaxis.tasks.segment.segmenter import Segmenter
    from multiaxis.weights.index import list_checkpoints
    from multiaxis.weights.load import load_weights
    from multiaxis.zoo import create_model, list_models

_HOMES = {
    "Classifier": "multiaxis.tasks.classify.classifier",
    "MaxViT": "multiaxis.models.maxvit.network",
    "Maxim": "multiaxis.models.maxim.network",
    "Detector": "multiaxis.tasks.detect.detector",
    "Generator": "multiaxis.tasks.generate.generator",
    "Rater": "multiaxis.tasks.rate.rater",
    "Sampling": "multiaxis.tasks.restore.refine.sampling",
    "Restorer": "multiaxis.tasks.restore.restorer",
    "Segmenter": "multiaxis.tasks.segment.segmenter",
    "create_model": "multiaxis.zoo",
    "evaluate": "multiaxis.tasks.restore.evaluate",
    "list_checkpoints": "multiaxis.weights.index",
    "list_models": "multiaxis.zoo",
    "load_weights": "multiaxis.weights.load",
    "parameter_groups": "multiaxis.models.families",
    "psnr": "multiaxis.score",
    "restore": "multiaxis.tasks.restore.single",
    "ssim": "multiaxis.score",
    "streamed": "multiaxis.deploy.stream",
}

__all__ = [
    "Classifier",
    "Detector",
    "Generator",
    "MaxViT",
    "Maxim",
    "Rater",
    "Restorer",
    "Sampling",
    "Segmenter",
    "__version__",
    "create_model",
    "evaluate",
    "list_checkpoints",
    "list_models",
    "load_weights",
    "parameter_groups",
    "psnr",
    "restore",
    "ssim",
    "streamed",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'multiaxis' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
