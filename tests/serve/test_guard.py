"""Who may ask, and what comes with every answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from multiaxis.errors import ConfigError
from multiaxis.serve.settings import Settings

from .conftest import NANO, Server, serving

TOKEN = "an-example-of-a-token"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("spool"), token=TOKEN) as server:
        yield server


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[::2]", "a@b:c:d"])
def test_a_host_that_is_not_this_machine_is_refused(server: Server, host: str) -> None:
    answer = server.client.get("/health", headers={"host": host})
    assert answer.status_code == 421
    assert "answers to localhost" in answer.json()["detail"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:8460", "[::1]:8460"])
def test_names_of_this_machine_are_accepted(server: Server, host: str) -> None:
    assert server.client.get("/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://["]
)
def test_pages_from_elsewhere_may_not_ask(server: Server, origin: str) -> None:
    for method, path in (("POST", "/v1/restore"), ("GET", "/v1/models"), ("DELETE", "/v1/jobs/x")):
        answer = server.client.request(method, path, headers={"origin": origin})
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers
    fetched = server.client.post("/v1/restore", headers={"sec-fetch-site": "cross-site"})
    assert fetched.status_code == 403


def test_the_own_page_may_ask_and_links_may_open_it(server: Server) -> None:
    headers = {"origin": "http://127.0.0.1", "sec-fetch-site": "same-origin"}
    assert server.client.get("/v1/models", headers=headers).status_code == 200
    assert server.client.get("/", headers={"sec-fetch-site": "cross-site"}).status_code == 200


def test_a_token_is_asked_for_everywhere_but_by_the_page(guarded: Server) -> None:
    client = guarded.client
    for path in ("/v1/models", "/metrics", "/v1/events", "/v1/jobs/x", "/nothing"):
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}):
            answer = client.get(path, headers=headers)
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"] == "Bearer"
    sent = client.post("/v1/restore", data=NANO, files={"file": ("a.png", b"x")})
    assert sent.status_code == 401
    assert not guarded.files()
    for path in ("/", "/page.js", "/page.css", "/words.json", "/docs", "/openapi.json", "/health"):
        assert client.get(path).status_code == 200
        assert TOKEN not in client.get(path).text
    assert client.get("/v1/models", headers={"authorization": f"bearer {TOKEN}"}).status_code == 200


def test_every_answer_has_the_headers_that_confine_it(
    server: Server, make_picture: Callable[..., Path]
) -> None:
    path = make_picture()
    restored = server.client.post("/v1/restore", data=NANO, files={"file": path.read_bytes()})
    answers = [server.client.get(path) for path in ("/", "/page.js", "/health", "/x", "/docs")]
    refused = server.client.get("/", headers={"host": "evil.example"})
    for answer in (*answers, restored, refused):
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert restored.headers["content-disposition"].startswith("attachment")
    assert "server" not in restored.headers


def test_the_page_is_light_and_whole(server: Server) -> None:
    parts = ["/", "/page.css", "/page.js", "/words.json"]
    texts = [server.client.get(part).text for part in parts]
    assert sum(len(text.encode()) for text in texts) < 100_000
    assert "{{" not in texts[0]
    for text in texts:
        assert "//" not in text.replace("// ", "").replace("://127", ""), "nothing from elsewhere"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "myhost"])
def test_other_machines_are_served_with_a_token_alone(host: str) -> None:
    for token in (None, "", "short"):
        with pytest.raises(ConfigError, match="set a token of 16 characters or more"):
            Settings(host=host, token=token)
    assert not Settings(host=host, token=TOKEN).is_local


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"port": 70000}, "--port is 70000: accepted is 0 to 65535"),
        ({"queue": 0}, "--queue is 0"),
        ({"workers": 0}, "--workers is 0"),
        ({"models": 0}, "--models is 0"),
        ({"memory": "much"}, "accepted is a positive amount"),
        ({"max_upload": "-1"}, "accepted is a positive amount"),
        ({"max_megapixels": 0}, "--max-megapixels is 0"),
        ({"keep_hours": -1}, "--keep-hours is -1"),
        ({"token": "a\nb"}, "printable ASCII"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Settings(**settings)
