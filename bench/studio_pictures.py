"""Pictures of the studio for the documentation, and what it costs a browser: ``python -m bench.studio_pictures``.

Starts ``app.py`` with the bundled model, makes one short song in a headless chromium, and writes docs/images/*.png.
The last line is JSON: milliseconds to the first contentful paint and to the editor on a first visit, and
requests from the press of the button to the end of the song, which do not become more with its length.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.serve.server import ROOT, Server
from tests.studio.browser import StudioPage, launch

IMAGES = ROOT / "docs/images"
APP = (sys.executable, "app.py", "--auto-load-model", "--port", "0")
LYRICS = (ROOT / "example/lyrics/lantern.txt").read_text(encoding="utf-8")
SECONDS = 10


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = Server(Path(folder), APP)
        browser = launch(playwright)
        try:
            page = StudioPage(browser, server.url)
            costs = {"requests": _make_song(page)}
            _desktop(page)
            page.close()
            costs |= _first_visit(browser, server.url)
            _dark(StudioPage(browser, server.url, color_scheme="dark"))
            _chinese(StudioPage(browser, server.url, locale="zh-CN"))
            _phone(StudioPage(browser, server.url, is_mobile=True, has_touch=True))
        finally:
            browser.close()
            server.stop()
    for picture in sorted(IMAGES.glob("studio_*.png")):
        sys.stdout.write(f"{picture.relative_to(ROOT)}: {picture.stat().st_size / 1000:.0f} kB\n")
    sys.stdout.write(json.dumps(costs) + "\n")


def _make_song(page: StudioPage) -> int:
    """Make the song; requests meanwhile."""
    page.write(LYRICS)
    page.find(".sb-plan").wait_for()
    page.choose("Folk")
    page.title("A lantern by the door")
    page.longest(SECONDS)
    page.requests.clear()
    page.finished(page.made())
    return len(page.requests)


def _desktop(page: StudioPage) -> None:
    page.find("#sb-settings button").first.click()
    card = page.find("#sb-now article").first
    card.locator("summary").click()
    page.find("#sb-now .sb-wavebox").first.click(position={"x": 150, "y": 30})
    page.page.wait_for_timeout(1500)
    page.find("#sb-player").get_by_role("button", name="Pause").click()
    page.page.evaluate("window.scrollTo(0, 0)")
    _save(page, "desktop")


def _first_visit(browser: Browser, url: str) -> dict[str, int]:
    """Milliseconds for one whose caches are empty."""
    began = time.monotonic()
    page = StudioPage(browser, url)
    ready_s = time.monotonic() - began
    paint = page.page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    page.close()
    return {"first_paint_ms": round(paint), "editor_ms": round(1000 * ready_s)}


def _dark(page: StudioPage) -> None:
    page.tab(1)
    page.find("#sb-library .sb-wavebox").first.wait_for()
    page.page.set_viewport_size({"width": 1280, "height": 640})
    page.page.wait_for_timeout(1500)
    _save(page, "dark")
    page.close()


def _chinese(page: StudioPage) -> None:
    page.write((ROOT / "example/lyrics/moonlight_zh.txt").read_text(encoding="utf-8"))
    page.find(".sb-plan").wait_for()
    page.page.wait_for_timeout(500)
    _save(page, "chinese")
    page.close()


def _phone(page: StudioPage) -> None:
    page.page.set_viewport_size({"width": 390, "height": 844})
    page.write(LYRICS)
    page.find(".sb-plan").wait_for()
    page.page.wait_for_timeout(500)
    _save(page, "phone")
    page.close()


def _save(page: StudioPage, name: str) -> None:
    page.page.screenshot(path=IMAGES / f"studio_{name}.png")


if __name__ == "__main__":
    main()
