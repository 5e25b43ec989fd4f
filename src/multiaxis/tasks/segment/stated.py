"""What the weights of a segmenter state in their metadata: its configuration and its classes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from multiaxis.errors import ConfigError, WeightsError
from multiaxis.tasks.segment.classes import Classes, Numbers
from multiaxis.tasks.segment.config import SegmenterConfig
from multiaxis.weights.contents import read_metadata
from multiaxis.weights.purpose import wrong_purpose

_KEY = "segmenter"


@dataclass(frozen=True)
class Stated:
    """What a file says.

    Attributes
    ----------
    config : SegmenterConfig
    classes : Classes
    numbers : Numbers
        Of the classes in the label files of its training.
    """

    config: SegmenterConfig
    classes: Classes
    numbers: Numbers


def write_stated(classes: Classes, numbers: Numbers) -> dict[str, str]:
    """Put into metadata what classes are called; the training adds the configuration."""
    return {_KEY: json.dumps({"classes": asdict(classes), "numbers": asdict(numbers)})}


def read_stated(path: Path) -> Stated:
    """Read what a file states.

    Raises
    ------
    WeightsError
        If it cannot be read, is of no segmenter, or states what cannot be understood.
    """
    metadata = read_metadata(path)
    if _KEY not in metadata or "config" not in metadata:
        written = "is what a training such as multiaxis train segment-folder writes"
        raise wrong_purpose(path, "segmenter", written)
    try:
        config = SegmenterConfig.from_fields(json.loads(metadata["config"]))
        about = json.loads(metadata[_KEY])
        classes, numbers = Classes(**about["classes"]), Numbers(**about["numbers"])
    except (ValueError, KeyError, TypeError, IndexError, ConfigError) as error:
        raise WeightsError(
            f"{path} states a segmenter that is unknown to this version ({error}): export it "
            "again, or update multiaxis"
        ) from error
    if len(classes) != config.num_classes:
        raise WeightsError(
            f"{path} names {len(classes)} classes and distinguishes {config.num_classes}: export "
            "it again"
        )
    return Stated(config, classes, numbers)
