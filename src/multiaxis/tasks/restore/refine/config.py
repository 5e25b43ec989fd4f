"""What a refiner can be configured to. No tensors here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from multiaxis.errors import ConfigError, unknown
from multiaxis.models.maxim.config import MaximConfig

COLOURS = 3
_KINDS = ("maxim", "unet")
_TOLD = ("noise", "velocity")
_MOST = {"features": 4096, "depth": 12, "groups": 64, "planes": 16}


@dataclass(frozen=True, kw_only=True)
class DenoiserConfig:
    """The network that tells noise and residual apart.

    It sees the noisy residual, the degraded picture, the level of the noise, and the prediction if
    `shown`. As a rule it is a MAXIM of one stage, which sees the level as planes of cosines. It can
    be a plain U-Net, as in the paper of predict and refine, which adds the level to its maps; that
    has no streamed form.

    Attributes
    ----------
    kind : str
        ``maxim`` or ``unet``.
    features, depth, groups : int
        ``features``, ``depth`` and ``num_groups`` of the MAXIM. The U-Net's channels at full size;
        its levels, of 1, 2, 3 and so on times as many channels; and its blocks in each level. The
        paper's, as far as it is known: 32 or 64, 4, 3.
    bottleneck : int
        ``num_bottleneck_blocks`` of the MAXIM; this and all that follow but `scale` are its own.
    window : int
        Side of its blocks, and cells of its grid along a side.
    gating : bool
        Whether encoder and decoder have multi-axis gated MLPs, and bridges cross gating. Without
        them, as in the packaged denoiser, a step takes a quarter of the time; the bottleneck keeps
        its multi-axis gated MLP.
    planes : int
        That tell the level.
    tells : str
        ``noise``, as in the paper, or ``velocity`` (Salimans and Ho, 2202.00512): noise less
        residual, in the shares that keep its variance at 1. At high levels, a small error in the
        noise is a large one in the residual, and short trainings end with residuals that are too
        small; by the velocity, every level counts alike.
    shown : bool
        Whether it sees the prediction. The paper's does not, and has to restore the picture itself
        before it knows where detail belongs; a small one is better off with it.
    scale : float
        What residuals (values in [0, 1]) are multiplied with, so that they vary by about 1 as the
        noise does: 1 over their root mean square.
    """

    kind: Literal["maxim", "unet"] = "maxim"
    features: int = 16
    depth: int = 3
    groups: int = 1
    bottleneck: int = 1
    window: int = 8
    gating: bool = True
    planes: int = 4
    tells: Literal["noise", "velocity"] = "noise"
    shown: bool = False
    scale: float = 10.0

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise unknown("kind of denoiser", self.kind, _KINDS)
        if self.tells not in _TOLD:
            raise unknown("denoiser.tells", self.tells, _TOLD)
        for name, most in _MOST.items():
            value = getattr(self, name)
            if not 1 <= value <= most:
                raise ConfigError(f"a denoiser's {name} is {value}: accepted is 1 to {most}")
        if not 1e-3 <= self.scale <= 1e4:
            raise ConfigError(f"a denoiser's scale is {self.scale:g}: accepted is 0.001 to 10000")
        if self.kind == "maxim":
            _ = self.maxim  # checks the rest

    @property
    def size_multiple(self) -> tuple[int, int]:
        """What the sides of its maps are multiples of: (rows, columns)."""
        if self.kind == "unet":
            return (2 ** (self.depth - 1), 2 ** (self.depth - 1))
        return self.maxim.size_multiple

    @property
    def colours(self) -> int:
        """How many planes of colours it sees."""
        return COLOURS * (3 if self.shown else 2)

    @property
    def maxim(self) -> MaximConfig:
        """The configuration of its network."""
        channels, window = self.colours + self.planes, (self.window, self.window)
        return MaximConfig(
            features=self.features,
            depth=self.depth,
            num_stages=1,
            num_groups=self.groups,
            num_bottleneck_blocks=self.bottleneck,
            use_cross_gating=self.gating,
            use_global_mlp=self.gating,
            block_size_hr=window,
            grid_size_hr=window,
            block_size_lr=window,
            grid_size_lr=window,
            in_channels=channels,
            num_outputs=channels,
        )


@dataclass(frozen=True, kw_only=True)
class RefinerConfig:
    """Both networks.

    Attributes
    ----------
    predictor : MaximConfig
    denoiser : DenoiserConfig
    """

    predictor: MaximConfig = field(default_factory=MaximConfig)
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> RefinerConfig:
        """Read what JSON holds of a configuration.

        Raises
        ------
        ConfigError
            If a field is unknown or a value cannot work.
        """
        try:
            return cls(
                predictor=MaximConfig(**fields["predictor"]),
                denoiser=DenoiserConfig(**fields["denoiser"]),
            )
        except (KeyError, TypeError) as error:
            raise ConfigError(f"this is no configuration of a refiner: {error}") from error

    def fields(self) -> dict[str, Any]:
        """Give what JSON holds of it."""
        return asdict(self)
