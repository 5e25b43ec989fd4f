"""A folder of annotated shapes, weights of a tiny detector, and a recipe of a few steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from multiaxis.models.store import save_network
from multiaxis.tasks.detect.masks import encode
from multiaxis.tasks.detect.networks.config import DetectorConfig
from multiaxis.tasks.detect.objective import Detection
from multiaxis.tasks.detect.samples import AnnotatedFolder
from multiaxis.tasks.detect.stated import write_stated
from multiaxis.tasks.detect.truth import Category
from multiaxis.train.recipe import ModelChoice, Optim, Recipe, Run
from small_detector import KINDS, detector, shapes

CLASSES = (Category(2, "square"), Category(5, "disc"), Category(9, "bar"))
BODY: dict[str, Any] = {
    "stem_widths": (8, 8),
    "depths": (1, 1, 1, 1),
    "widths": (8, 16, 16, 16),
    "head_dim": 8,
    "window_size": 4,
    "expansion_rate": 2,
}
SMALL: dict[str, Any] = {
    "backbone": BODY,
    "pyramid": {"levels": (3, 5), "channels": 16},
    "anchors": {"scales": 1},
    "head": {"convs": 1},
}
REGIONS: dict[str, Any] = {
    **SMALL,
    "head": {
        "convs": 1,
        "width": 16,
        "samples": 16,
        "hidden": (16,),
        "proposals": {"convs": 1, "before": (50, 50), "kept": (20, 20)},
        "masks": {"convs": 1, "width": 8, "samples": 8},
    },
}


def write_set(folder: Path, count: int = 4, size: tuple[int, int] = (64, 80)) -> Path:
    """Write pictures and ``truth.json``; returns the latter."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures, targets = shapes(count, size, seed=1)
    images, annotations = [], list[dict[str, Any]]()
    for k, (picture, target) in enumerate(zip(pictures, targets, strict=True)):
        pixels = (picture.permute(1, 2, 0).numpy() * 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{k}.png")
        name = f"{k}.png"
        images.append({"id": 10 + k, "file_name": name, "width": size[1], "height": size[0]})
        for box, label, mask in zip(
            target["boxes"].tolist(), target["labels"].tolist(), target["masks"], strict=True
        ):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": 10 + k,
                    "category_id": CLASSES[label - 1].id,
                    "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                    "segmentation": encode(mask.numpy()),
                }
            )
    categories = [{"id": c.id, "name": c.name} for c in CLASSES]
    path = folder / "truth.json"
    coco = {"images": images, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps(coco))
    return path


def write_weights(path: Path, kind: str = "retina", size: int = 80) -> Path:
    """Write a detector with random weights, as a training does."""
    config: DetectorConfig = KINDS[kind]
    save_network(detector(config), path, write_stated(size, CLASSES))
    return path


def recipe(truth: Path, *, masks: bool = False, steps: int = 4) -> Recipe:
    data = AnnotatedFolder(
        folder=str(truth.parent),
        annotations=str(truth),
        size=64,
        scale=(0.8, 1.2),
        masks=masks,
        keep=True,
    )
    name, config = ("maxvit_pico_retinanet", SMALL)
    if masks:
        name, config = ("maxvit_pico_maskrcnn", REGIONS)
    return Recipe(
        name="tiny-detector",
        about="A recipe for tests",
        model=ModelChoice(name=name, config=config),
        data=data,
        valid=AnnotatedFolder(
            folder=str(truth.parent), annotations=str(truth), size=64, train=False, masks=masks
        ),
        valid_samples=1000,
        objective=Detection(),
        optim=Optim(kind="adamw", lr=1e-3, final_lr=1e-4, clip=10.0),
        run=Run(steps=steps, batch=2, workers=0, log_every=1, ema=0.9, tracker="none"),
    )
