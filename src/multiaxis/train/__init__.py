"""Training: one loop for every model and every number of machines. Needs the extra ``train``."""

# pyright: reportMissingTypeStubs=false

from multiaxis.errors import MissingExtraError

try:
    import accelerate as _  # noqa: F401 (only whether it is there)
except ImportError as error:
    raise MissingExtraError(
        "training needs accelerate, which is not installed: pip install 'multiaxis[train]'"
    ) from error

from multiaxis.train.loop import Outcome, train

__all__ = ["Outcome", "train"]
