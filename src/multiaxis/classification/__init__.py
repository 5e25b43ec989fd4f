"""Pictures to the names of what they show. `Classifier` is in `classifier`: it needs torch."""

from multiaxis.classification.labels import imagenet_labels
from multiaxis.classification.preprocess import preprocess
from multiaxis.classification.rules import (
    PREPROCESSINGS,
    RECIPES,
    Preprocessing,
    find_preprocessing,
)

__all__ = [
    "PREPROCESSINGS",
    "RECIPES",
    "Preprocessing",
    "find_preprocessing",
    "imagenet_labels",
    "preprocess",
]
