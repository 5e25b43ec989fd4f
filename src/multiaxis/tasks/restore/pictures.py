"""A picture, or a file of several, on its way through a restorer."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from multiaxis.batch.verb import File, Header, Outcome
from multiaxis.errors import ImageError
from multiaxis.files.address import Where
from multiaxis.images import (
    Frame,
    Picture,
    Several,
    check_holds,
    check_picture,
    check_several,
    decode_picture,
    encode_picture,
    encode_several,
    open_several,
    probe_file,
)
from multiaxis.progress import OnFraction, part_of
from multiaxis.tasks.restore.output import Output

if TYPE_CHECKING:
    from multiaxis.tasks.restore.restorer import Restorer


WHITE = 0.25
"""Standard deviation, of values in [0, 1], that is white in a picture of the spread."""


def check_picture_file(
    file: File, output: Output, max_megapixels: float, *, draws_several: bool = False
) -> Header:
    """Look at a picture's header, and refuse what cannot be read or written so.

    Parameters
    ----------
    file : File
    output : Output
    max_megapixels : float
    draws_several : bool
        Whether more than one file is written for it, as a refiner's answers and their spread.

    Raises
    ------
    ImageError
        Says what.
    """
    target, depth = _target(file), output.sample_type
    probe = probe_file(file.path, file.name, max_megapixels=max_megapixels)
    if isinstance(probe, Several):
        if draws_several:
            raise one_answer_only("a file of several pictures")
        check_several(target, probe, depth=depth)
        return _header(probe.probes[0].width, probe.probes[0].height, probe.count)
    check_holds(
        target,
        depth=depth or probe.depth,
        alpha=probe.alpha,
        height=probe.height,
        width=probe.width,
        extra=probe.extra,
        hdr=probe.hdr,
    )
    return _header(probe.width, probe.height)


def _target(file: File) -> Where:
    if file.output is None:
        raise ImageError(f"{file.name} has no output to be restored into")
    return file.output


def one_answer_only(thing: str) -> ImageError:
    """Make the error of what cannot have several answers."""
    return ImageError(
        f"{thing} gets one answer, and no picture of a spread: use --average, --pick sharpest or "
        "--samples 1, and leave --uncertainty out"
    )


def encode_spread(spread: NDArray[np.float32]) -> bytes:
    """Write the spread of answers as a grey PNG of 16 bits: white is `WHITE` and more."""
    levels = np.rint(np.clip(spread / WHITE, 0, 1) * 65535).astype(np.uint16)
    return encode_picture(Path("spread.png"), Picture(levels[..., None]))[0]


def _header(width: int, height: int, count: int = 1) -> Header:
    return Header(
        amount=width * height * count / 1e6,
        facts={"width": width, "height": height},
        text=f"{width}x{height}",
    )


@dataclass
class PictureWork:
    """One file: decoded, restored, to be encoded."""

    target: Where
    output: Output
    picture: Picture | None = None
    draws_spread: bool = False
    answers: list[Picture] = field(default_factory=list[Picture])
    spread: NDArray[np.float32] | None = None
    several: Several | None = None
    frames: list[Frame] = field(default_factory=list[Frame])
    lost: dict[str, None] = field(default_factory=dict[str, None])
    remarks: dict[str, None] = field(default_factory=dict[str, None])

    @classmethod
    def read(cls, file: File, output: Output, max_megapixels: float) -> PictureWork:
        """Decode a file, and refuse what its output cannot hold.

        Raises
        ------
        ImageError
            Says what.
        """
        work, data = cls(_target(file), output), file.read()
        work.several = open_several(data, file.name, max_megapixels=max_megapixels)
        if work.several:
            check_several(work.target, work.several, depth=output.sample_type)
            return work
        picture = decode_picture(data, file.name, max_megapixels=max_megapixels)
        work.picture = output.trim(picture)
        check_picture(work.target, work.picture, depth=output.sample_type)
        return work

    def run(self, restorer: Restorer, on_progress: OnFraction | None) -> None:
        """Restore it; of several, one is in memory at a time."""
        if self.picture is not None:
            self.picture, *self.answers = self._restored(restorer, self.picture, on_progress)
        elif self.several is not None:
            for index, (picture, seconds) in enumerate(self.several.pictures()):
                part = part_of(on_progress, index, self.several.count)
                restored, *_ = self._restored(restorer, self.output.trim(picture), part)
                data = self._encoded(restored)
                self.frames.append(Frame(data, seconds))

    def _restored(
        self, restorer: Restorer, picture: Picture, on_progress: OnFraction | None
    ) -> list[Picture]:
        depth = self.output.sample_type
        if restorer.sampling is None:
            made = restorer.restore_picture(picture, depth=depth, on_progress=on_progress)
            restored = [made]
        else:
            restored, self.spread = restorer.draw_pictures(
                picture, depth=depth, on_progress=on_progress
            )
        self.remarks |= dict.fromkeys(remark for one in restored for remark in one.remarks)
        return restored

    def _encoded(self, picture: Picture) -> bytes:
        data, lost = encode_picture(self.target, picture, quality=self.output.quality)
        self.lost |= dict.fromkeys(lost)
        return data

    def outcome(self) -> Outcome:
        """Encode what was restored."""
        if self.several is not None:
            data, lost = encode_several(self.target, self.frames, self.several)
            self.lost |= dict.fromkeys(lost)
        elif self.picture is not None:
            data = self._encoded(self.picture)
        else:
            raise ImageError(f"nothing was restored for {self.target}")
        more = [self._encoded(answer) for answer in self.answers]
        if self.draws_spread and self.spread is not None:
            more.append(encode_spread(self.spread))
        return Outcome(data, lost=tuple(self.lost), remarks=tuple(self.remarks), more=tuple(more))
