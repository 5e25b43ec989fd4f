"""Locks: held by one, freed by death, never left to lock anybody out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from multiaxis.video.hold import hold, is_free

HOLDER = """
import sys, time
from pathlib import Path
from multiaxis.video.hold import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_at_a_time_and_nothing_is_left(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with hold(path):
        assert not is_free(path)
        with pytest.raises(TimeoutError), hold(path):
            pass
    assert not path.exists()
    assert is_free(path)
    assert not path.exists()


def test_a_lock_of_the_dead_is_free(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert not is_free(path)
        holder.kill()
        holder.wait()
        assert path.exists()
        with hold(path):
            assert not is_free(path)
    assert not path.exists()


def test_a_lock_that_cannot_be_made_is_not_called_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems answer as if the folder were gone, and the lock seems to be another's."""

    def refused(*_: object, **__: object) -> None:
        raise Timeout(str(tmp_path))

    monkeypatch.setattr(FileLock, "acquire", refused)
    with pytest.raises(FileNotFoundError), hold(tmp_path / "gone" / ".lock"):
        pytest.fail("it was held")
