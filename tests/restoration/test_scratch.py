"""Temporary folders: gone at the end, and those of killed processes at the next start."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

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


def age(folder: Path) -> None:
    os.utime(folder, (0, 0))


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
        age(left)
        with open_folder():
            assert left.is_dir(), "its process lives"
        other.kill()
    with open_folder() as mine:
        assert list(temporary.iterdir()) == [mine]
    assert not list(temporary.iterdir())


def test_what_is_new_or_somebody_elses_stays(temporary: Path) -> None:
    for name in ("multiaxis-new", "multiaxis-other"):
        (temporary / name).mkdir()
    (temporary / "multiaxis-new" / ".lock").touch()
    age(temporary / "multiaxis-other")  # nothing in it says that it is ours
    with open_folder():
        pass
    assert len(list(temporary.iterdir())) == 2


def test_closed_by_another_thread_than_opened_it(temporary: Path) -> None:
    scratch = Scratch()
    opened = threading.Thread(target=lambda: scratch.place(Remote("memory://a.png")).__enter__())
    opened.start()
    opened.join()
    assert list(temporary.iterdir())
    with scratch:
        pass
    assert not list(temporary.iterdir())
