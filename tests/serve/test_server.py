"""The command: over a real socket, with signals, restarts and clients that stall."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from multiaxis.serve import server as serving_module
from multiaxis.serve.server import listening
from multiaxis.serve.settings import Settings

from .conftest import NANO, command_server, run, until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
Make = Callable[..., Path]


def post(address: str, path: Path, **headers: str) -> httpx.Response:
    files = {"file": (path.name, path.read_bytes())}
    url = f"{address}v1/restore"
    return httpx.post(url, data=NANO, files=files, headers=headers, timeout=60)


def state(address: str, job: dict[str, Any]) -> dict[str, Any]:
    return httpx.get(f"{address}v1/jobs/{job['id']}").json()


@pytest.mark.thorough
def test_a_server_restores_over_a_socket_and_ends_in_good_order(
    make_picture: Make, tmp_path: Path
) -> None:
    path, spool = make_picture("a.jpg"), tmp_path / "spool"
    with command_server("--spool", str(spool)) as (process, address):
        answer = post(address, path)
        run("restore", path, "--task", "denoise", "--model", "nano", "-o", tmp_path / "a.jpg")
        assert answer.content == (tmp_path / "a.jpg").read_bytes()
        waiting = post(address, make_picture(side=300), prefer="respond-async").json()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert "left to the next one" in process.stderr.read()
    assert all(path.stat().st_mode & 0o077 == 0 for path in spool.rglob("*"))
    assert spool.stat().st_mode & 0o077 == 0
    assert (spool / "records" / f"{waiting['id']}.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_waits_is_done_by_the_next_server(
    make_picture: Make, tmp_path: Path, number: signal.Signals
) -> None:
    small, large, spool = make_picture("a.jpg"), make_picture(side=700), tmp_path / "spool"
    with command_server("--spool", str(spool)) as (process, address):
        done = post(address, small)
        running = post(address, large, prefer="respond-async").json()
        waiting = post(address, small, prefer="respond-async").json()
        until(lambda: state(address, running)["progress"] > 0, 120)
        process.send_signal(number)
        assert process.wait(30) == 0
    with command_server("--spool", str(spool)) as (process, address):
        found = httpx.get(f"{address[:-1]}{done.headers['location']}/result")
        assert found.content == done.content
        for job in (running, waiting):
            until(lambda job=job: state(address, job)["state"] == "done", 300)
        process.send_signal(number)
        process.wait(30)


@pytest.mark.slow
def test_a_killed_server_leaves_no_process_and_its_jobs_are_done_later(
    make_picture: Make, tmp_path: Path
) -> None:
    large, spool = make_picture(side=400), tmp_path / "spool"
    with command_server("--spool", str(spool)) as (process, address):
        job = post(address, large, prefer="respond-async").json()
        until(lambda: state(address, job)["progress"] > 0, 120)
        found = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, check=True
        )
        children = [int(line) for line in found.stdout.split()]
        process.kill()
        process.wait()
    until(lambda: not any(Path(f"/proc/{child}/stat").exists() for child in children))
    with command_server("--spool", str(spool)) as (process, address):
        until(lambda: state(address, job)["state"] == "done", 300)
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def test_a_port_in_use_and_hosts_that_are_not_here(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert run("serve", "--port", port, "--spool", tmp_path, "--no-open") == 2
    said = capsys.readouterr().err
    assert f"port {port} of 127.0.0.1 is in use" in said
    assert "pass another --port" in said
    token = "x" * 16
    for host, part in (("203.0.113.7", "no address of this machine"), ("no such", "no host")):
        words = ("--host", host, "--token", token, "--spool", tmp_path, "--port", 0)
        assert run("serve", *words) == 2
        assert part in capsys.readouterr().err
    assert run("serve", "--host", "0.0.0.0") == 2
    assert "set a token" in capsys.readouterr().err


def test_a_spool_is_used_by_one_server_and_named_if_it_cannot_be(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from multiaxis.serve.spool import Spool

    with Spool(tmp_path / "spool"):
        assert run("serve", "--spool", tmp_path / "spool", "--port", 0) == 2
        assert "is used by another server" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert run("serve", "--spool", tmp_path / "file" / "x", "--port", 0) == 2
    assert "choose another with --spool" in capsys.readouterr().err


def test_a_missing_package_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['uvicorn'] = None\n"
        "from multiaxis.cli.app import main; main(['serve'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'multiaxis[serve]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.thorough
def test_the_server_itself_loads_no_torch() -> None:
    code = "import sys, multiaxis.serve.server as s; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[int]:
    """A server in a thread whose patience is short; its port."""
    import asyncio
    import threading

    from multiaxis.serve.spool import Spool

    monkeypatch.setattr(serving_module, "_PATIENCE", 0.3)
    settings = Settings(spool=tmp_path / "spool", port=0, offline=True)
    ready: list[Any] = []
    with Spool(settings.spool) as spool, listening(settings) as sock:
        port = sock.getsockname()[1]

        def work() -> None:
            async def main() -> None:
                loop = asyncio.get_running_loop()
                task = asyncio.current_task()
                await serving_module._serve(
                    settings, spool, sock, lambda: ready.append((loop, task))
                )

            with pytest.raises(asyncio.CancelledError):
                asyncio.run(main())

        thread = threading.Thread(target=work)
        thread.start()
        loop, task = until(lambda: ready)[0]
        yield port
        loop.call_soon_threadsafe(task.cancel)
        thread.join()


@pytest.mark.thorough
@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\nHost: local"])
def test_a_client_that_does_not_finish_its_request_is_sent_away(
    impatient: int, start: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", impatient), timeout=10) as client:
        client.sendall(start)
        begun = time.monotonic()
        with suppress(ConnectionResetError):
            assert client.recv(100) == b""
        assert time.monotonic() - begun < 5
    answer = httpx.get(f"http://127.0.0.1:{impatient}/health")
    assert answer.status_code == 200


@pytest.mark.thorough
def test_a_client_that_reads_nothing_is_sent_away(impatient: int) -> None:
    request = b"GET /page.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        client.connect(("127.0.0.1", impatient))
        client.settimeout(0.1)

        def is_sent_away() -> bool:
            try:
                client.sendall(request * 50)
            except TimeoutError:  # the server reads no more either
                return False
            except OSError:
                return True
            return False

        until(is_sent_away)


def test_addresses_name_the_token_where_browsers_keep_it() -> None:
    settings = Settings(host="0.0.0.0", token="t" * 16)
    address = serving_module._address(settings, "0.0.0.0", 80)
    assert urlsplit(address).fragment == "token=" + "t" * 16
    assert "0.0.0.0" not in address
    assert serving_module._address(Settings(), "::1", 8460) == "http://[::1]:8460/"
