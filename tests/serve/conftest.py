"""Servers for tests: in this process, or in one of their own with a socket."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette", reason="the extra serve is not installed")

from starlette.testclient import TestClient

from multiaxis.cli.app import main
from multiaxis.serve.app import make_app
from multiaxis.serve.service import Service
from multiaxis.serve.settings import Settings
from multiaxis.serve.spool import Spool

NANO = {"task": "denoise", "model": "nano"}


@dataclass
class Server:
    """A server in this process, with real worker processes."""

    client: TestClient
    service: Service

    def files(self) -> list[Path]:
        """Files of uploads and jobs in the spool."""
        return [path for path in self.service.spool.folder.rglob("files/*/*") if path.is_file()]


@contextmanager
def serving(folder: Path, **settings: Any) -> Iterator[Server]:
    """Run a server in this process."""
    chosen = Settings(spool=folder, offline=True, **settings)
    with Spool(folder) as spool:
        made: list[Service] = []

        def make() -> Any:
            made.append(Service(chosen, spool))
            return make_app(made[0])

        with TestClient(make(), base_url="http://127.0.0.1", raise_server_exceptions=False) as c:
            yield Server(c, made[0])


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that many tests share; its models are loaded once."""
    with serving(tmp_path_factory.mktemp("spool")) as server:
        yield server


@contextmanager
def command_server(*words: str, wait: bool = True, **variables: str) -> Iterator[tuple[Any, str]]:
    """Run ``multiaxis serve`` in a process of its own; give it and its address."""
    command = [sys.executable, "-m", "multiaxis", "serve", "--port", "0", "--no-open", *words]
    environment = {**os.environ, "MULTIAXIS_OFFLINE": "1", **variables}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process, process.stdout.readline().strip() if wait else ""
        finally:
            process.kill()


@pytest.fixture(scope="session")
def make_picture(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Make small photographs: smooth colours with noise."""
    folder = tmp_path_factory.mktemp("pictures")

    def make(name: str = "a.png", side: int = 32, seed: int = 0, **saving: Any) -> Path:
        path = folder / f"{seed}-{side}-{len(saving)}" / name
        if not path.exists():
            rng = np.random.default_rng(seed)
            ramp = np.linspace(40, 200, side)[:, None, None] + np.zeros((side, side, 3))
            noisy = np.clip(ramp + rng.normal(0, 20, ramp.shape), 0, 255).astype(np.uint8)
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(noisy).save(path, **saving)
        return path

    return make


def run(*words: object) -> int:
    """Run the command in this process."""
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    return int(caught.value.code or 0)


def until(check: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
    return found
