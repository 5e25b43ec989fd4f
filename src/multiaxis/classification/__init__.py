"""A model and a picture to the names of what is in it."""

from multiaxis.classification.labels import imagenet_labels
from multiaxis.classification.preprocess import (
    RECIPES,
    Preprocessing,
    find_preprocessing,
    preprocess,
)

__all__ = ["RECIPES", "Preprocessing", "find_preprocessing", "imagenet_labels", "preprocess"]
