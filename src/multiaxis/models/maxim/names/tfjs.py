"""The authors' names for the constants of MAXIM's TensorFlow.js graphs (npm @upscalerjs/maxim-*).

The graphs were traced from the JAX model, so most constants carry the module path in their name;
dense kernels do not, and get it from the node that multiplies by them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import WeightsError

_ROOT = "StatefulPartitionedCall/jax2tf_apply_/Wrapper/backbone/"


def authors_arrays(
    arrays: Mapping[str, NDArray[np.generic]], nodes: Sequence[Mapping[str, Any]]
) -> dict[str, NDArray[np.generic]]:
    """Rename and lay out the graph's parameters as in an authors' checkpoint.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Constants by the name of their node.
    nodes : sequence of mapping
        The graph's nodes: ``name``, ``op`` and ``input`` (names).

    Returns
    -------
    dict of str to ndarray
        Under the authors' names, in Flax' layout. The coarse heads of the last stage are not in
        these graphs.

    Raises
    ------
    WeightsError
        If the graph is not a MAXIM.
    """
    multiplied = {
        node["input"][1]: node["name"].removesuffix("/einsum/Einsum").removeprefix(_ROOT)
        for node in nodes
        if node["op"] == "Einsum"
    }
    named: dict[str, NDArray[np.generic]] = {}
    for name, array in arrays.items():
        if array.dtype != np.float32 or array.size < 2:
            continue  # a constant of the graph, not a parameter
        module, _, tail = name.removeprefix(_ROOT).rpartition("/")
        if tail == "ReadVariableOp" and name in multiplied:
            named[f"{multiplied[name]}/kernel"] = array
        elif not name.startswith(_ROOT):
            raise WeightsError(
                f"the TensorFlow.js model is not a MAXIM: it has a parameter {name!r}"
            )
        elif "layernorm" in module.rsplit("/", 1)[-1].lower():
            named[f"{module}/{'scale' if tail == 'Reshape_2' else 'bias'}"] = array.reshape(-1)
        elif tail == "transpose_4":  # (rows, columns, out, in), flipped already
            named[f"{module}/kernel"] = array[::-1, ::-1].swapaxes(2, 3)
        elif tail.startswith("transpose"):
            named[f"{module}/kernel"] = array
        else:
            named[f"{module}/bias"] = array.reshape(-1)
    return named
