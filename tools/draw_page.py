"""Take the screenshots of the page that the documents show, with a photograph of docs/sample.

    python tools/draw_page.py docs

Needs chromium (apt-get install chromium) and the extras serve and dev.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
COMMAND = [sys.executable, "-m", "multiaxis"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as name:
        noisy = Path(name) / "kitten.png"
        source = ROOT / "docs/sample/kitten.jpg"
        noise = "gaussian-noise:sigma=25"
        subprocess.run([*COMMAND, "degrade", source, noisy, "--with", noise, "-q"], check=True)
        words = ["serve", "--port", "0", "--no-open", "--offline", "--spool", f"{name}/spool"]
        with subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, text=True) as server:
            try:
                address = server.stdout.readline().strip()
                with sync_playwright() as playwright:
                    chromium = playwright.chromium.launch(
                        executable_path=shutil.which("chromium"),
                        args=["--no-sandbox", "--disable-dev-shm-usage"],
                    )
                    desk(chromium, address, noisy, folder / "serve.jpg")
                    phone(chromium, address, noisy, folder / "serve_phone.jpg")
            finally:
                server.terminate()


def opened(browser: Browser, address: str, picture: Path, **options: Any) -> Page:
    page = browser.new_context(**options).new_page()
    page.set_default_timeout(120_000)
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    page.set_input_files("#files", str(picture))
    page.check("[value=nano]")
    expect(page.locator("#estimate")).to_contain_text("on this machine", timeout=120_000)
    return page


def desk(browser: Browser, address: str, picture: Path, target: Path) -> None:
    """Show the whole picture, half before and half after."""
    page = opened(browser, address, picture, viewport={"width": 1280, "height": 880})
    page.locator("#list").get_by_role("button", name="Restore").click()
    expect(page.locator("#list .state")).to_contain_text("restored in", timeout=120_000)
    expect(page.locator("#caption")).to_have_text("This is the whole picture.")
    page.evaluate("() => scrollTo(0, 0)")
    page.screenshot(path=target, type="jpeg", quality=85)


def phone(browser: Browser, address: str, picture: Path, target: Path) -> None:
    """Show the preview of a crop on a small dark screen."""
    size = {"width": 390, "height": 800}
    page = opened(browser, address, picture, viewport=size, color_scheme="dark", has_touch=True)
    page.click("#preview")
    expect(page.locator("#caption")).to_contain_text("picture of its own", timeout=120_000)
    page.evaluate("() => document.querySelector('#view').scrollIntoView()")
    page.screenshot(path=target, type="jpeg", quality=85)


if __name__ == "__main__":
    main()
