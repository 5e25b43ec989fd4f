"""Temporary folders: gone at the end, and those of killed processes at the next start."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from multiaxis.files.address import Remote
from multiaxis.files.scratch import Scratch, open_folder

HOLD = """
import sys
from multiaxis.files.scratch import open_folder
with open_folder() as folder:
    (folder / "a.png").write_bytes(b"1")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_what_a_killed_process_left_goes_at_the_next_start(temporary: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    ) as other:
        assert other.stdout is not None
        left = Path(other.stdout.readline().strip())
        assert left.parent == temporary
        with open_folder():
            assert left.is_dir(), "its process lives"
        other.kill()
    with open_folder() as mine:
        assert list(temporary.iterdir()) == [mine]
    assert not list(temporary.iterdir())


def test_what_nobody_holds_goes_and_what_is_somebody_elses_stays(temporary: Path) -> None:
    for name in ("multiaxis-left", "multiaxis-other"):
        (temporary / name).mkdir()
    (temporary / "multiaxis-left" / ".lock").touch()  # however new it is
    with open_folder():
        pass
    assert [path.name for path in temporary.iterdir()] == ["multiaxis-other"]


def test_a_folder_that_was_cleared_before_it_was_locked_is_made_anew(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acquire, made = FileLock.acquire, list[str]()

    def acquire_late(lock: FileLock, *words: object, **options: object) -> object:
        made.append(lock.lock_file)
        held = acquire(lock, *words, **options)
        if len(made) == 1:
            shutil.rmtree(Path(lock.lock_file).parent)
        return held

    monkeypatch.setattr(FileLock, "acquire", acquire_late)
    with open_folder() as folder:
        assert [folder] == list(temporary.iterdir())
    assert len(made) == 2
    assert not list(temporary.iterdir())


def test_closed_by_another_thread_than_opened_it(temporary: Path) -> None:
    scratch = Scratch()
    opened = threading.Thread(target=lambda: scratch.place(Remote("memory://a.png")).__enter__())
    opened.start()
    opened.join()
    assert list(temporary.iterdir())
    with scratch:
        pass
    assert not list(temporary.iterdir())
