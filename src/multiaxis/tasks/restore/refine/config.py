"""What a refiner can be configured to. No tensors here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from multiaxis.errors import ConfigError
from multiaxis.models.maxim.config import MaximConfig

COLOURS = 3


@dataclass(frozen=True, kw_only=True)
class DenoiserConfig:
    """The network that tells the noise in a residual.

    It is a MAXIM of one stage. It sees the noisy residual, the degraded picture, and the level of
    the noise as planes of cosines.

    Attributes
    ----------
    features, depth, groups, bottleneck : int
        ``features``, ``depth``, ``num_groups`` and ``num_bottleneck_blocks`` of the MAXIM.
    window : int
        Side of its blocks, and cells of its grid along a side.
    gating : bool
        Whether encoder and decoder have multi-axis gated MLPs, and bridges cross gating. Without
        them, as in the packaged denoiser, a step takes a quarter of the time; the bottleneck keeps
        its multi-axis gated MLP.
    planes : int
        That tell the level.
    scale : float
        What residuals (values in [0, 1]) are multiplied with, so that they vary by about 1 as the
        noise does: 1 over their root mean square.
    """

    features: int = 16
    depth: int = 3
    groups: int = 1
    bottleneck: int = 1
    window: int = 8
    gating: bool = True
    planes: int = 4
    scale: float = 10.0

    def __post_init__(self) -> None:
        if not 1 <= self.planes <= 16:
            raise ConfigError(f"a denoiser's planes is {self.planes}: accepted is 1 to 16")
        if not 1e-3 <= self.scale <= 1e4:
            raise ConfigError(f"a denoiser's scale is {self.scale:g}: accepted is 0.001 to 10000")
        _ = self.maxim  # checks the rest

    @property
    def maxim(self) -> MaximConfig:
        """The configuration of its network."""
        channels, window = 2 * COLOURS + self.planes, (self.window, self.window)
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
