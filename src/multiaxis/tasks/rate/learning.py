"""From rated photographs to a rater: files, descriptions, a head, a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from multiaxis.data.pictures import read_levels
from multiaxis.errors import MultiaxisError, WeightsUnavailableError
from multiaxis.models.maxvit.backbone import Backbone
from multiaxis.progress import OnProgress, Progress
from multiaxis.tasks.rate.bursts import find_bursts
from multiaxis.tasks.rate.config import HeadConfig, RaterConfig, pooled_levels
from multiaxis.tasks.rate.features import Described, FeatureStore
from multiaxis.tasks.rate.fit import Layer
from multiaxis.tasks.rate.learn import Report, learn_closeness, learn_scores, learn_votes
from multiaxis.tasks.rate.network import ClosenessNet, RatingNet, new_network
from multiaxis.tasks.rate.ratings import (
    Choices,
    Ratings,
    check_enough,
    check_said,
    find_photos,
    rate_by_name,
    read_ratings,
)
from multiaxis.tasks.rate.scale import Scale
from multiaxis.tasks.rate.stars import read_metadata, taken_at
from multiaxis.tasks.rate.tally import Tally
from multiaxis.tasks.rate.views import differences
from multiaxis.weights.find import find_file, find_published
from multiaxis.zoo import create_named

PUBLISHED, PACKAGED = "maxvit_tiny_224_in1k", "rate-backbone"
_VIEWS = ("whole", "detail", "statistics")
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
Network = RatingNet | ClosenessNet


def learn(
    photos: str | Path | Sequence[str | Path],
    ratings: str | Path | Mapping[str, float],
    *,
    backbone: str | Path,
    scale: Scale | None,
    seed: int,
    device: torch.device,
    on_progress: OnProgress | None,
) -> tuple[Network, Report]:
    """Learn a rater; as `Rater.learn`."""
    found = find_photos(photos)
    said = (
        rate_by_name(found, ratings, scale)
        if isinstance(ratings, Mapping)
        else read_ratings(found, ratings, scale)
    )
    check_said(said)
    trunk, name, normal = open_backbone(backbone, on_progress)
    if isinstance(said, Choices) and said.references is not None:
        head = HeadConfig(kind="closeness", dropout=0.0, **normal)
        network, report = _learn_closeness(_network(trunk, head, device), said, seed, on_progress)
    else:
        kind = "votes" if isinstance(said, Ratings) else "score"
        head = HeadConfig(kind=kind, pool="levels", dropout=0.0, views=_VIEWS, **normal)
        if isinstance(said, Ratings):
            head = replace(head, scale=said.scale)
        network, report = _learn_head(_network(trunk, head, device), said, seed, on_progress)
    return network, replace(report, backbone=name)


def open_backbone(
    backbone: str | Path, on_progress: OnProgress | None = None
) -> tuple[Backbone, str, dict[str, Any]]:
    """Load a MaxViT without its head.

    Returns
    -------
    trunk : Backbone
    name : str
    normal : dict
        ``mean`` and ``std`` that it was trained with.

    Raises
    ------
    WeightsError
        If it cannot be fetched or is no MaxViT.
    """
    note = ""
    if backbone == "auto":
        try:
            find_file(PUBLISHED, on_progress=on_progress)
            backbone = PUBLISHED
        except WeightsUnavailableError:
            note = f" (the ImageNet weights {PUBLISHED} could not be fetched)"
            backbone = PACKAGED
    published = find_published(backbone)
    is_imagenet = bool(published and (published.preprocessing or "").endswith("imagenet"))
    mean, std = _IMAGENET
    normal: dict[str, Any] = {"mean": mean, "std": std} if is_imagenet else {}
    trunk: Backbone = create_named("maxvit", backbone, {}, features_only=True)
    return trunk, f"{backbone}{note}", normal


def _network(trunk: Backbone, head: HeadConfig, device: torch.device) -> Network:
    config = RaterConfig(backbone=pooled_levels(trunk.config, head), head=head)
    network = new_network(config)
    network.backbone.load_state_dict(trunk.state_dict())
    return network.to(device).eval()


def _learn_head(
    network: Network, said: Ratings | Choices, seed: int, on_progress: OnProgress | None
) -> tuple[Network, Report]:
    assert isinstance(network, RatingNet)  # noqa: S101 (as it was configured)
    tally = Tally()
    wanted = tuple(said.shares) if isinstance(said, Ratings) else said.items
    described = FeatureStore(network).describe_all(wanted, tally, on_progress)
    groups = find_bursts([_time(path) for path in described.paths], described.likeness)
    left_out = (*said.left_out, *tally.sentences)
    if isinstance(said, Ratings):
        check_enough(len(described.paths), "rated photograph", left_out)
        shares = np.stack([said.shares[path] for path in described.paths])
        layer, report = learn_votes(
            described.features, shares, said.scale, groups, seed, network.widths
        )
    else:
        rows, wins = _readable(said, described)
        check_enough(len(rows), "choice", left_out)
        layer, report = learn_scores(described.features, rows, wins, groups, seed, network.widths)
    _put(network, layer)
    return network, replace(report, left_out=left_out)


def _put(network: RatingNet, layer: Layer) -> None:
    head = network.head
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(layer.weight))
        head.bias.copy_(torch.from_numpy(layer.bias))


def _readable(said: Choices, described: Described) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Keep the choices between two photographs that could be read."""
    place = {path: k for k, path in enumerate(described.paths)}
    new = np.array([place.get(path, -1) for path in said.items], np.int64)
    rows = new[said.rows]
    kept = (rows >= 0).all(axis=1)
    return rows[kept], said.wins[kept]


