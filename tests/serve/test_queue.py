"""Who waits, who works, what fits, and what a restart finds; with workers that are not there."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from multiaxis.errors import ConfigError
from multiaxis.serve import queue as module
from multiaxis.serve.job import Job, Upload
from multiaxis.serve.process import Process, WorkerDiedError
from multiaxis.serve.queue import Queue, QueueFullError
from multiaxis.serve.room import BASE, Room
from multiaxis.serve.service import Service
from multiaxis.serve.settings import Settings
from multiaxis.serve.spool import Spool
from multiaxis.serve.worker import Answer, Order, Role
from multiaxis.tasks.restore.loaded import LoadedRestorers
from multiaxis.tasks.restore.rates import Rates

GB = 10**9


class FakeWorker:
    """Finishes, waits or dies as it is told."""

    number, deaths = None, 0

    def __init__(self) -> None:
        self.order: list[str] = []
        self.held = asyncio.Event()
        self.held.set()
        self.dies = 0
        self.was_cancelled = False

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def cancel(self) -> None:
        self.was_cancelled = True

    def kill(self) -> None:
        self.dies = 1
        self.held.set()

    async def ask(self, order: Order, on_report: Any = None, **_: Any) -> Answer:
        self.order.append(Path(order.input).parent.name)
        await self.held.wait()
        if self.dies:
            self.dies -= 1
            raise WorkerDiedError
        Path(order.output).write_bytes(b"made")
        return Answer(seconds=1.0, loaded=("denoise",))


def job(name: str, **more: Any) -> Job:
    words = {"task": "denoise", "model": "nano"}
    words |= {"crop": "0,0,4,4"} if more.pop("preview", False) else {}
    upload = Upload(f"u{name}", "a.png", ".png", width=8, height=8)
    return Job(name, upload, words, "a_denoise.png", ".png", megapixels=0.1, **more)


def with_queue(
    folder: Path,
    act: Callable[[Queue, FakeWorker], Coroutine[Any, Any, None]],
    **settings: Any,
) -> None:
    async def main() -> None:
        with Spool(folder) as spool:
            worker: Any = FakeWorker()
            queue = Queue(Settings(spool=folder, **settings), spool, [worker])
            for one in spool.load():
                queue.jobs[one.id] = one
            queue.start()
            try:
                await act(queue, worker)
            finally:
                await queue.close(0.0)

    asyncio.run(main())


def add(queue: Queue, one: Job) -> Job:
    (queue.spool.folder / "files" / one.id).mkdir(exist_ok=True)
    queue.add(one)
    return one


def test_the_queue_is_bounded_and_previews_go_first(tmp_path: Path) -> None:
    async def act(queue: Queue, worker: FakeWorker) -> None:
        worker.held.clear()
        first = add(queue, job("first"))
        await asyncio.sleep(0.05)
        whole, crop = add(queue, job("whole")), add(queue, job("crop", preview=True))
        assert (queue.position(crop), queue.position(whole), queue.position(first)) == (1, 2, 0)
        with pytest.raises(QueueFullError):
            add(queue, job("late"))
        assert queue.delay() >= 1
        worker.held.set()
        for one in (first, whole, crop):
            await queue.wait(one)
            assert one.state == "done"
        assert worker.order == ["first", "crop", "whole"]
        assert queue.counts["done"] == 3

    with_queue(tmp_path, act, queue=2)


def test_a_job_whose_worker_dies_is_tried_once_more(tmp_path: Path) -> None:
    async def act(queue: Queue, worker: FakeWorker) -> None:
        worker.dies = 1
        once = add(queue, job("once"))
        await queue.wait(once)
        assert (once.state, once.attempts) == ("done", 2)
        worker.dies = 2
        twice = add(queue, job("twice"))
        await queue.wait(twice)
        assert twice.state == "failed"
        assert twice.error == "a.png: its worker died, 2 times"
        after = add(queue, job("after"))
        await queue.wait(after)
        assert after.state == "done"

    with_queue(tmp_path, act)


def test_a_full_disk_costs_records_and_not_the_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    async def act(queue: Queue, worker: FakeWorker) -> None:
        one, two = add(queue, job("one")), add(queue, job("two"))
        with monkeypatch.context() as patch:
            patch.setattr(queue.spool, "save", full)
            patch.setattr(queue.rates, "add", full)
            with pytest.raises(OSError, match="No space"):
                add(queue, job("three"))
            for known in (one, two):
                await queue.wait(known)
                assert known.state == "done"
        assert queue.waiting == 0

    with_queue(tmp_path, act)


def test_a_cancelled_job_that_does_not_stop_ends_with_its_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.05)

    async def act(queue: Queue, worker: FakeWorker) -> None:
        worker.held.clear()
        running, waiting = add(queue, job("running")), add(queue, job("waiting"))
        await asyncio.sleep(0.05)
        queue.cancel(waiting)
        queue.cancel(running)
        assert worker.was_cancelled
        after = add(queue, job("after"))
        await queue.wait(after)
        assert [one.state for one in (running, waiting, after)] == ["cancelled"] * 2 + ["done"]
        assert queue.counts["cancelled"] == 2

    with_queue(tmp_path, act)


def test_what_was_not_finished_is_done_by_the_next_server(tmp_path: Path) -> None:
    async def stop(queue: Queue, worker: FakeWorker) -> None:
        done = add(queue, job("done"))
        await queue.wait(done)
        worker.held.clear()
        add(queue, job("running"))
        add(queue, job("waiting"))
        await asyncio.sleep(0.05)
        assert json.loads((tmp_path / "records/running.json").read_bytes())["state"] == "running"

    async def go_on(queue: Queue, worker: FakeWorker) -> None:
        assert list(queue.jobs) == ["done", "running", "waiting"]
        for one in queue.jobs.values():
            await queue.wait(one)
            assert one.state == "done"
        assert worker.order == ["running", "waiting"]

    with_queue(tmp_path, stop)
    records = {path: json.loads(path.read_bytes()) for path in (tmp_path / "records").glob("r*")}
    assert [record["state"] for record in records.values()] == ["queued"]
    for path, record in records.items():  # as a killed server leaves it
        path.write_text(json.dumps({**record, "state": "running", "attempts": 1}))
    with_queue(tmp_path, go_on)


def test_the_last_change_is_told_even_if_it_comes_while_another_is(tmp_path: Path) -> None:
    async def act(queue: Queue, worker: FakeWorker) -> None:
        worker.held.clear()
        running = add(queue, job("running"))
        await asyncio.sleep(0.05)
        told: list[str] = []
        async for one in queue.changes([running], 5.0):
            told.append(one.state if one else "")
            worker.held.set()
            await queue.wait(running)
        assert told == ["running", "done"]

    with_queue(tmp_path, act)


def test_a_job_waits_until_its_memory_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = {"memory": 1 * GB}
    monkeypatch.setattr("multiaxis.serve.room.free_memory", lambda: free["memory"])
    monkeypatch.setattr(module, "_LOOK", 0.02)

    async def act(queue: Queue, worker: FakeWorker) -> None:
        large = add(queue, job("large", memory=2 * GB))
        await asyncio.sleep(0.1)
        assert large.state == "queued"
        free["memory"] = 3 * GB
        await queue.wait(large)
        assert large.state == "done"

    with_queue(tmp_path, act)


def test_memory_that_running_jobs_will_take_is_not_given_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("multiaxis.serve.room.free_memory", lambda: 10 * GB)
    workers: Any = [FakeWorker(), FakeWorker()]
    room = Room(Settings(workers=2), workers)
    assert room.fits_now(9 * GB)
    room.reserved[workers[0]] = 4 * GB
    assert not room.fits_now(9 * GB)
    assert room.fits_now(5 * GB)
    assert "takes about 11.0 GB of memory, and 10.0 GB are free" in room.never(11 * GB, 12.0)


def test_a_limit_is_shared_by_the_workers() -> None:
    workers: Any = [FakeWorker(), FakeWorker()]
    room = Room(Settings(memory="4GB", workers=2), workers)
    assert room.never(2 * GB - BASE, 1.0) == ""
    said = room.never(2 * GB, 1.0)
    assert "2.0 GB are allowed to each worker: use a smaller picture" in said


@pytest.mark.thorough
def test_a_picture_that_never_fits_is_refused_with_the_number(
    make_picture: Callable[..., Path], tmp_path: Path
) -> None:
    from .conftest import NANO, serving

    path = tmp_path / "large.png"
    Image.fromarray(np.zeros((3000, 3000), np.uint8)).save(path)
    with serving(tmp_path / "spool", memory="1GB") as server:
        files = {"file": (path.name, path.read_bytes())}
        answer = server.client.post("/v1/restore", data=NANO, files=files)
        assert answer.status_code == 413
        assert "large.png: restoring 9.0 padded megapixels whole takes about" in answer.text
        assert "GB of memory, and 1.0 GB are allowed" in answer.text
        assert not server.files()


def test_rates_are_kept_and_follow(tmp_path: Path) -> None:
    rates = Rates(tmp_path / "rates.json")
    assert rates.seconds("a", 1.0) is None
    rates.add("a", 10.0, 1.0)
    assert Rates(tmp_path / "rates.json").seconds("a", 2.0) == pytest.approx(20.0)
    for _ in range(30):
        rates.add("a", 2.0, 1.0)
    assert rates.seconds("a", 1.0) == pytest.approx(2.0, rel=0.05)
    for damage in ("[]", "{", '{"a": 1}', '{"a": ["x", "y"]}'):
        (tmp_path / "rates.json").write_text(damage)
        assert Rates(tmp_path / "rates.json").seconds("a", 1.0) is None


def test_the_oldest_results_make_room_and_old_ones_go(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        jobs = [job(str(k), state="done", finished=time.time() - 100 * k) for k in range(4)]
        for one in jobs:
            folder = tmp_path / "files" / one.id
            folder.mkdir()
            (folder / "result.png").write_bytes(os.urandom(100_000))
            spool.save(one)
        waiting = job("w", state="queued", created=0.0)
        held = [*jobs, waiting]
        assert spool.stale(held, 24.0, 10**9) == []
        assert spool.stale(held, 250 / 3600, 10**9) == [jobs[3]]
        assert spool.stale(held, 24.0, 250_000) == [jobs[3], jobs[2]]
        assert spool.stale(held, 24.0, 0) == jobs[::-1], "what waits stays"
        spool.remove(jobs[0])
        assert {one.id for one in spool.load()} == {"1", "2", "3"}


def test_damaged_records_and_strays_cost_nothing(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.save(job("good"))
        for k, damage in enumerate([b"", b"{", b"[]", b'{"kind": "job"}', b'{"kind": 1}']):
            (tmp_path / "records" / f"{k}.json").write_bytes(damage)
        (tmp_path / "files" / "stray").mkdir()
        spool.incoming("half").write_bytes(b"x")
    with Spool(tmp_path) as spool:
        assert [one.id for one in spool.load()] == ["good"]
        assert not (tmp_path / "files" / "stray").exists()
        assert not spool.incoming("half").exists()


def test_servers_without_a_folder_take_one_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MULTIAXIS_HOME", str(tmp_path))
    with Spool(None) as one, Spool(None) as two:
        assert one.folder.name, two.folder.name == ("1", "2")
    with Spool(None) as again:
        assert again.folder == one.folder
        with pytest.raises(ConfigError, match="used by another server"):
            Spool(one.folder)


def test_the_least_recently_used_models_make_room(weights_file: Path) -> None:
    loaded = LoadedRestorers(2)

    def get(task: str, **more: Any) -> Any:
        return loaded.get({"task": task, "weights": weights_file, "device": "cpu", **more})

    first = get("derain")
    assert get("derain", strength=0.5).models is first.models, "loaded once"
    assert (first.strength, get("derain", strength=0.5).strength) == (1.0, 0.5)
    get("denoise")
    get("derain")
    get("deblur")
    assert loaded.tasks == ["derain", "deblur"]
    assert get("derain").models is first.models


@pytest.mark.thorough
def test_a_process_that_dies_is_started_again(tmp_path: Path) -> None:
    async def main() -> None:
        process = Process(Role(restores=False))
        bad = Order("view", str(tmp_path / "missing.png"), str(tmp_path / "v.png"))
        assert "no such file" in (await process.ask(bad)).error
        number = process.number
        os.kill(number or 0, signal.SIGSTOP)  # or it might answer before it is killed
        asyncio.get_running_loop().call_soon(process.kill)
        with pytest.raises(WorkerDiedError):
            await process.ask(bad, patience=60)
        assert "no such file" in (await process.ask(bad)).error
        assert process.number != number
        assert process.deaths == 1
        os.kill(process.number or 0, signal.SIGSTOP)  # it hangs
        with pytest.raises(TimeoutError):
            await process.ask(bad, patience=0.2)
        process.stop()

    asyncio.run(main())


def test_a_service_of_several_workers_shares_the_cores(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        service = Service(Settings(spool=tmp_path, workers=3, models=5), spool)
        roles = [worker.role for worker in service.queue.workers]
        assert [role.index for role in roles] == [0, 1, 2]
        assert {role.threads for role in roles} == {max(1, (os.cpu_count() or 1) // 3)}
        assert Service(Settings(spool=tmp_path), spool).queue.workers[0].role.threads == 0
