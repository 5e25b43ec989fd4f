"""A model, loaded once and asked about many pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self, overload

import numpy as np
import torch
from torch import Tensor, nn

from multiaxis.deploy.fold import folded
from multiaxis.devices import check_finite, find_device, find_dtype, full_precision
from multiaxis.errors import ConfigError, WeightsError, unknown
from multiaxis.images.sources import Source
from multiaxis.memory import run_in_parts
from multiaxis.models.hub import Card, Shared
from multiaxis.models.maxvit.config import find_variant
from multiaxis.models.maxvit.network import MaxViT
from multiaxis.progress import OnProgress
from multiaxis.tasks.classify.inputs import rgb_pixels
from multiaxis.tasks.classify.labels import imagenet_labels
from multiaxis.tasks.classify.preprocess import preprocess
from multiaxis.tasks.classify.rules import Preprocessing, find_preprocessing
from multiaxis.tasks.classify.stated import Stated, read_stated, write_stated
from multiaxis.weights.find import find_published
from multiaxis.weights.index import Checkpoint, find_checkpoint, is_known, list_checkpoints
from multiaxis.weights.purpose import wrong_purpose
from multiaxis.zoo import MaxViTName, open_model

DEFAULT_MODEL = "maxvit_tiny"
_BATCH = 8  # pictures at once


@dataclass(frozen=True)
class Prediction:
    """What a picture may show.

    Attributes
    ----------
    index : int
        Of the class.
    label : str
        Its name.
    probability : float
        Softmax of the logits, in [0, 1].
    """

    index: int
    label: str
    probability: float


class Classifier(Shared):
    """Names what pictures show.

    Parameters
    ----------
    model : str or MaxViT, optional
        A variant, or your own model with its weights. By default the model of `weights`, or
        ``"maxvit_tiny"`` without them.
    weights : str or Path, optional
        A published checkpoint's name (timm's name works, too) or a file. By default the first
        published one of the model.
    preprocessing : str or Preprocessing, optional
        A value that `find_preprocessing` takes. By default the published one of the checkpoint.
        Weights of `multiaxis.train` use what they were validated with. Other files and your own
        models use their flavour's recipe at the model's image size.
    labels : sequence of str, optional
        Names of the classes. By default those that the weights state, as weights of a training on
        folders do, or ImageNet-1K's for a thousand classes.
    image_size : int, optional
        Side of the square that the model sees, in pixels, if it differs from that of the weights'
        tuning. Files of the authors and of timm do not state it.
    device : str or torch.device
        ``auto`` (a GPU if there is one), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    dtype : str or torch.dtype
        ``float32``, ``bfloat16``, ``float16`` or ``auto``.
    offline : bool
        Whether to use only what the cache holds.
    on_progress : callable, optional
        Receives `Progress` while weights are fetched.

    Attributes
    ----------
    model : MaxViT
        As it was loaded. A copy classifies, with its batch norms folded: change nothing here.
    preprocessing : Preprocessing
    labels : tuple of str
    device : torch.device
    dtype : torch.dtype

    Raises
    ------
    ConfigError
        If a name is unknown, the device does not exist, or the model cannot classify pictures.
    WeightsError
        If the weights cannot be fetched or read, or belong to another model.

    Examples
    --------
    >>> Classifier("maxvit_tiny").classify("cat.jpg", top=1)[0].label  # doctest: +SKIP
    'tabby'
    """

    def __init__(  # noqa: PLR0913 (what to load, and where)
        self,
        model: MaxViTName | MaxViT | None = None,
        *,
        weights: str | Path | None = None,
        preprocessing: str | Preprocessing | None = None,
        labels: Sequence[str] | None = None,
        image_size: int | None = None,
        device: str | torch.device = "auto",
        dtype: Literal["float32", "bfloat16", "float16", "auto"] | torch.dtype = "float32",
        offline: bool = False,
        on_progress: OnProgress | None = None,
    ) -> None:
        self.device = find_device(device)
        self.dtype = find_dtype(dtype, self.device)
        card = None
        if isinstance(model, MaxViT):
            if weights is not None or image_size is not None:
                raise ConfigError(
                    "received a model, and weights or an image size: create the model with these"
                )
            loaded = model
        else:
            weights, card = _choose(model, weights)
            config = {} if image_size is None else {"image_size": image_size}
            pulling = {"offline": offline, "on_progress": on_progress}
            loaded = _check(model, open_model(weights, config=config, **pulling), weights)
        stated = _read_stated(weights or "the model", loaded, image_size)
        card = card or _card_of(loaded)
        self.preprocessing = _rules(loaded, card, stated, preprocessing)
        self.labels = _names(loaded, stated, labels)
        self._folded = folded(loaded.eval()).to(self.device, self.dtype)
        self.model = loaded.to(self.device, self.dtype)

    @overload
    def classify(self, source: Source, *, top: int = 5) -> list[Prediction]: ...

    @overload
    def classify(self, source: Sequence[Source], *, top: int = 5) -> list[list[Prediction]]: ...

    def classify(
        self, source: Source | Sequence[Source], *, top: int = 5
    ) -> list[Prediction] | list[list[Prediction]]:
        """Name the likeliest classes of a picture, or of each of several.

        Parameters
        ----------
        source : path, PIL.Image.Image, Picture or ndarray; or a list or tuple of them
            Arrays: (height, width) or (height, width, 1 to 4 channels), uint8, uint16 or floats in
            [0, 1]. Alpha is ignored.
        top : int
            How many classes to name, likeliest first.

        Returns
        -------
        list of Prediction, or a list of such lists

        Raises
        ------
        ConfigError
            If `top` is below 1.
        ImageError
            If a picture cannot be read.
        ShapeError
            If an array is not a picture.
        """
        if top < 1:
            raise ConfigError(f"top is {top}: accepted is 1 or more")
        if isinstance(source, list | tuple):
            return [found for batch in _batches(source) for found in self._predict(batch, top)]
        return self._predict([source], top)[0]  # pyright: ignore[reportArgumentType]

    def logits(self, sources: Sequence[Source]) -> Tensor:
        """Give what the model says of pictures: float32 on the CPU, (pictures, classes)."""
        inputs = np.stack([preprocess(rgb_pixels(s), self.preprocessing) for s in sources])
        # Channels last in memory, as the model computes.
        batch = torch.from_numpy(inputs).permute(0, 3, 1, 2).to(self.device, self.dtype)
        what = f"a picture of {batch.shape[3]} x {batch.shape[2]} pixels: use a smaller image_size"
        with torch.inference_mode(), full_precision():
            found = run_in_parts(self._folded, batch, what).float().cpu()
        return check_finite(found, self.dtype)

    def save(self, path: str | Path) -> None:
        """Write the model with its preprocessing and labels, for ``Classifier(weights=path)``.

        Parameters
        ----------
        path : str or Path
            A .safetensors file, written all or nothing; replaced if it exists.

        Raises
        ------
        ConfigError
            If the path has another suffix.
        WeightsError
            If the file cannot be written.
        """
        self.model.save(path, about=write_stated(self.preprocessing, self.labels))

    @classmethod
    def open_file(cls, path: Path, **options: Any) -> Self:
        """Open a file; `options` are the classifier's."""
        return cls(weights=path, **options)

    def card(self) -> Card:
        """Say what the card on a hub says."""
        card = self.model.card()
        shown = ", ".join(self.labels[:20]) + (" and others" if len(self.labels) > 20 else "")
        text = f"{card.text} It tells {len(self.labels)} classes: {shown}."
        facts = {**card.facts, "preprocessing": asdict(self.preprocessing)}
        return replace(card, text=text, facts=facts, opener="multiaxis.Classifier(weights={})")

    def _predict(self, sources: Sequence[Source], top: int) -> list[list[Prediction]]:
        likeliest = self.logits(sources).softmax(dim=1).topk(min(top, len(self.labels)), dim=1)
        return [
            [Prediction(i, self.labels[i], p) for i, p in zip(indices, values, strict=True)]
            for indices, values in zip(
                likeliest.indices.tolist(), likeliest.values.tolist(), strict=True
            )
        ]


