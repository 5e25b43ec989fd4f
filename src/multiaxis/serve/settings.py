"""What a server may take: addresses, memory, queue, spool. Checked before anything is opened."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from multiaxis.errors import ConfigError
from multiaxis.images import DEFAULT_MEGAPIXELS
from multiaxis.memory import parse_bytes

PORT = 8460
_LEAST_TOKEN = 16


@dataclass(frozen=True)
class Settings:
    """How a server runs.

    Attributes
    ----------
    host : str
        Address or name to listen on.
    port : int
        0 takes a free one.
    token : str or None
        What every request must bring; needed where others reach the host.
    models : int
        Models that each worker holds in memory.
    max_megapixels : float
        Larger pictures are refused before they are decoded.
    max_upload : str or int
        Bytes of one upload.
    memory : str or int or None
        Bytes that the workers may hold together; None for the free memory.
    queue : int
        Jobs that may wait.
    workers : int
        Processes that restore, one picture each at a time.
    device, dtype : str
        As in `Restorer`.
    offline : bool
        Whether to use only weights that are in the cache.
    spool : Path or None
        Folder for uploads and results; None for one in the cache.
    keep_hours : float
        After so long, what is finished is removed.
    spool_size : str or int
        Bytes that the spool may take; what was finished first goes first.

    Raises
    ------
    ConfigError
        If a value cannot work.
    """

    host: str = "127.0.0.1"
    port: int = PORT
    token: str | None = None
    models: int = 2
    max_megapixels: float = DEFAULT_MEGAPIXELS
    max_upload: str | int = "2GB"
    memory: str | int | None = None
    queue: int = 64
    workers: int = 1
    device: str = "auto"
    dtype: str = "float32"
    offline: bool = False
    spool: Path | None = None
    keep_hours: float = 24.0
    spool_size: str | int = "20GB"

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("port", self.port, 0, 65535),
            ("models", self.models, 1, 100),
            ("queue", self.queue, 1, 100_000),
            ("workers", self.workers, 1, 64),
        ):
            if not least <= value <= most:
                raise ConfigError(f"--{name} is {value}: accepted is {least} to {most}")
        for name, number in (
            ("max-megapixels", self.max_megapixels),
            ("keep-hours", self.keep_hours),
        ):
            if not number > 0:
                raise ConfigError(f"--{name} is {number:g}: accepted is a positive number")
        for amount in (self.max_upload, self.spool_size):
            parse_bytes(amount)
        if self.memory is not None:
            parse_bytes(self.memory)
        if self.token is not None and (not self.token.isascii() or not self.token.isprintable()):
            raise ConfigError("the token holds other characters than printable ASCII: choose those")
        if not self.is_local and len(self.token or "") < _LEAST_TOKEN:
            raise ConfigError(
                f"--host {self.host} can be reached from other machines: set a token of "
                f"{_LEAST_TOKEN} characters or more, in the environment variable MULTIAXIS_TOKEN "
                "or with --token, or listen on 127.0.0.1"
            )

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches the host."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def memory_of_worker(self) -> int | None:
        """Bytes that each worker may hold, where a limit was given."""
        return None if self.memory is None else parse_bytes(self.memory) // self.workers

    @property
    def max_bytes(self) -> int:
        """Bytes of one upload."""
        return parse_bytes(self.max_upload)

    @property
    def spool_bytes(self) -> int:
        """Bytes that the spool may take."""
        return parse_bytes(self.spool_size)
