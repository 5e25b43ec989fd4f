"""Models as ONNX files, written by torch's exporter and compared with what torch computes."""

from __future__ import annotations

import importlib.util
import os
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from multiaxis.deploy.fold import fold
from multiaxis.errors import ConfigError, ExportError, MissingExtraError
from multiaxis.models.families import family_of

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

OPSET = 20  # the first with GELU in its tanh form as one operator
TOLERANCE = 1e-3  # of the largest output; another runtime rounds and fuses otherwise
_LARGEST = 2_000_000_000  # bytes of parameters that one file can hold


def export_onnx(
    model: nn.Module,
    path: str | Path,
    size: tuple[int, int],
    *,
    check: bool = True,
    overwrite: bool = False,
) -> float | None:
    """Write a folded copy of a model as an ONNX file, for pictures of one size and any batch.

    The file's input is ``pictures`` (batch, channels, height, width), float32; its output is
    ``logits`` of a MaxViT or ``restored`` of a MAXIM. A Backbone has an output for each map:
    ``maps_1`` is that of level 1.

    Parameters
    ----------
    model : MaxViT, Backbone or Maxim
    path : str or Path
        File to write, all or nothing.
    size : (height, width)
        Pixels. Windows, padding and grids are laid out for it, which is why it is fixed: write one
        file for each size. A MAXIM takes multiples of `model.config.size_multiple`.
    check : bool
        Whether the file is run by onnxruntime, on two batch sizes, and compared with the model.
    overwrite : bool
        Whether `path` may replace a file.

    Returns
    -------
    float or None
        The largest difference that the check found, over the largest output; None without it.

    Raises
    ------
    MissingExtraError
        If the exporter's packages (or onnxruntime, for the check) are not installed.
    ConfigError
        If the model is of another kind or too large for one file, or `path` exists.
    ShapeError
        If the size is none that the model takes.
    ExportError
        If the exporter fails, the file cannot be written, or it computes something else.

    Examples
    --------
    >>> from multiaxis import create_model
    >>> model = create_model("maxvit_pico")
    >>> export_onnx(model, "pico.onnx", (224, 224))  # doctest: +SKIP
    """
    target = Path(path)
    _check_request(model, target, overwrite=overwrite)
    _check_extra("onnx", "onnxscript", *(["onnxruntime"] if check else []))
    folded = fold(model)
    channels = cast(Any, model).config.in_channels
    x = torch.rand(2, channels, *size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        folded(x[:1])  # refuses a size before the long work
        program = _export(folded, x, _outputs(model))
    with _written(target) as temporary:
        program.save(temporary)
        return _compare(folded, temporary, x) if check else None


def _check_request(model: nn.Module, target: Path, *, overwrite: bool) -> None:
    family_of(model, "export")
    size = sum(p.numel() * 4 for p in model.parameters())
    if size > _LARGEST:
        raise ConfigError(
            f"the model has {size / 1e9:.1f} GB of parameters: an ONNX file holds up to 2 GB"
        )
    if target.exists() and not overwrite:
        raise ConfigError(f"the output {target} exists: allow overwriting, or name another file")
    if not target.parent.is_dir():
        raise ConfigError(f"there is no folder {target.parent} for the output: create it")


def _check_extra(*packages: str) -> None:
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"exporting needs {', '.join(missing)}: pip install 'multiaxis[export]'"
        )


def _outputs(model: nn.Module) -> list[str]:
    levels: Sequence[int] | None = getattr(cast(Any, model).config, "out_indices", None)
    return [family_of(model).output] if levels is None else [f"maps_{level}" for level in levels]


def _export(model: nn.Module, x: Tensor, outputs: list[str]) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's, about itself
            return torch.onnx.export(
                model,
                (x,),
                dynamo=True,
                opset_version=OPSET,
                input_names=["pictures"],
                output_names=outputs,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                verbose=False,
            )
    except Exception as error:  # the exporter's own errors have no common family
        reason = str(error).strip().split("\n")[0]
        raise ExportError(
            f"torch's exporter cannot write this model ({type(error).__name__}: {reason}): report "
            "this with the model's configuration"
        ) from error


def _compare(model: nn.Module, path: Path, x: Tensor) -> float:
    import onnxruntime  # pyright: ignore[reportMissingTypeStubs]

    session: Any = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    largest = 0.0
    for batch in (x, x[:1]):
        with torch.no_grad():
            output: Tensor | list[Tensor] = model(batch)
        outputs = [output] if isinstance(output, Tensor) else output
        given: list[Any] = session.run(None, {"pictures": batch.numpy()})
        for found, expected in zip(given, (out.numpy() for out in outputs), strict=True):
            if found.shape != expected.shape:
                raise ExportError(
                    f"the file gives {found.shape} and the model {expected.shape}: report it"
                )
            scale = float(np.abs(expected).max())
            largest = max(largest, float(np.abs(found - expected).max()) / scale)
    if not largest <= TOLERANCE:
        raise ExportError(
            f"the file's outputs are off by {largest:.1e} of the largest: the file was removed; "
            "report this with the model's configuration"
        )
    return largest


@contextmanager
def _written(target: Path) -> Generator[Path]:
    """Give a temporary name beside the target, which it gets once all went well."""
    try:
        handle, name = tempfile.mkstemp(prefix=".", suffix=".onnx", dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o644)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise ExportError(f"cannot write {target}: {error.strerror or error}") from error
