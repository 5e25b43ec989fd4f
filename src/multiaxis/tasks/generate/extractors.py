"""What sees something in pictures, so that sets of them can be compared."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)
from torch import Tensor, nn

from multiaxis.errors import ConfigError, MissingExtraError, WeightsUnavailableError

_SEED = 2106_07631  # of the random network: the same in every process and on every machine
_WIDTHS = (32, 64, 128)
_SLOPE = 0.2


@dataclass(frozen=True)
class Seen:
    """What an extractor sees.

    Attributes
    ----------
    features : Tensor, shape (batch, features)
    logits : Tensor, shape (batch, classes), or None
        Of classifiers.
    """

    features: Tensor
    logits: Tensor | None = None


Extractor = Callable[[Tensor], Seen]
"""Takes pictures of (batch, 3, height, width) in [-1, 1]."""


def find_extractor(name: str, device: torch.device | str = "cpu") -> Extractor:
    """Make an extractor by name.

    Parameters
    ----------
    name : str
        As in `objective.Adversarial`.
    device : torch.device or str

    Raises
    ------
    ConfigError
        If it is the weights of what does not classify.
    WeightsError
        If they cannot be had.
    MissingExtraError
        If ``inception`` needs a package that is not installed.
    """
    if name == "pixels":
        return see_pixels
    if name == "random":
        return RandomNetwork().to(device).eval()
    if name == "inception":
        return _Inception(device)
    return _Classifier(name, device)


def see_pixels(pictures: Tensor) -> Seen:
    """Take the means of 8 x 8 parts of each channel."""
    return Seen(F.adaptive_avg_pool2d(pictures.float(), 8).flatten(1))


class RandomNetwork(nn.Module):
    """Convolutions with fixed random weights: means and deviations of what each layer shows.

    It knows nothing of objects, yet tells apart edges, colours and textures. Distances by it are
    comparable among pictures of one size only.
    """

    def __init__(self) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(_SEED)
        before, convs = 3, list[nn.Module]()
        for width in _WIDTHS:
            conv = nn.Conv2d(before, width, 3, stride=2, padding=1, bias=False)
            std = (2 / (9 * before)) ** 0.5
            conv.weight.data = std * torch.randn(conv.weight.shape, generator=random)
            convs.append(conv)
            before = width
        self.convs = nn.ModuleList(convs)

    @torch.no_grad()
    def forward(self, pictures: Tensor) -> Seen:
        """See pictures."""
        x, found = pictures.float(), list[Tensor]()
        for conv in self.convs:
            x = F.leaky_relu(conv(x), _SLOPE)
            found += [x.mean(dim=(2, 3)), x.std(dim=(2, 3), correction=0)]
        return Seen(torch.cat(found, dim=1))


class _Classifier:
    """The features of a MaxViT before its logits, and the logits."""

    def __init__(self, weights: str, device: torch.device | str) -> None:
        from multiaxis.models.maxvit.network import MaxViT
        from multiaxis.zoo import open_model

        model = open_model(weights)
        if not isinstance(model, MaxViT) or not model.config.num_classes:
            raise ConfigError(
                f"the extractor {weights!r} is no MaxViT that classifies: accepted are the weights "
                "of one, random, pixels and inception"
            )
        self.model = model.to(device).eval()

    @torch.inference_mode()
    def __call__(self, pictures: Tensor) -> Seen:
        side: Any = self.model.config.image_size
        size = (side, side) if isinstance(side, int) else tuple(side)
        shown = F.interpolate(pictures.float(), size, mode="bilinear", antialias=True)
        maps = self.model.forward_features(shown)
        features = self.model.forward_head(maps, pre_logits=True)
        return Seen(features, self.model.forward_head(maps))


class _Inception:
    """Inception v3 as published tables use it, of torch-fidelity, which fetches its weights."""

    def __init__(self, device: torch.device | str) -> None:
        try:
            found = importlib.import_module("torch_fidelity.feature_extractor_inceptionv3")
        except ImportError as error:
            raise MissingExtraError(
                "the extractor inception needs the package torch-fidelity: pip install "
                "'multiaxis[generate]'; random and the weights of a MaxViT need nothing"
            ) from error
        try:
            wanted = ["2048", "logits_unbiased"]
            model: Any = found.FeatureExtractorInceptionV3("inception-v3-compat", wanted)
        except OSError as error:  # no way to the address of the weights
            raise WeightsUnavailableError(
                f"torch-fidelity cannot fetch Inception's weights ({error}): connect to the "
                "network once, or take random or the weights of a MaxViT"
            ) from error
        self.model = model.to(device).eval()

    @torch.inference_mode()
    def __call__(self, pictures: Tensor) -> Seen:
        levels = ((pictures.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        features, logits = self.model(levels)
        return Seen(features, logits)
