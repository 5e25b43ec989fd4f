"""The page in a real browser: Debian's chromium, driven by Playwright."""

from __future__ import annotations

import base64
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import command_server, run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

api = pytest.importorskip("playwright.sync_api", reason="playwright is missing (extra: dev)")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
if CHROMIUM is None:
    pytest.skip("no chromium on this machine: apt-get install chromium", allow_module_level=True)

expect = api.expect
Make = Callable[..., Path]
SECONDS = 60_000  # ms that a busy machine may take


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with command_server("--spool", str(tmp_path_factory.mktemp("spool"))) as (_, address):
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    page = open_page(browser, address)
    yield page
    page.context.close()


def open_page(browser: Browser, address: str, **options: Any) -> Page:
    """Open the page, and hold against it whatever it complains about or asks elsewhere."""
    page = browser.new_context(**options).new_page()
    page.set_default_timeout(SECONDS)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: faults.extend(elsewhere(request.url, address)))
    page.faults = faults  # pyright: ignore[reportAttributeAccessIssue]
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    return page


def elsewhere(url: str, address: str) -> list[str]:
    return [] if url.startswith((address, "blob:", "data:")) else [f"asked {url}"]


def choose(page: Page, *paths: Path) -> None:
    page.set_input_files("#files", [str(path) for path in paths])
    for path in paths:
        expect(row(page, path.name)).not_to_contain_text("sending", timeout=SECONDS)
    if page.is_enabled("[value=fast]"):
        page.check("[value=fast]")


def row(page: Page, name: str) -> Any:
    return page.locator("#list li", has_text=name)


def is_restored(page: Page, name: str) -> None:
    expect(row(page, name).locator(".state")).to_contain_text("restored in", timeout=SECONDS)


def pixels(page: Page) -> str:
    return page.evaluate("() => document.querySelector('canvas').toDataURL()")


def test_a_dropped_picture_is_restored_compared_and_saved(
    page: Page, make_picture: Make, tmp_path: Path
) -> None:
    path = make_picture("dropped.png", side=64)
    content = base64.b64encode(path.read_bytes()).decode()
    transfer = page.evaluate_handle(
        """(content) => {
            const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], "dropped.png", { type: "image/png" }));
            return transfer;
        }""",
        content,
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})
    expect(row(page, "dropped.png")).to_contain_text(re.compile("64 . 64, ready"), timeout=SECONDS)
    page.check("[value=fast]")
    expect(page.locator("#estimate")).to_contain_text("of memory on this machine", timeout=SECONDS)
    row(page, "dropped.png").get_by_role("button", name="Restore").click()
    is_restored(page, "dropped.png")
    expect(page.locator("#caption")).to_have_text("This is the whole picture.")
    middle = pixels(page)
    page.focus("#split")
    for _ in range(40):
        page.keyboard.press("ArrowRight")
    assert page.input_value("#split") == "70"
    assert pixels(page) != middle
    seen = {pixels(page)}
    for mode in ("sides", "difference"):
        page.check(f"[value={mode}]")
        seen.add(pixels(page))
    page.fill("#gain", "20")
    assert len(seen | {pixels(page)}) == 4, "each shows something else"
    with page.expect_download() as download:
        row(page, "dropped.png").get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "dropped_denoise.png"
    download.value.save_as(tmp_path / "page.png")
    run("restore", path, "--task", "denoise", "--model", "fast", "-o", tmp_path / "command.png")
    assert (tmp_path / "page.png").read_bytes() == (tmp_path / "command.png").read_bytes()
    assert not page.faults


def test_a_preview_shows_a_crop_and_says_so(page: Page, make_picture: Make) -> None:
    choose(page, make_picture("p.png", side=500))
    page.click("#crop")
    page.focus("#canvas")
    for key in ("ArrowLeft", "Shift+ArrowUp", "Shift+ArrowLeft"):
        for _ in range(8):
            page.keyboard.press(key)
    page.click("#preview")
    caption = page.locator("#caption")
    expect(caption).to_contain_text("restored as a picture of its own", timeout=SECONDS)
    expect(caption).not_to_contain_text(re.compile("384 . 384"))
    page.click("#whole")
    expect(caption).to_have_text("Not restored yet.")
    assert not page.faults


def test_several_pictures_in_one_archive(page: Page, make_picture: Make, tmp_path: Path) -> None:
    names = ["one.png", "two.jpg", "three.tif"]
    choose(page, *map(make_picture, names))
    page.click("#restore-all")
    for name in names:
        is_restored(page, name)
    expect(page.locator("#queue-label")).to_have_text("3 of 3 restored")
    row(page, "three.tif").get_by_role("button", name="Show").click()
    expect(page.locator("#caption")).to_have_text("This is the whole picture.")
    with page.expect_download() as download:
        page.click("#download-all")
    download.value.save_as(tmp_path / "all.zip")
    found = sorted(zipfile.ZipFile(tmp_path / "all.zip").namelist())
    assert found == ["one_denoise.png", "three_denoise.tif", "two_denoise.jpg"]
    page.click("#remove-all")
    expect(page.locator("#empty")).to_be_visible()
    assert not page.faults


@pytest.mark.thorough
def test_cancelling_and_going_on(page: Page, make_picture: Make) -> None:
    choose(page, make_picture("long.png", side=1200))
    long = row(page, "long.png")
    long.get_by_role("button", name="Restore").click()
    expect(long.locator(".state")).to_contain_text("restoring", timeout=SECONDS)
    long.get_by_role("button", name="Cancel").click()
    expect(long.locator(".state")).to_have_text("cancelled", timeout=SECONDS)
    choose(page, make_picture("short.png"))
    row(page, "short.png").get_by_role("button", name="Restore").click()
    is_restored(page, "short.png")
    assert not page.faults


