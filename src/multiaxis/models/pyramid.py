"""What a feature pyramid can be configured to. No tensors here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from multiaxis.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class PyramidConfig:
    """What a pyramid is like; the defaults are those of the authors' detectors and segmenters.

    Source: TensorFlow model garden, ``official/vision/configs/decoders.py`` and
    ``official/projects/maxvit/configs``.

    Attributes
    ----------
    levels : (int, int)
        The first and the last: a level's pixels are 2 ** level of the picture's. Those that the
        backbone lacks are convolved from the last one that it has.
    channels : int
        Of every level.
    fusion : str
        ``sum``: a coarser map is added to the finer one; ``concat``: put beside it.
    norm : str
        ``batch``, or ``none``.
    bn_epsilon, bn_momentum : float
        Of batch norms; the momentum is PyTorch's, 1 - TensorFlow's.
    """

    levels: tuple[int, int] = (3, 7)
    channels: int = 256
    fusion: Literal["sum", "concat"] = "sum"
    norm: Literal["batch", "none"] = "batch"
    bn_epsilon: float = 1e-3
    bn_momentum: float = 0.01

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", tuple(self.levels))  # a list, where it comes from JSON
        first, *rest = self.levels
        if len(rest) != 1 or not 1 <= first <= rest[0] <= 12:
            raise ConfigError(
                f"the levels of a pyramid are {self.levels}: accepted are the first and the last, "
                "from 1 to 12, such as (3, 7)"
            )
        if self.channels < 1:
            raise ConfigError(f"a pyramid has {self.channels} channels: accepted is 1 or more")
        for name, choices in (("fusion", ("sum", "concat")), ("norm", ("batch", "none"))):
            if getattr(self, name) not in choices:
                raise ConfigError(
                    f"the {name} of a pyramid is {getattr(self, name)!r}: accepted is "
                    f"{' or '.join(choices)}"
                )
