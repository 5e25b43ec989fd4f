"""A rater: learnt from what people said of photographs, and asked about others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from multiaxis.data.pictures import levels_of
from multiaxis.deploy.fold import folded
from multiaxis.devices import find_device, find_dtype
from multiaxis.errors import ConfigError
from multiaxis.images.sources import Source, to_picture
from multiaxis.models.store import as_named, fill, write_safetensors
from multiaxis.progress import OnProgress
from multiaxis.tasks.rate.learn import Report
from multiaxis.tasks.rate.network import ClosenessNet, RatingNet, new_network
from multiaxis.tasks.rate.scale import Scale, Shares
from multiaxis.tasks.rate.stated import read_stated, write_stated
from multiaxis.tasks.rate.views import Pixels, describe, differences
from multiaxis.weights.contents import read_contents
from multiaxis.weights.find import find_file


@dataclass(frozen=True)
class Rating:
    """What a picture may be rated.

    Attributes
    ----------
    score : float
        Mean of the expected votes, on the scale; or, of a rater that learnt from choices, a number
        that means something only beside those of other pictures.
    spread : float
        Standard deviation of the votes; NaN without votes.
    shares : tuple of float
        Of the votes for each value of the scale; empty without votes.
    """

    score: float
    spread: float = float("nan")
    shares: tuple[float, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """Which of two pictures is nearer to their original.

    Attributes
    ----------
    a, b : float
        Distances from the original; less is nearer.
    probability : float
        That people prefer the first.
    """

    a: float
    b: float
    probability: float


class Rater:
    """Tells how good pictures are, as it has learnt from people's ratings.

    Parameters
    ----------
    weights : str or Path
        A file that `save`, ``multiaxis rate learn`` or a training such as ``rate-folder`` wrote.
    device, dtype
        As of `multiaxis.Classifier`.

    Attributes
    ----------
    model : RatingNet or ClosenessNet
        As it was loaded. A copy rates, with its batch norms folded: change nothing here.
    report : Report or None
        How well it predicts what it did not learn from, where it was learnt here.
    scale : Scale
    device : torch.device
    dtype : torch.dtype

    Raises
    ------
    ConfigError
        If the device does not exist.
    WeightsError
        If the file cannot be read or holds no rater.

    Examples
    --------
    >>> rater = Rater.learn("rated/", "xmp")  # doctest: +SKIP
    >>> [(path.name, rating.score) for path, rating in rater.rank("new/")[:3]]  # doctest: +SKIP
    [('a.jpg', 4.21), ('c.jpg', 3.9), ('b.jpg', 3.35)]
    """

    def __init__(
        self,
        weights: str | Path,
        *,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "float32",
    ) -> None:
        model, report = load_network(Path(weights))
        self._start(model, report, device, dtype)

    def _start(
        self,
        model: RatingNet | ClosenessNet,
        report: Report | None,
        device: str | torch.device,
        dtype: str | torch.dtype,
    ) -> None:
        self.device = find_device(device)
        self.dtype = find_dtype(dtype, self.device)
        self.report = report
        self.model = model.to(self.device).eval()
        self._folded = folded(self.model).to(self.dtype)
        self.model = self.model.to(self.dtype)

    @classmethod
    def learn(
        cls,
        photos: str | Path | Sequence[str | Path],
        ratings: str | Path | Mapping[str, float] = "xmp",
        *,
        backbone: str | Path = "auto",
        scale: Sequence[float] | None = None,
        seed: int = 0,
        device: str | torch.device = "auto",
        on_progress: OnProgress | None = None,
    ) -> Rater:
        """Learn from rated photographs: a head on a backbone that stays as it is.

        Parameters
        ----------
        photos : path, or sequence of paths
            A folder, with those inside it, or files.
        ratings : str, Path or mapping
            ``"xmp"``: the stars in and beside the files. ``"folders"``: names of their folders, 1
            to 5. A table of scores, votes or choices. Or scores by path or name.
        backbone : str or Path
            A published checkpoint of a MaxViT or a file. ``"auto"``: MaxViT-tiny's ImageNet
            weights if they are there or can be had, else the small one of the package.
        scale : sequence of float, optional
            Values that ratings may have; by default those that they seem to have.
        seed : int
            Of which photographs are held out.
        device : str or torch.device
        on_progress : callable, optional
            Receives `Progress` in pictures, and in bytes while weights are fetched.

        Returns
        -------
        Rater
            Its `report` says how well it predicts photographs that it did not learn from.

        Raises
        ------
        DataError
            If too little can be used, with what was left out and why.
        """
        from multiaxis.tasks.rate.learning import learn

        model, report = learn(
            photos,
            ratings,
            backbone=backbone,
            scale=None if scale is None else Scale(tuple(scale)),
            seed=seed,
            device=find_device(device),
            on_progress=on_progress,
        )
        found = cls.__new__(cls)
        found._start(model, report, device, "float32")
        return found

    @classmethod
    def for_comparing(cls, **options: Any) -> Rater:
        """Open the rater that comes with the package, which compares pictures with originals.

        Parameters
        ----------
        **options
            `device` and `dtype`.
        """
        return cls(find_file("rate-closeness"), **options)

    @property
    def scale(self) -> Scale:
        """What its ratings count."""
        return self.model.config.head.scale

    @overload
    def rate(self, source: Source) -> Rating: ...

    @overload
    def rate(self, source: Sequence[Source]) -> list[Rating]: ...

    def rate(self, source: Source | Sequence[Source]) -> Rating | list[Rating]:
        """Rate a picture, or each of several.

        Parameters
        ----------
        source : path, PIL.Image.Image, Picture or ndarray; or a list or tuple of them
            Arrays: (height, width) or (height, width, 1 to 4 channels), uint8, uint16 or floats in
            [0, 1]. Alpha is ignored; profiles are converted to sRGB.

        Raises
        ------
        ConfigError
            If the rater compares pictures with originals.
        ImageError
            If a picture cannot be read.
        ShapeError
            If an array is no picture, or one side is more than 100 times the other.
        """
        if isinstance(source, list | tuple):
            return [self.rate_pixels(_pixels(one)) for one in source]
        return self.rate_pixels(_pixels(source))  # pyright: ignore[reportArgumentType]

    def rate_pixels(self, pixels: Pixels) -> Rating:
        """Rate an upright picture in sRGB: uint8, (height, width, 3)."""
        if not isinstance(self._folded, RatingNet):
            raise ConfigError(
                "this rater compares pictures with their originals: use compare, or learn from "
                "ratings of single photographs"
            )
        described = describe(self._folded, pixels)[None].to(self.device, self.dtype)
        with torch.inference_mode():
            found = self.model.answer(described)[0].double().cpu()
        if self.model.config.head.kind == "score":
            return Rating(float(found))
        shares: Shares = found.softmax(dim=0).numpy()
        return Rating(self.scale.mean(shares), self.scale.spread(shares), tuple(shares.tolist()))

    def rank(self, photos: str | Path | Iterable[str | Path]) -> list[tuple[Path, Rating]]:
        """Rate the photographs of a folder, or some files, and sort them, the best first.

        Raises
        ------
        DataError
            If there are none.
        ImageError
            If one cannot be read; ``multiaxis rate`` goes on with the others.
        """
        from multiaxis.tasks.rate.ratings import find_photos

        given = photos if isinstance(photos, str | Path) else list(photos)
        rated = [(path, self.rate(path)) for path in find_photos(given).paths]
        return sorted(rated, key=lambda pair: -pair[1].score)

    def distance(self, reference: Source, picture: Source) -> float:
        """Tell how far a picture is from its original, as people would see it.

        Raises
        ------
        ConfigError
            If the rater learnt from ratings of single pictures.
        ShapeError
            If the sizes differ.
        """
        if not isinstance(self._folded, ClosenessNet):
            raise ConfigError(
                "this rater rates single pictures: comparing with an original needs one that "
                "learnt from choices with a reference (docs/rate.md)"
            )
        found = differences(self._folded, _pixels(reference), _pixels(picture))
        with torch.inference_mode():
            answer: Tensor = self.model.answer(found[None].to(self.device, self.dtype))
        return float(answer[0])

    def compare(self, reference: Source, a: Source, b: Source) -> Comparison:
        """Tell which of two pictures people would find nearer to their original.

        Raises
        ------
        ConfigError, ShapeError
            As `distance`.
        """
        one, other = self.distance(reference, a), self.distance(reference, b)
        return Comparison(one, other, float(1 / (1 + np.exp(np.clip(one - other, -500, 500)))))

    def save(self, path: str | Path) -> None:
        """Write all of it, for ``Rater(path)``.

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
        path = as_named(path)
        tensors = {n: x.detach().float().cpu() for n, x in self.model.state_dict().items()}
        report = None if self.report is None else asdict(self.report)
        write_safetensors(path, tensors, write_stated(self.model.config, report))


def load_network(path: Path) -> tuple[RatingNet | ClosenessNet, Report | None]:
    """Load what `Rater.save` or a training wrote, on the processor.

    Raises
    ------
    WeightsError
        If the file cannot be read, is of no rater, or has other tensors than it states.
    """
    stated = read_stated(path)
    model = new_network(stated.config)
    tensors = {name: torch.as_tensor(x) for name, x in read_contents(path).arrays.items()}
    fill(model, tensors, path, "rater")
    return model.eval(), _report(stated.report)


def _report(fields: dict[str, Any] | None) -> Report | None:
    if fields is None:
        return None
    nan = float("nan")
    known: dict[str, Any] = {n: nan if value is None else value for n, value in fields.items()}
    for name in ("interval", "left_out"):
        known[name] = tuple(nan if one is None else one for one in known.get(name, ()))
    try:
        return Report(**known)
    except TypeError:  # of another version: the rater works without it
        return None


def _pixels(source: Source) -> Pixels:
    return levels_of(to_picture(source))