def _time(path: Path) -> float | None:
    try:
        return taken_at(read_metadata(path))
    except (MultiaxisError, OSError):
        return None


def _learn_closeness(
    network: Network, said: Choices, seed: int, on_progress: OnProgress | None
) -> tuple[Network, Report]:
    assert isinstance(network, ClosenessNet)  # noqa: S101 (as it was configured)
    assert said.references is not None  # noqa: S101 (asked for only then)
    tally, found = Tally(), dict[tuple[int, int], NDArray[np.float32] | None]()
    wanted = [
        (int(reference), int(k))
        for reference, row in zip(said.references, said.rows, strict=True)
        for k in row
    ]
    for done, pair in enumerate(wanted):
        if on_progress:
            on_progress(Progress(said.items[pair[1]].name, done, len(wanted), "pictures"))
        if pair not in found:
            original, picture = (said.items[k] for k in pair)
            found[pair] = _difference(network, original, picture, tally)
    usable, both = list[int](), list[NDArray[np.float32]]()
    for k in range(len(said.rows)):
        one, other = (found[pair] for pair in wanted[2 * k : 2 * k + 2])
        if one is not None and other is not None:
            usable.append(k)
            both.append(np.stack([one, other]))
    left_out = (*said.left_out, *tally.sentences)
    check_enough(len(usable), "choice", left_out)
    layer, report = learn_closeness(
        np.stack(both), said.wins[usable], said.references[usable], seed
    )
    with torch.no_grad():
        # The layer's weights are positive; the network takes them from before the softplus.
        positive = torch.from_numpy(layer.weight[0])
        network.weight.copy_(positive + torch.log(-torch.expm1(-positive)))
        network.gain.copy_(torch.from_numpy(layer.bias)[0])
    return network, replace(report, left_out=left_out)


def _difference(
    network: ClosenessNet, reference: Path, picture: Path, tally: Tally
) -> NDArray[np.float32] | None:
    try:
        return differences(network, read_levels(reference), read_levels(picture)).numpy()
    except MultiaxisError as error:
        tally.add("picture", "is unusable", f"{picture.name} ({error})")
        return None
