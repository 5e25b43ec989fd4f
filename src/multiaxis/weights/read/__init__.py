"""Containers of checkpoints: bytes on disk to named arrays. No knowledge of models."""

from multiaxis.weights.read.detect import Kind, detect
from multiaxis.weights.read.npz import FLAX_PARAMETERS, read_npz
from multiaxis.weights.read.tensorflow import TensorFlowArrays, averaged, read_tensorflow
from multiaxis.weights.read.tfjs import Graph, read_tfjs
from multiaxis.weights.read.torch_file import TorchArrays, flattened, read_torch

__all__ = [
    "FLAX_PARAMETERS",
    "Graph",
    "Kind",
    "TensorFlowArrays",
    "TorchArrays",
    "averaged",
    "detect",
    "flattened",
    "read_npz",
    "read_tensorflow",
    "read_tfjs",
    "read_torch",
]
