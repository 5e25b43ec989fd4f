"""How a picture is degraded, for batches."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from multiaxis.batch import File, Header, Outcome, Runner, Verb, Wording
from multiaxis.degrade import degrade_picture, format_chain
from multiaxis.degrade.apply import Degradation
from multiaxis.errors import ConfigError, ImageError
from multiaxis.files.address import Where
from multiaxis.images import (
    READABLE_SUFFIXES,
    Picture,
    as_file_has_it,
    check_picture,
    decode_picture,
    encode_picture,
    grey_to_rgb,
    probe_picture,
    seen_by_model,
    written_suffix,
)
from multiaxis.images.formats import READABLE_NAMES, check_holds
from multiaxis.progress import OnFraction, OnProgress


@dataclass(frozen=True)
class Degrade(Verb):
    """Degrading, as a verb of batches.

    Each picture's draws follow from the seed and its name, whatever else is in the folder.

    Attributes
    ----------
    chain : tuple of Degradation
        What happens to a picture, in this order.
    seed : int
        0 or more.

    Raises
    ------
    ConfigError
        If the chain is empty or the seed negative.
    """

    chain: tuple[Degradation, ...]
    seed: int = 0

    wording = Wording("degrade", "degrading", "degraded", "picture", READABLE_NAMES)
    suffixes = READABLE_SUFFIXES
    columns = ("width", "height", "degradations")

    def __post_init__(self) -> None:
        if not self.chain:
            raise ConfigError("--with is empty: name at least one degradation")
        if self.seed < 0:
            raise ConfigError(f"--seed is {self.seed}: accepted is 0 or more")

    def settings(self, name: str) -> Mapping[str, Any]:  # noqa: ARG002 (the same for all)
        """List what decides a result."""
        return {"chain": format_chain(self.chain), "seed": self.seed}

    def output_name(self, name: str) -> str:
        """Keep the format where it can be written."""
        path = Path(name)
        return path.stem + written_suffix(path)

    def check(self, file: File) -> Header:
        """Look at the header, and refuse what the output cannot hold."""
        found = probe_picture(file.path, file.name)
        if file.output is not None:
            check_holds(
                file.output,
                depth=found.depth,
                alpha=found.alpha,
                height=found.height,
                width=found.width,
                extra=found.extra,
                hdr=found.hdr,
            )
        return Header(
            amount=found.width * found.height / 1e6,
            facts={"width": found.width, "height": found.height},
            text=f"{found.width}x{found.height}",
        )

    def load(self, on_progress: OnProgress | None = None) -> DegradeRunner:  # noqa: ARG002
        """Load nothing."""
        return DegradeRunner(self)


@dataclass
class _Work:
    picture: Picture
    target: Where
    name: str
    seed: tuple[int, int]
    drawn: str = ""


class DegradeRunner(Runner[_Work]):
    """A chain of degradations, for one picture after the other."""

    def __init__(self, verb: Degrade) -> None:
        self.verb = verb

    def read(self, file: File) -> _Work:
        """Decode a picture."""
        if file.output is None:
            raise ImageError(f"{file.name} has no output to be degraded into")
        picture = decode_picture(file.read(), file.name)
        check_picture(file.output, picture)
        name = Path(file.name).name.encode("utf-8", "surrogateescape")
        return _Work(picture, file.output, file.name, (self.verb.seed, zlib.crc32(name)))

    def run(self, item: _Work, on_progress: OnFraction | None = None) -> _Work:  # noqa: ARG002
        """Degrade it."""
        picture = item.picture
        try:
            seen = grey_to_rgb(seen_by_model(picture))
        except ImageError as error:
            raise ImageError(f"cannot degrade {item.name}: {error}") from error
        degraded, drawn = degrade_picture(seen, self.verb.chain, item.seed)
        if picture.pixels.shape[-1] == 1:
            picture = replace(picture, pixels=grey_to_rgb(picture.pixels))
        return replace(item, picture=as_file_has_it(picture, degraded), drawn=format_chain(drawn))

    def encode(self, item: _Work) -> Outcome:
        """Encode it."""
        data, lost = encode_picture(item.target, item.picture)
        record = {"degradations": item.drawn}
        return Outcome(data, record, lost, item.picture.remarks)
