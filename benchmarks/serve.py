"""A server under load: latency, throughput, memory, and what hostile clients leave behind.

    python benchmarks/serve.py [--requests 200] [--clients 20] [--pictures 500] [--hostile 10000]

Everything goes to a server of its own on 127.0.0.1, with the small denoiser, and ends with it. The
plain command restores the same pictures in the same run, for comparison.
"""

from __future__ import annotations

import argparse
import http.client
import io
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

WORDS = "task=denoise&model=nano"
_HALF = b"POST /v1/restore HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n\r\nabc"
ENVIRONMENT = {**os.environ, "MULTIAXIS_OFFLINE": "1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--hostile", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=96, help="pixels of each picture's side")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pictures = make_pictures(folder / "in", options.requests, options.side)
        expected = plain_command(folder)
        words = [sys.executable, "-m", "multiaxis", "serve", "--port", "0", "--no-open"]
        words += ["--spool", str(folder / "spool")]
        with subprocess.Popen(words, stdout=subprocess.PIPE, env=ENVIRONMENT) as process:
            try:
                address = urlsplit(process.stdout.readline().decode().strip()).netloc
                send(address, pictures[0])  # the model is loaded
                load(address, pictures, options.clients, expected)
                plain_command(folder)  # again: the machine may have other work, too
                if options.pictures:
                    memory(address, pictures, options.pictures)
                if options.hostile:
                    hostile(address, folder / "spool", options.hostile)
            finally:
                process.terminate()


def make_pictures(folder: Path, count: int, side: int) -> list[bytes]:
    folder.mkdir()
    made = []
    for k in range(count):
        values = np.random.default_rng(k).integers(0, 256, (side, side, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(values).save(file, "png")
        made.append(file.getvalue())
        (folder / f"{k:04}.png").write_bytes(made[-1])
    return made


def plain_command(folder: Path) -> list[bytes]:
    """Restore the pictures with the command; give its files."""
    words = [sys.executable, "-m", "multiaxis", "restore", str(folder / "in")]
    words += ["-o", str(folder / "out"), "--task", "denoise", "--model", "nano"]
    words += ["--overwrite"]
    start = time.monotonic()
    subprocess.run(words, check=True, capture_output=True, env=ENVIRONMENT)
    seconds = time.monotonic() - start
    files = [path.read_bytes() for path in sorted((folder / "out").glob("*.png"))]
    print(f"the command: {len(files)} pictures in {seconds:.1f} s, {len(files) / seconds:.1f} /s")
    return files


def send(address: str, data: bytes, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(address, timeout=120)
    kind = {"content-type": "image/png", **headers}
    connection.request("POST", f"/v1/restore?{WORDS}&name=a.png", data, kind)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def share(count: int, clients: int, act: Callable[[int], None]) -> float:
    """Do something `count` times from several threads; give the seconds."""
    left = iter(range(count))
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                k = next(left, None)
            if k is None:
                return
            act(k)

    threads = [threading.Thread(target=work) for _ in range(clients)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - start


def load(address: str, pictures: list[bytes], clients: int, expected: list[bytes]) -> None:
    """Send all pictures from many clients; compare each answer with the command's file."""
    seconds: dict[int, float] = {}
    wrong: list[str] = []

    def act(k: int) -> None:
        start = time.monotonic()
        status, body = send(address, pictures[k])
        seconds[k] = time.monotonic() - start
        if status != 200 or body != expected[k]:
            wrong.append(f"{k}: {status}")

    whole = share(len(pictures), clients, act)
    p50, p95, p99 = np.percentile(list(seconds.values()), [50, 95, 99])
    print(
        f"the server: {len(seconds)} requests from {clients} clients in {whole:.1f} s, "
        f"{len(seconds) / whole:.1f} /s; lost or different: {len(wrong)}"
    )
    most = max(seconds.values())
    print(f"latency: 50 % {p50:.2f} s, 95 % {p95:.2f} s, 99 % {p99:.2f} s, most {most:.2f} s")
    alone = []
    for k in range(10):
        start = time.monotonic()
        send(address, pictures[k])
        alone.append(time.monotonic() - start)
    print(f"latency of one client alone: 50 % {np.median(alone):.3f} s")


def figures(address: str) -> dict[str, float]:
    connection = http.client.HTTPConnection(address, timeout=30)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    rows = re.findall(r"^(multiaxis_\S+) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in rows}


def memory(address: str, pictures: list[bytes], count: int) -> None:
    """Restore many pictures of changing sizes; show what the processes hold on the way."""
    step = max(count // 10, 1)
    for done in range(0, count, step):
        share(step, 4, lambda k: send(address, pictures[k % len(pictures)]) and None)
        found = figures(address)
        held = [(n, v / 2**20) for n, v in found.items() if "memory_bytes" in n]
        said = ", ".join(f"{n.split(chr(34))[1]} {v:.0f}" for n, v in held)
        print(f"memory after {done + step} pictures, MiB: {said}")


def hostile(address: str, spool: Path, count: int) -> None:
    """Send tiny uploads, damaged ones and halves; count the answers and what is left."""
    host, port = address.split(":")
    tiny = io.BytesIO()
    Image.new("L", (1, 1)).save(tiny, "png")
    kinds = [tiny.getvalue(), tiny.getvalue()[:40], b"x", b""]
    statuses: Counter[int] = Counter()

    def act(k: int) -> None:
        if k % 20 == 7:  # the half of a request
            with socket.create_connection((host, int(port))) as client:
                client.sendall(_HALF)
            statuses[0] += 1
            return
        try:
            statuses[send(address, kinds[k % 4], prefer="respond-async")[0]] += 1
        except OSError:
            statuses[-1] += 1

    before = figures(address)
    seconds = share(count, 50, act)
    print(f"{count} tiny, damaged and half uploads in {seconds:.0f} s: {dict(statuses)}")
    while figures(address)["multiaxis_jobs_waiting"] or figures(address)["multiaxis_jobs_running"]:
        time.sleep(0.5)
    after = figures(address)
    for kind in ("worker", "reader"):
        name = f'multiaxis_process_deaths_total{{kind="{kind}"}}'
        print(f"{name}: {after[name] - before[name]:.0f}")
    print(f"left in the incoming folder: {len(list((spool / 'incoming').iterdir()))}")
    print(f"server memory, MiB: {before_and_after(before, after)}")
    status, _ = send(address, tiny.getvalue())
    print(f"and one more picture: {status}")


def before_and_after(before: dict[str, float], after: dict[str, float]) -> str:
    name = 'multiaxis_process_memory_bytes{kind="server",number="0"}'
    return f"{before[name] / 2**20:.0f} before, {after[name] / 2**20:.0f} after"


if __name__ == "__main__":
    main()
