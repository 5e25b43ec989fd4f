"""Containers of checkpoints: bytes on disk to named arrays. No knowledge of models."""

from multiaxis.weights.read.detect import Kind, detect
from multiaxis.weights.read.npz import read_npz
from multiaxis.weights.read.tfjs import Graph, read_tfjs

__all__ = ["Graph", "Kind", "detect", "read_npz", "read_tfjs"]
