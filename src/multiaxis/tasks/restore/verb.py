"""How a picture or a clip goes through a restorer, for batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from multiaxis.batch.model_verb import ModelVerb
from multiaxis.batch.verb import File, Header, Outcome, Runner, Wording
from multiaxis.errors import ImageError, counted
from multiaxis.files.address import Remote
from multiaxis.images import DEFAULT_MEGAPIXELS, READABLE_SUFFIXES
from multiaxis.images.formats import READABLE_NAMES, format_of
from multiaxis.progress import OnFraction, OnProgress
from multiaxis.tasks.restore.clips import ClipOptions, ClipWork, check_clip, is_clip
from multiaxis.tasks.restore.output import Output
from multiaxis.tasks.restore.pictures import PictureWork, check_picture_file, one_answer_only
from multiaxis.tasks.restore.selection import REFINER, identity
from multiaxis.video import SUFFIXES

if TYPE_CHECKING:
    from multiaxis.tasks.restore.refine.sampling import Sampling
    from multiaxis.tasks.restore.restorer import Restorer


@dataclass(frozen=True)
class Restore(ModelVerb["Restorer"]):
    """Restoring, as a verb of batches.

    Attributes
    ----------
    arguments, loaded
        Of `Restorer`.
    output : Output
        How pictures are written.
    clips : ClipOptions
        What part of clips is restored, and how they are written.
    max_megapixels : float
        Larger pictures are refused.
    spread : str or None
        The file for the spread of answers: a PNG beside the output, or anywhere by its whole path.
    """

    output: Output = Output()  # noqa: RUF009 (frozen)
    clips: ClipOptions = ClipOptions()  # noqa: RUF009 (frozen)
    max_megapixels: float = DEFAULT_MEGAPIXELS
    spread: str | None = None

    wording = Wording(
        "restore",
        "restoring",
        "restored",
        accepts=f"{READABLE_NAMES}; clips: {', '.join(sorted(SUFFIXES))}",
        nouns=dict.fromkeys(SUFFIXES, "clip"),
    )
    suffixes = READABLE_SUFFIXES | SUFFIXES
    columns = ("width", "height", "frames")

    @property
    def beside(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The tasks, appended to the name of an output beside its input."""
        return "".join(f"_{name.strip()}" for name in str(self.arguments["task"]).split(","))

    def settings(self, name: str) -> Mapping[str, Any]:
        """List what decides an output: where and in how much memory does not."""
        kept = ("task", "dtype", "tile", "ensemble", "strength")
        found = {key: self.arguments.get(key) for key in kept}
        own = self.clips.settings() if is_clip(name) else self.output.settings()
        drawn = {} if self.sampling is None else {"sampling": self.sampling.settings()}
        weights = self.weights or (REFINER if drawn else None)
        return {**found, "weights": identity(weights), **own, **drawn}

    @property
    def sampling(self) -> Sampling | None:
        """What is drawn, if anything was asked for."""
        return self.arguments.get("sampling")

    def more_names(self, output: str) -> tuple[str, ...]:
        """Name the further answers, NAME_2 and so on, and the spread of all."""
        if self.sampling is None or is_clip(output):
            return ()
        path = PurePath(output)
        answers = range(2, self.sampling.outputs + 1)
        spread = () if self.spread is None else (self.spread,)
        return (*(f"{path.stem}_{number}{path.suffix}" for number in answers), *spread)

    def output_name(self, name: str) -> str:
        """Name the output: clips keep their suffix, pictures what is asked for."""
        if is_clip(name):
            return name
        return PurePath(name).stem + self.output.suffix(Path(name))

    def check(self, file: File) -> Header:
        """Look at the file, and refuse what cannot be restored or written so."""
        several = self.sampling is not None and self.sampling.outputs > 1
        several = several or self.spread is not None
        if is_clip(file.path.name):
            if several:
                raise one_answer_only("a clip")
            return check_clip(file, self.clips, self.output)
        return check_picture_file(file, self.output, self.max_megapixels, draws_several=several)

    def check_address(self, where: Remote) -> None:
        """Refuse clips at addresses, and names of no format that can be written."""
        if is_clip(where.name):
            raise ImageError(
                f"{where} is an address: clips are restored between local files; fetch it, and "
                "name the file"
            )
        format_of(Path(self.output_name(where.name)))

    def load(self, on_progress: OnProgress | None = None) -> RestoreRunner:
        """Load the models."""
        from multiaxis.tasks.restore.restorer import Restorer

        restorer = self.loaded or Restorer(**self.arguments, on_progress=on_progress)
        return RestoreRunner(self, restorer)


class RestoreRunner(Runner[PictureWork | ClipWork]):
    """A loaded restorer, for one file after the other."""

    def __init__(self, verb: Restore, restorer: Restorer) -> None:
        self.verb, self.restorer = verb, restorer

    def read(self, file: File) -> PictureWork | ClipWork:
        """Decode a picture, or plan a clip."""
        if is_clip(file.path.name):
            return ClipWork.open(file, self.verb.clips, self.verb.settings(file.path.name))
        work = PictureWork.read(file, self.verb.output, self.verb.max_megapixels)
        work.draws_spread = self.verb.spread is not None
        return work

    def run(
        self, item: PictureWork | ClipWork, on_progress: OnFraction | None = None
    ) -> PictureWork | ClipWork:
        """Restore it."""
        item.run(self.restorer, on_progress)
        return item

    def encode(self, item: PictureWork | ClipWork) -> Outcome:
        """Encode a picture; a clip is encoded by now."""
        return item.outcome()

    def partial(self, item: PictureWork | ClipWork) -> str:
        """Say what is kept of a clip."""
        return item.partial() if isinstance(item, ClipWork) else ""

    def describe(self) -> str:
        """Say on what, and how precisely."""
        restorer = self.restorer
        said = f"{restorer.device.type} in {str(restorer.dtype).removeprefix('torch.')}"
        if restorer.tile:
            said += f", in tiles of {restorer.tile} pixels (not the exact result)"
        if (drawn := self.verb.sampling) is not None:
            each = f"{drawn.steps} steps" + " each" * (drawn.samples > 1)
            said += f", {counted(drawn.samples, 'answer')} of {each}"
        return said
