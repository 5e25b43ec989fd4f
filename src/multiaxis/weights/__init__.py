"""Checkpoints: what is published, where it comes from, how it is read, and how it fits a model."""

from multiaxis.weights.index import Checkpoint, find_checkpoint, list_checkpoints, list_tasks
from multiaxis.weights.load import Loaded, convert_weights, load_model, load_weights
from multiaxis.weights.pull import pull

__all__ = [
    "Checkpoint",
    "Loaded",
    "convert_weights",
    "find_checkpoint",
    "list_checkpoints",
    "list_tasks",
    "load_model",
    "load_weights",
    "pull",
]
