"""PyTorch's own files (``.pth``, ``.pt``), read without running what a pickle may ask for."""

from __future__ import annotations

import argparse
import logging
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from multiaxis.errors import WeightsError

_log = logging.getLogger(__name__)

# Where training scripts keep parameters: averages first, for they are what was evaluated.
_NESTS = (
    "state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "state_dict",
    "model_state_dict",
    "model",
)
_WRAPPERS = ("module.", "_orig_mod.")  # of DataParallel and AveragedModel, of torch.compile
_REMEDY = (
    "if you trust the file, save its tensors where it can be loaded, with "
    "torch.save(model.state_dict(), ...) or safetensors.torch.save_file"
)


def read_torch(path: Path) -> dict[str, Tensor]:
    """Read the parameters in a file that `torch.save` wrote, in the zip format or the older one.

    Parameters
    ----------
    path : Path
        A state dict, or a training checkpoint with one in it: averaged parameters
        (``state_dict_ema``, ``model_ema``, ``ema_state_dict``) are preferred to raw ones
        (``state_dict``, ``model_state_dict``, ``model``). The prefixes that parallel training
        and compilation put before names are taken off.

    Returns
    -------
    dict of str to Tensor
        On the CPU; mapped from the file where its format allows.

    Raises
    ------
    WeightsError
        If it is damaged, holds no state dict, or would run code when it is read.
    """
    try:
        is_zip = zipfile.is_zipfile(path)
        if is_zip:
            _check_zip(path)
        with warnings.catch_warnings():  # about pickles that others wrote: the result says enough
            warnings.simplefilter("ignore")
            with torch.serialization.safe_globals([argparse.Namespace]):  # options, beside weights
                found = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except WeightsError:
        raise
    except Exception as error:  # damaged pickles fail in any way
        raise WeightsError(_refusal(path, error)) from error
    return _unwrapped(_state_dict(found, path))


def _check_zip(path: Path) -> None:
    """Compare the checksums, which torch.load does not."""
    with zipfile.ZipFile(path) as archive:
        if any(name.endswith("/constants.pkl") for name in archive.namelist()):
            raise WeightsError(
                f"{path} is a TorchScript archive, which holds code: refused; {_REMEDY}"
            )
        damaged = archive.testzip()
    if damaged is not None:
        raise WeightsError(f"{path} is damaged (in {damaged}): fetch it again")


def _refusal(path: Path, error: Exception) -> str:
    text = str(error)
    wanted = re.search(r"GLOBAL (\S+)", text)
    if wanted:
        return (
            f"{path} is a pickle that asks for {wanted[1]} when it is read, and so could run any "
            f"code: refused; {_REMEDY}"
        )
    reason = text.split("WeightsUnpickler error:")[-1].strip().split("\n")[0]
    return (
        f"{path} is a damaged PyTorch file, or a pickle of something else than tensors "
        f"({reason or type(error).__name__}): fetch it again, or {_REMEDY}"
    )


def _state_dict(found: object, path: Path) -> dict[str, Tensor]:
    nests: list[str] = []
    while isinstance(found, Mapping):
        nest = next((key for key in _NESTS if isinstance(found.get(key), Mapping)), None)
        if nest is None:
            break
        nests.append(nest)
        found = found[nest]
    if nests:
        _log.info("%s: the parameters under %s are taken", path, ".".join(nests))
    entries: Mapping[object, object] = found if isinstance(found, Mapping) else {}
    tensors = {str(name): value for name, value in entries.items() if isinstance(value, Tensor)}
    if not tensors:
        keys = ", ".join(repr(key) for key in list(entries)[:8])
        what = f"a {type(found).__name__} of {keys}" if keys else f"a {type(found).__name__}"
        raise WeightsError(
            f"{path} holds no state dict but {what}: accepted are named tensors, alone or under "
            f"{', '.join(_NESTS)}"
        )
    return tensors


def _unwrapped(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    tensors = {name: tensor.detach() for name, tensor in tensors.items()}
    while True:
        # AveragedModel counts beside the module that it wraps.
        wrapped = {name: tensor for name, tensor in tensors.items() if name != "n_averaged"}
        wrapper = next((w for w in _WRAPPERS if all(n.startswith(w) for n in wrapped)), None)
        if wrapper is None or not wrapped:
            return tensors
        tensors = {name.removeprefix(wrapper): tensor for name, tensor in wrapped.items()}