def _batches(sources: Sequence[Source]) -> Iterator[Sequence[Source]]:
    for start in range(0, len(sources), _BATCH):
        yield sources[start : start + _BATCH]


def _choose(model: str | None, weights: str | Path | None) -> tuple[str | Path, Checkpoint | None]:
    """Decide on the weights; returns them and, where they are published, their card."""
    rows = [row for row in list_checkpoints() if row.preprocessing]
    if weights is None:
        wanted = model or DEFAULT_MODEL
        row = next((row for row in rows if row.model == wanted), None)
        if row is None:
            raise unknown("classifier", wanted, dict.fromkeys(row.model for row in rows))
        return row.name, row
    return weights, find_published(weights)


def _card_of(model: MaxViT) -> Checkpoint | None:
    """Find the published checkpoint that a model began with."""
    name = model.about.get("checkpoint", "")
    return find_checkpoint(name) if is_known(name) else None


def _check(wanted: str | None, model: nn.Module, weights: str | Path) -> MaxViT:
    if not isinstance(model, MaxViT):
        raise wrong_purpose(weights, "classifier", "is a MaxViT with its head")
    found = find_variant(model.config)
    if wanted not in (None, found):
        raise WeightsError(
            f"the weights {weights} are those of {found or 'no published variant'}, not of "
            f"{wanted}: leave the model out, or name other weights"
        )
    return model


def _read_stated(where: str | Path, model: MaxViT, image_size: int | None) -> Stated:
    stated, classes = read_stated(model.about, where), model.config.num_classes
    if stated.labels is not None and len(stated.labels) != classes:
        raise WeightsError(
            f"{where} names {len(stated.labels)} classes and distinguishes {classes}: export "
            "it again"
        )
    if image_size is None or stated.preprocessing is None:
        return stated
    rules = replace(stated.preprocessing, size=(image_size, image_size))
    return replace(stated, preprocessing=rules)


def _rules(
    model: MaxViT,
    card: Checkpoint | None,
    stated: Stated,
    asked: str | Preprocessing | None,
) -> Preprocessing:
    """Take what is asked for; else what is stated; else the card's, where the size is its own."""
    config = model.config
    if isinstance(asked, Preprocessing):
        return asked
    if asked is None and stated.preprocessing is not None:
        return stated.preprocessing
    side = config.image_size if stated.preprocessing is None else stated.preprocessing.size
    size = (side, side) if isinstance(side, int) else side
    if asked is None and card is not None and card.preprocessing:
        published = find_preprocessing(card.preprocessing)
        if published.size == size:
            return published
    return find_preprocessing(asked or config.flavour, size, num_classes=config.num_classes)


def _names(model: MaxViT, stated: Stated, labels: Sequence[str] | None) -> tuple[str, ...]:
    classes = model.config.num_classes
    if not classes or model.config.in_channels != 3:
        raise ConfigError(
            f"received a model of {model.config.in_channels} channels and {classes} classes: "
            "a classifier needs 3 channels and 1 class or more"
        )
    if labels is not None and len(labels) != classes:
        raise ConfigError(f"received {len(labels)} labels: the model has {classes} classes")
    labels = labels or stated.labels
    if labels is None:
        known = imagenet_labels()
        return known if classes == len(known) else tuple(f"class {i}" for i in range(classes))
    return tuple(labels)