def test_what_goes_wrong_is_said_at_the_picture(page: Page, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    page.set_input_files("#files", str(broken))
    error = row(page, "broken.jpg").locator(".error")
    expect(error).to_contain_text("cannot read broken.jpg", timeout=SECONDS)
    expect(page.locator("#said")).to_contain_text("cannot read broken.jpg")
    assert page.is_disabled("#restore-all")
    row(page, "broken.jpg").get_by_role("button", name="Remove").click()
    expect(page.locator("#empty")).to_be_visible()


def test_an_option_that_does_not_fit_the_picture_is_said(page: Page, make_picture: Make) -> None:
    choose(page, make_picture("opt.png"))
    page.click("summary")
    page.select_option("#format", "jpg")
    page.select_option("#depth", "16")
    row(page, "opt.png").get_by_role("button", name="Restore").click()
    error = row(page, "opt.png").locator(".error")
    expect(error).to_contain_text("JPEG cannot hold uint16; use .png or .tif", timeout=SECONDS)


def test_a_reload_in_the_middle_loses_nothing(page: Page, make_picture: Make) -> None:
    choose(page, make_picture("kept.png", side=500), make_picture("idle.png"))
    row(page, "kept.png").get_by_role("button", name="Restore").click()
    expect(row(page, "kept.png").locator("progress")).to_be_visible()
    expect(row(page, "kept.png").get_by_role("button", name="Cancel")).to_be_visible()
    page.reload()
    page.wait_for_selector("body[data-ready]")
    expect(row(page, "idle.png")).to_contain_text("ready")
    is_restored(page, "kept.png")
    expect(page.locator("#caption")).to_have_text("This is the whole picture.")
    page.reload()
    is_restored(page, "kept.png")
    assert not page.faults


def test_steps_make_a_chain_and_the_keyboard_reaches_everything(page: Page) -> None:
    page.focus("#files")
    assert page.locator("label[for=files]").evaluate("(e) => getComputedStyle(e).outlineStyle") == (
        "solid"
    )
    page.focus(".step")
    page.keyboard.press("d")
    page.click("#add-step")
    assert page.locator(".step").count() == 2
    assert page.is_enabled("[value=fast]"), "every step has a fast model"
    page.locator(".step").nth(1).select_option("deblur")
    assert page.is_disabled("[value=fast]"), "deblurring has none"
    page.click("#remove-step")
    assert page.is_enabled("[value=fast]")
    reached = set()
    page.focus("#files")
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("() => document.activeElement.id"))
    assert {"add-step", "strength", "canvas", "zoom-in", "fit"} <= reached


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("scheme", "size"),
    [
        ("light", (1280, 900)),
        ("dark", (360, 740)),
        pytest.param("dark", (1280, 900), marks=pytest.mark.slow),
        pytest.param("light", (360, 740), marks=pytest.mark.slow),
    ],
)
def test_every_size_and_scheme_is_accessible(
    browser: Browser, address: str, make_picture: Make, scheme: Any, size: tuple[int, int]
) -> None:
    viewport: Any = dict(zip(("width", "height"), size, strict=True))
    page = open_page(browser, address, color_scheme=scheme, viewport=viewport)
    choose(page, make_picture("axe.png"))
    page.click("summary")
    page.set_input_files("#files", {"name": "bad.png", "mimeType": "image/png", "buffer": b"x"})
    expect(row(page, "bad.png").locator(".error")).to_be_visible(timeout=SECONDS)
    row(page, "axe.png").get_by_role("button", name="Restore").click()
    is_restored(page, "axe.png")
    width = page.evaluate("() => document.documentElement.scrollWidth")
    assert width <= size[0], "nothing is cut off at the side"
    if size[0] < 500:
        small = page.evaluate(
            """() => [...document.querySelectorAll("button")]
                .filter((b) => b.offsetParent && b.getBoundingClientRect().height < 24)
                .map((b) => b.textContent)"""
        )
        assert not small
    pytest.importorskip("axe_core_python", reason="axe is not installed (extra: dev)")
    page.evaluate(resources.files("axe_core_python").joinpath("axe.min.js").read_text("utf-8"))
    found = page.evaluate("() => axe.run()")
    serious = [
        (violation["id"], [node["html"][:80] for node in violation["nodes"]])
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
    ]
    assert not serious
    assert not page.faults
    page.context.close()


@pytest.mark.slow
def test_a_token_comes_with_the_address_and_stays_in_the_browser(
    browser: Browser, make_picture: Make, tmp_path: Path
) -> None:
    token = "a-token-of-this-test"
    with command_server("--spool", str(tmp_path), MULTIAXIS_TOKEN=token) as (process, address):
        plain = address.partition("#")[0]
        page = open_page(browser, plain)
        expect(page.locator("#alert")).to_contain_text("asks for a token")
        page.goto("about:blank")
        page = open_page(browser, address)
        assert token not in page.url
        choose(page, make_picture("t.png"))
        expect(row(page, "t.png")).to_contain_text("ready", timeout=SECONDS)
        page.reload()
        expect(row(page, "t.png")).to_contain_text("ready", timeout=SECONDS)
        process.kill()
        process.wait()
        row(page, "t.png").get_by_role("button", name="Restore").click()
        expect(row(page, "t.png").locator(".error")).to_contain_text("does not answer")
        page.context.close()
