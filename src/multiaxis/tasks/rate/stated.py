"""What the weights of a rater state in their metadata: its configuration, and how it was learnt."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from multiaxis.errors import ConfigError, WeightsError
from multiaxis.tasks.rate.config import RaterConfig
from multiaxis.weights.contents import read_metadata
from multiaxis.weights.purpose import wrong_purpose

_KEY = "rater"


@dataclass(frozen=True)
class Stated:
    """What a file says.

    Attributes
    ----------
    config : RaterConfig
    report : mapping or None
        Of the learning, as far as there is one.
    """

    config: RaterConfig
    report: dict[str, Any] | None


def write_stated(config: RaterConfig, report: dict[str, Any] | None) -> dict[str, str]:
    """Put into metadata what a rater is."""
    return {"config": json.dumps(asdict(config)), _KEY: json.dumps({"report": _plain(report)})}


def mark() -> dict[str, str]:
    """Say that weights are a rater's; the training adds the configuration."""
    return {_KEY: json.dumps({"report": None})}


def read_stated(path: Path) -> Stated:
    """Read what a file states.

    Raises
    ------
    WeightsError
        If it cannot be read, is of no rater, or states what cannot be understood.
    """
    metadata = read_metadata(path)
    if _KEY not in metadata or "config" not in metadata:
        written = "is what multiaxis rate learn or a training such as rate-folder writes"
        raise wrong_purpose(path, "rater", written)
    try:
        config = RaterConfig.from_fields(json.loads(metadata["config"]))
        report = json.loads(metadata[_KEY])["report"]
    except (ValueError, KeyError, TypeError, ConfigError) as error:
        raise WeightsError(
            f"{path} states a rater that is unknown to this version ({error}): learn it again, or "
            "update multiaxis"
        ) from error
    return Stated(config, report)


def _plain(value: Any) -> Any:
    """Give what JSON holds: no number is none."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value
