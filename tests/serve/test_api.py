"""The interface: the same files, sentences and options as the command."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from multiaxis.images import Metadata, Picture, read_picture, write_picture
from multiaxis.serve.app import make_app
from multiaxis.serve.routes import Routes

from .conftest import NANO, Server, run, until

Make = Callable[..., Path]


def post(server: Server, path: Path, words: dict[str, Any] = NANO, **more: Any) -> Any:
    files = {"file": (path.name, path.read_bytes())}
    return server.client.post("/v1/restore", data=words, files=files, **more)


def later(server: Server, path: Path, words: dict[str, Any] = NANO) -> dict[str, Any]:
    answer = post(server, path, words, headers={"prefer": "respond-async"})
    assert answer.status_code == 202, answer.text
    return answer.json()


def finished(server: Server, job: dict[str, Any]) -> dict[str, Any]:
    def ask() -> Any:
        found = server.client.get(f"/v1/jobs/{job['id']}").json()
        return found if found["state"] not in ("queued", "running") else None

    return until(ask)


@pytest.mark.parametrize(
    ("name", "words", "options"),
    [
        ("a.png", {}, []),
        ("b.JPG", {"strength": "0.5"}, ["--strength", "0.5"]),
        ("c.webp", {"format": "tif", "depth": "16"}, ["--format", "tif", "--depth", "16"]),
        ("d.tif", {"format": "jpg", "quality": "80"}, ["--format", "jpg", "--quality", "80"]),
        ("e.png", {"ensemble": "true", "strip": "true"}, ["--ensemble", "--strip"]),
    ],
)
def test_results_equal_those_of_the_command_to_the_byte(
    server: Server,
    make_picture: Make,
    tmp_path: Path,
    name: str,
    words: dict[str, str],
    options: list[str],
) -> None:
    path = make_picture(name)
    answer = post(server, path, {**NANO, **words})
    assert answer.status_code == 200, answer.text
    out = tmp_path / "out"
    assert run("restore", path, "--task", "denoise", "--model", "nano", *options, "-o", out) == 0
    (written,) = out.glob("*.*")
    assert answer.content == written.read_bytes()
    assert written.suffix in answer.headers["content-disposition"]


def test_16_bits_and_profile_survive(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "deep.tif"
    values = np.random.default_rng(1).integers(0, 65536, (24, 40, 3), np.uint16)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    write_picture(path, Picture(values, metadata=Metadata(icc=profile)))
    answer = post(server, path)
    (tmp_path / "back.tif").write_bytes(answer.content)
    back = read_picture(tmp_path / "back.tif")
    assert back.depth == "uint16"
    assert back.metadata.icc == profile


def test_a_raw_body_with_options_in_the_address(server: Server, make_picture: Make) -> None:
    path = make_picture()
    answer = server.client.post(
        "/v1/restore",
        params={**NANO, "name": "x.png"},
        content=path.read_bytes(),
        headers={"content-type": "image/png"},
    )
    assert answer.content == post(server, path).content
    assert "x_denoise.png" in answer.headers["content-disposition"]


def test_the_content_tells_the_format_where_the_name_does_not(
    server: Server, make_picture: Make
) -> None:
    path = make_picture("a.webp")
    answer = server.client.post(
        "/v1/restore", data=NANO, files={"file": ("../../etc/passwd", path.read_bytes())}
    )
    assert answer.headers["content-type"] == "image/webp"
    assert "passwd_denoise.webp" in answer.headers["content-disposition"]


def test_a_job_and_its_files(server: Server, make_picture: Make) -> None:
    path = make_picture()
    job = later(server, path)
    assert job["name"] == "a_denoise.png"
    assert job["picture"]["width"] == 32
    done = finished(server, job)
    assert done["state"] == "done"
    assert done["progress"] == 1
    assert done["where"] == "cpu in float32"
    assert server.client.get(done["before"]).content == path.read_bytes()
    assert server.client.get(done["result"]).content == post(server, path).content
    assert server.client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    assert server.client.get(f"/v1/jobs/{job['id']}").status_code == 404
    assert not [file for file in server.files() if job["id"] in str(file)]


def test_a_picture_serves_several_jobs_and_goes_alone(server: Server, make_picture: Make) -> None:
    path = make_picture("t.tif")
    sent = server.client.post("/v1/pictures", files={"file": (path.name, path.read_bytes())})
    assert sent.status_code == 201, sent.text
    picture = sent.json()
    view = server.client.get(picture["view"])
    assert view.headers["content-type"] == "image/png"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(view.content))), Image.open(path))
    words = {**NANO, "picture": picture["id"]}
    one = server.client.post("/v1/restore", data=words)
    assert server.client.delete(f"/v1/pictures/{picture['id']}").status_code == 204
    assert server.client.get(f"/v1/pictures/{picture['id']}").status_code == 404
    assert one.content == post(server, path).content
    assert server.client.get(f"{one.headers['location']}/before").status_code == 200


def test_a_crop_is_restored_as_a_picture_of_its_own(
    server: Server, make_picture: Make, tmp_path: Path
) -> None:
    path = make_picture(side=48)
    answer = post(server, path, {**NANO, "crop": "5,10,30,20"})
    cropped = tmp_path / "crop.png"
    Image.open(path).crop((5, 10, 35, 30)).save(cropped)
    run("restore", cropped, "--task", "denoise", "--model", "nano", "-o", tmp_path / "out.png")
    expected = np.asarray(Image.open(tmp_path / "out.png"))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(answer.content))), expected)
    outside = post(server, path, {**NANO, "crop": "30,0,30,20"})
    assert outside.status_code == 422
    assert "has 48x48 pixels: choose one inside" in outside.json()["detail"]


def test_events_tell_of_a_job_until_it_is_over(server: Server, make_picture: Make) -> None:
    job = later(server, make_picture(side=96))
    with server.client.stream("GET", job["events"]) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line[6:] for line in answer.iter_lines() if line.startswith("data: ")]
    states = [json.loads(line)["state"] for line in lines]
    assert states[-1] == "done"
    assert set(states) <= {"queued", "running", "done"}


def test_a_running_job_is_cancelled_and_the_next_one_runs(
    server: Server, make_picture: Make
) -> None:
    large, small = make_picture(side=900), make_picture()
    job = later(server, large)
    until(lambda: server.client.get(f"/v1/jobs/{job['id']}").json()["progress"] > 0)
    waiting = later(server, large)
    for one in (waiting, job):
        assert server.client.delete(f"/v1/jobs/{one['id']}").json()["state"] == "cancelled"
    before = [worker.deaths for worker in server.service.queue.workers]
    assert post(server, small).status_code == 200
    assert [worker.deaths for worker in server.service.queue.workers] == before
    assert server.client.get(f"/v1/jobs/{job['id']}/result").status_code == 409


def test_results_in_one_archive(server: Server, make_picture: Make) -> None:
    path = make_picture()
    jobs = [finished(server, later(server, path)) for _ in range(2)]
    answer = server.client.post("/v1/archive", json={"jobs": [job["id"] for job in jobs]})
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.namelist() == ["a_denoise.png", "a_denoise (2).png"]
    assert archive.read("a_denoise.png") == server.client.get(jobs[0]["result"]).content
    assert not list(server.service.spool.incoming("x").parent.iterdir())
    for body in (b"[]", b"{}", b'{"jobs": []}', b"x"):
        assert server.client.post("/v1/archive", content=body).status_code == 400


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ({"task": "denoize"}, ["--task", "denoize"]),
        ({"task": "derain", "model": "nano"}, ["--task", "derain", "--model", "nano"]),
        ({**NANO, "format": "bmp"}, ["--task", "denoise", "--model", "nano", "--format", "bmp"]),
        ({**NANO, "depth": "12"}, ["--task", "denoise", "--model", "nano", "--depth", "12"]),
        ({**NANO, "quality": "0"}, ["--task", "denoise", "--model", "nano", "--quality", "0"]),
    ],
)
def test_options_are_refused_in_the_words_of_the_command(
    server: Server,
    make_picture: Make,
    capsys: pytest.CaptureFixture[str],
    words: dict[str, str],
    options: list[str],
) -> None:
    path = make_picture()
    answer = post(server, path, words)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert run("restore", path, *options) == 2
    said = capsys.readouterr().err.strip().removeprefix("multiaxis: ")
    assert answer.json()["detail"] == said


def spoil(path: Path, kind: str) -> bytes:
    data = path.read_bytes()
    return {"cut": data[: len(data) // 2], "text": b"hello" * 20, "clip": b"\0\0\0\x18ftypmp42"}[
        kind
    ]


@pytest.mark.parametrize("kind", ["cut", "text", "clip"])
def test_pictures_are_refused_in_the_words_of_the_command(
    server: Server,
    make_picture: Make,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    (tmp_path / "broken.png").write_bytes(spoil(make_picture(), kind))
    monkeypatch.chdir(tmp_path)
    answer = post(server, Path("broken.png"))
    assert answer.status_code == 422
    run("restore", "broken.png", "--task", "denoise", "--model", "nano", "-o", "out/")
    said = capsys.readouterr().err.strip().splitlines()[-1].removeprefix("multiaxis: ")
    assert answer.json()["detail"] == said
    sent = server.client.post(
        "/v1/pictures", files={"file": ("broken.png", spoil(make_picture(), kind))}
    )
    assert (sent.status_code == 201) == (kind == "cut"), "the header of a cut file is whole"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({}, "a restoration needs a task"),
        ({**NANO, "taks": "denoise"}, "unknown option 'taks': did you mean task"),
        ({**NANO, "strength": "2"}, "the strength is 2: accepted is 0 to 1"),
        ({**NANO, "strength": "x"}, "accepted is a number"),
        ({**NANO, "ensemble": "maybe"}, "accepted are true and false"),
        ({**NANO, "crop": "1,2,3"}, "accepted are four whole numbers"),
        ({**NANO, "weights": "/etc/passwd"}, "unknown option 'weights'"),
        ({"task": "denoise,", "model": "full"}, "unknown task ''"),
    ],
)
def test_other_options_are_refused_with_what_is_accepted(
    server: Server, make_picture: Make, words: dict[str, str], said: str
) -> None:
    answer = post(server, make_picture(), words)
    assert answer.status_code == 400
    assert said in answer.json()["detail"]


def test_weights_that_are_not_here_are_a_matter_of_the_server(
    server: Server, make_picture: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = post(server, make_picture(), {"task": "retouch"})
    if answer.status_code == 200:
        pytest.skip("the weights are cached on this machine")
    assert answer.status_code == 503
    assert "retouch" in answer.json()["detail"]


def test_a_request_without_a_picture_and_things_that_are_not_there(server: Server) -> None:
    said = {
        "/v1/restore": server.client.post("/v1/restore", data=NANO),
        "/v1/pictures": server.client.post("/v1/pictures", data={}),
    }
    for answer in said.values():
        assert answer.status_code == 400
        assert "holds no picture" in answer.json()["detail"]
    missing = server.client.post("/v1/restore", data={**NANO, "picture": "../x"})
    assert missing.status_code == 404
    for path in ("/v1/jobs/x", "/v1/jobs/..%2f..%2fx/result", "/v1/pictures/x/view", "/nothing"):
        answer = server.client.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
    assert server.client.get("/v1/restore").status_code == 405


def test_an_estimate_comes_from_what_was_measured(server: Server) -> None:
    size = {**NANO, "width": "1000", "height": "500"}

    def ask() -> Any:
        found = server.client.post("/v1/estimate", json=size).json()
        return None if found["measuring"] else found

    found = until(ask)
    assert found["seconds"] > 0
    assert found["megapixels"] == pytest.approx(0.5, rel=0.05)
    double = server.client.post("/v1/estimate", json={**size, "height": "1000"}).json()
    assert double["seconds"] == pytest.approx(2 * found["seconds"], rel=0.1)
    assert double["memory"] > found["memory"]
    huge = server.client.post("/v1/estimate", json={**size, "width": "9999999"}).json()
    assert "GB are free" in huge["refusal"]
    for words in ({**NANO}, {**size, "width": "-1"}, {**size, "width": "1e3"}):
        assert server.client.post("/v1/estimate", json=words).status_code == 400


def test_what_there_is(server: Server, make_picture: Make) -> None:
    post(server, make_picture())
    found = server.client.get("/v1/models").json()
    denoise = next(row for row in found["tasks"] if row["task"] == "denoise")
    assert [model["model"] for model in denoise["models"]] == ["full", "fast", "nano"]
    assert all(model["is_here"] for model in denoise["models"][1:])
    assert "denoise" in found["loaded"]
    assert found["limits"]["queue"] == 64
    assert server.client.get("/health").json()["status"] == "ok"
    figures = server.client.get("/metrics").text
    assert 'multiaxis_jobs_total{state="done"}' in figures
    assert 'route="/v1/restore",status="200"' in figures
    assert 'multiaxis_process_memory_bytes{kind="worker",number="0"}' in figures


def test_the_description_covers_every_route(server: Server) -> None:
    described = server.client.get("/openapi.json").json()
    routes = {
        (route.path, method.lower())
        for route in Routes(server.service).all()
        for method in route.methods - {"HEAD"}
    }
    known = {(path, method) for path, row in described["paths"].items() for method in row}
    assert known == routes | {("/metrics", "get")}
    for name in described["components"]["schemas"]:
        assert isinstance(name, str)
    page = server.client.get("/docs").text
    assert "/v1/restore" in page
    assert "http" not in page.replace("HTTP", "").replace("https://", "")
    assert callable(make_app)


@pytest.mark.thorough
def test_twenty_requests_at_once_lose_nothing(server: Server, make_picture: Make) -> None:
    paths = [make_picture(side=16 + k, seed=k) for k in range(20)]
    answers: dict[int, Any] = {}

    def ask(k: int) -> None:
        answers[k] = post(server, paths[k])

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sizes = [Image.open(io.BytesIO(answers[k].content)).size[0] for k in range(20)]
    assert sizes == [16 + k for k in range(20)], "each its own picture"
