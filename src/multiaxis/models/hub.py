"""Models on a hub of models, by the mixin of huggingface_hub. It is imported on first use."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from multiaxis.errors import MissingExtraError, MultiaxisError, WeightsError

FILE = "model.safetensors"
"""What the weights of a model are called in a folder, or in a repository of a hub."""

PREFIX = "hf-hub:"
"""Before the name of a repository, where a file could be meant."""

_CARD = """---
{{ card_data }}
---

# {{ title }}

{{ text }}

```python
{{ example }}
```

`model.safetensors` states its configuration, and what else is known of it.

## Configuration

{{ facts }}
"""


@dataclass(frozen=True)
class Card:
    """What the card of a model says.

    Attributes
    ----------
    title, text : str
    task : str
        What it does, in the hub's words, such as ``"image-classification"``.
    tags : tuple of str
    opener : str
        The Python expression that opens it; ``{}`` stands for its place.
    facts : mapping of str to value
        Its configuration, and what else there is to list.
    """

    title: str
    text: str
    task: str
    tags: tuple[str, ...]
    opener: str
    facts: Mapping[str, Any]


class Shared:
    """What can be saved in a folder, or on a hub of models, and opened from there."""

    @abstractmethod
    def save(self, path: str | Path) -> None:
        """Write a .safetensors file that `open_file` opens."""

    @classmethod
    @abstractmethod
    def open_file(cls, path: Path, **options: Any) -> Self:
        """Open what `save` wrote."""

    @abstractmethod
    def card(self) -> Card:
        """Say what the card says."""

    def save_pretrained(self, folder: str | Path, *, repo_id: str | None = None) -> None:
        """Save into a folder: ``model.safetensors``, ``config.json`` and a card, ``README.md``.

        Parameters
        ----------
        folder : str or Path
            Made if it does not exist. A card that lies there stays.
        repo_id : str, optional
            The repository that the folder is for, such as ``"me/flowers"``: the card names it.

        Raises
        ------
        MissingExtraError
            If huggingface_hub is not installed.
        """
        place = str(folder) if repo_id is None else f"{PREFIX}{repo_id}"
        facts, named = self.card().facts, {"place": place}
        _mixin()(self).save_pretrained(folder, config=dict(facts), model_card_kwargs=named)

    def push_to_hub(self, repo_id: str, **options: Any) -> str:
        """Save into a repository of a hub, which is made if it does not exist.

        Parameters
        ----------
        repo_id : str
            Such as ``"me/flowers"``.
        **options
            Those of `huggingface_hub.ModelHubMixin.push_to_hub`, such as `private`, `token`,
            `branch` and `commit_message`.

        Returns
        -------
        str
            Where the commit is.

        Raises
        ------
        MissingExtraError
            If huggingface_hub is not installed.
        """
        facts, named = self.card().facts, {"place": f"{PREFIX}{repo_id}"}
        options = {"config": dict(facts), "model_card_kwargs": named, **options}
        return _mixin()(self).push_to_hub(repo_id, **options)

    @classmethod
    def from_pretrained(
        cls,
        place: str | Path,
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
        **options: Any,
    ) -> Self:
        """Open what `save_pretrained` or `push_to_hub` saved.

        Parameters
        ----------
        place : str or Path
            A folder, or a repository of a hub, such as ``"me/flowers"``.
        revision, token, cache_dir, force_download, local_files_only
            As huggingface_hub takes them.
        **options
            For a model, fields that replace what the file states, such as `num_classes`; for a
            `Classifier`, its own options.

        Raises
        ------
        MissingExtraError
            If huggingface_hub is not installed.
        WeightsError
            If nothing is there, or it is another kind of model.
        """
        with _fetching(place):
            found = _mixin().from_pretrained(
                str(place),
                revision=revision,
                token=token,
                cache_dir=cache_dir,
                force_download=force_download,
                local_files_only=local_files_only,
                opener=functools.partial(cls.open_file, **options),
            )
        return found.shared


def download(repo_id: str, **options: Any) -> Path:
    """Fetch the weights of a repository of a hub into the hub's own cache.

    Parameters
    ----------
    repo_id : str
    **options
        Those of `huggingface_hub.hf_hub_download`.

    Raises
    ------
    MissingExtraError
        If huggingface_hub is not installed.
    WeightsError
        If they cannot be fetched.
    """
    with _fetching(repo_id):
        return Path(_hub().hf_hub_download(repo_id, FILE, **options))


@contextmanager
def _fetching(place: str | Path) -> Generator[None]:
    try:
        yield
    except MultiaxisError:
        raise
    except (OSError, ValueError) as error:  # all of the hub's errors are of these
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise WeightsError(
            f"{place} is no folder, and cannot be fetched from the hub ({reason}): check the name "
            "and the connection"
        ) from error


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise MissingExtraError(
            "models on a hub need huggingface_hub: pip install 'multiaxis[hub]'"
        ) from error
    return huggingface_hub


@functools.cache
def _mixin() -> Any:
    """Join the hub's mixin with what it saves: it keeps config.json, the card and the upload."""
    hub = _hub()

    class OnHub(hub.ModelHubMixin):
        def __init__(self, shared: Shared) -> None:
            self.shared = shared

        def _save_pretrained(self, save_directory: Path) -> None:
            self.shared.save(save_directory / FILE)

        @classmethod
        def _from_pretrained(cls, *, model_id: str, opener: Any, **options: Any) -> OnHub:
            folder = Path(model_id)
            file = folder / FILE if folder.is_dir() else download(model_id, **options)
            return cls(opener(file))

        def generate_model_card(self, *, place: str) -> Any:
            card = self.shared.card()
            return hub.ModelCard.from_template(
                hub.ModelCardData(
                    library_name="multiaxis", pipeline_tag=card.task, tags=list(card.tags)
                ),
                template_str=_CARD,
                title=card.title,
                text=card.text,
                example=f"import multiaxis\n\nmodel = {card.opener.format(repr(place))}",
                facts="\n".join(f"- {name}: `{value}`" for name, value in card.facts.items()),
            )

    return OnHub
