"""The published checkpoints, read from `index.json`. No tensors here."""

from __future__ import annotations

import functools
import json
import os
import re
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from multiaxis.errors import unknown


@dataclass(frozen=True)
class PublishedScore:
    """A published score.

    Attributes
    ----------
    test_set : str
    scores : dict of str to float
        ``psnr`` (dB) and ``ssim`` of restored pictures; ``top1`` (%) of classified ones.
    """

    test_set: str
    scores: dict[str, float]

    def __str__(self) -> str:
        units = {"psnr": "{:g} dB", "ssim": "{:g}", "top1": "top-1 {:g} %"}
        units |= {"correlation": "{:g}", "percent": "{:g} %"}
        return f"{self.test_set} " + " / ".join(units[k].format(v) for k, v in self.scores.items())


@dataclass(frozen=True)
class UrlSource:
    """A file at an address.

    Attributes
    ----------
    url : str
    sha256 : str or None
        Of the file, or its first digits; None where it is not known, and then nothing is compared.
    """

    url: str
    sha256: str | None = None

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class HubSource:
    """A file of a model hub's repository; the hub states its checksum.

    Attributes
    ----------
    repository, file : str
    """

    repository: str
    file: str

    @property
    def url(self) -> str:
        """Where it is; the environment variable HF_ENDPOINT names a mirror."""
        endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
        return f"{endpoint.rstrip('/')}/{self.repository}/resolve/main/{self.file}"

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class NpmSource:
    """A package of the npm registry that the user's own client is configured for.

    Attributes
    ----------
    package, version : str
    integrity : str
        ``sha512-`` and the base64 digest of the tarball, as registries state it.
    bytes : int
        Rough size of the tarball, for progress.
    licence : str
        Of the package.
    """

    package: str
    version: str
    integrity: str
    bytes: int
    licence: str

    def __str__(self) -> str:
        return f"npm package {self.package}@{self.version}"


@dataclass(frozen=True)
class PackagedSource:
    """A file that comes with the package: it is used where it lies.

    Attributes
    ----------
    file : str
        Its name in ``multiaxis/weights/packaged``.
    """

    file: str

    @property
    def path(self) -> Path:
        """Where it lies."""
        return Path(__file__).with_name("packaged") / self.file

    def __str__(self) -> str:
        return "this package"


Source = UrlSource | HubSource | NpmSource | PackagedSource


@dataclass(frozen=True)
class Checkpoint:
    """One published checkpoint.

    Attributes
    ----------
    name : str
        What `pull` and `create_model` take. A task's default checkpoint has the task's name.
    task : str
        What it is for; ``"classify"`` for all of MaxViT.
    model : str
        Name of the model that it fits.
    trained_on : str
        Data set.
    results : tuple of PublishedScore
        As published.
    licence : str
        Of the weights.
    sources : tuple of Source
        In the order of trying.
    digest : str or None
        Of the converted tensors (`store.digest`) as far as the npm package holds them.
    config : dict of str to value
        Fields that its arrays do not show, such as the image size.
    preprocessing : str or None
        How pictures are prepared for it: a name of `multiaxis.tasks.classify.PREPROCESSINGS`.
    alias : str or None
        timm's name, which is understood too.
    by_hand : str or None
        Where else it is published, in a form that is not fetched by itself.
    """

    name: str
    task: str
    model: str
    trained_on: str
    results: tuple[PublishedScore, ...]
    licence: str
    sources: tuple[Source, ...]
    digest: str | None = None
    config: dict[str, Any] = field(default_factory=dict[str, Any])
    preprocessing: str | None = None
    alias: str | None = None
    by_hand: str | None = None

    @property
    def packaged(self) -> Path | None:
        """The file that comes with the package, where there is one."""
        own = [source.path for source in self.sources if isinstance(source, PackagedSource)]
        return own[0] if own else None


@functools.cache
def _checkpoints() -> dict[str, Checkpoint]:
    text = resources.files("multiaxis.weights").joinpath("index.json").read_text("utf-8")
    return {row["name"]: _checkpoint(row) for row in json.loads(text)["checkpoints"]}


def _checkpoint(row: dict[str, Any]) -> Checkpoint:
    kinds = {"url": UrlSource, "hub": HubSource, "npm": NpmSource, "packaged": PackagedSource}
    sources = tuple(
        kinds[source["kind"]](**{k: v for k, v in source.items() if k != "kind"})
        for source in row["sources"]
    )
    results = tuple(
        PublishedScore(result["test_set"], {k: v for k, v in result.items() if k != "test_set"})
        for result in row["results"]
    )
    fields: dict[str, Any] = {**row, "results": results, "sources": sources}
    return Checkpoint(**fields)


def list_checkpoints(task: str | None = None) -> list[Checkpoint]:
    """List the published checkpoints of all tasks, or of one."""
    rows = list(_checkpoints().values())
    if task is None:
        return rows
    check_task(task)
    return [row for row in rows if row.task == task]


def list_tasks() -> list[str]:
    """Name the tasks that have a default checkpoint."""
    return [name for name, row in _checkpoints().items() if name == row.task]


def check_task(task: object) -> None:
    """Refuse what is no task's name.

    Raises
    ------
    ConfigError
        If it is unknown; the nearest names are given.
    """
    if task not in list_tasks():
        raise unknown("task", task, list_tasks())


def find_checkpoint(name: str) -> Checkpoint:
    """Look a checkpoint up, by our name or by timm's in any of its forms.

    Raises
    ------
    ConfigError
        If it is unknown; the nearest names are given.

    Examples
    --------
    >>> find_checkpoint("hf-hub:timm/maxvit_tiny_tf_224.in1k").name
    'maxvit_tiny_224_in1k'
    """
    rows = _checkpoints()
    ours = _names().get(_bare(name))
    if ours is None:
        raise unknown("checkpoint", name, _names())
    return rows[ours]


def is_known(name: str) -> bool:
    """Tell whether a name is that of a checkpoint, ours or timm's."""
    return _bare(name) in _names()


def _bare(name: str) -> str:
    return re.sub(r"^(hf[-_]hub:)?timm/", "", name)


@functools.cache
def _names() -> dict[str, str]:
    """Map every name to ours. timm's without a tag is that of its first, as in timm."""
    names: dict[str, str] = {}
    for row in _checkpoints().values():
        if row.alias:
            names[row.alias] = row.name
            names.setdefault(row.alias.partition(".")[0], row.name)
    return names | {name: name for name in _checkpoints()}
