"""A real browser: Debian's chromium, driven by playwright."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Locator, Page, Playwright

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required", "--mute-audio",
    "--use-fake-device-for-media-stream",  # a microphone that beeps
)  # fmt: skip
WAIT_MS = 180_000  # a ceiling, for machines that are busy


def executable() -> str | None:
    """The chromium of this machine; None if there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=executable(), args=list(FLAGS))


class StudioPage:
    """A browser session at the studio; records every host asked, every request, and every error of a script."""

    def __init__(self, browser: Browser, url: str, path: str = "/", **options: Any) -> None:
        self.context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
        self.context.set_default_timeout(WAIT_MS)
        self.page: Page = self.context.new_page()
        self.hosts: set[str] = set()
        self.requests: list[tuple[str, str]] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self._note(request.method, request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(url + path)
        self.page.locator("#sb-lyrics textarea").wait_for()
        self.page.locator(".sb-clip").first.wait_for()

    def _note(self, method: str, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss"):
            self.hosts.add(parts.hostname or "")
            self.requests.append((method, parts.path))

    def find(self, selector: str) -> Locator:
        return self.page.locator(selector)

    def write(self, lyrics: str) -> None:
        self.find("#sb-lyrics textarea").fill(lyrics)

    def choose(self, clip: str = "Folk") -> None:
        self.page.get_by_label(clip, exact=True).check()

    def upload(self, path: Path) -> None:
        self.find("#sb-file").set_input_files(path)

    def title(self, text: str) -> None:
        self.find("#sb-title").locator("input, textarea").first.fill(text)

    def settings(self) -> None:
        """Open the settings."""
        if not self.find("#sb-seed textarea, #sb-seed input").first.is_visible():
            self.find("#sb-settings button").first.click()

    def seed(self, text: str) -> None:
        self.settings()
        self._type("#sb-seed textarea, #sb-seed input", text)

    def longest(self, seconds: int) -> None:
        """The longest duration, typed into the slider's box."""
        self.settings()
        self._type("#sb-max-duration input[type=number]", str(seconds))

    def takes(self, number: int) -> None:
        self.settings()
        self._type("#sb-samples input[type=number]", str(number))

    def _type(self, selector: str, text: str) -> None:
        """Type into a control and see that it stays: Gradio sets one anew that has only just come to be shown."""
        box = self.find(selector).first

        def typed() -> bool:
            box.fill(text)
            box.blur()
            self.page.wait_for_timeout(100)
            return box.input_value() == text

        self.until(typed)

    def create(self) -> None:
        self.find("#sb-create").click()

    def made(self) -> str:
        """Press the button; the new job's id."""
        with self.page.expect_response(lambda answer: answer.url.endswith("/generate")) as caught:
            self.create()
        return str(caught.value.json()["job_id"])

    def refused(self) -> str:
        """What the page says of a wish that was refused."""
        self.find("#sb-refused p").first.wait_for()
        return self.find("#sb-refused").inner_text()

    def tab(self, number: int) -> None:
        """0 create, 1 library, 2 model."""
        self.page.get_by_role("tab").nth(number).click()

    def card(self, job_id: str, where: str = "#sb-now") -> Locator:
        return self.find(f'{where} [data-job="{job_id}"]')

    def finished(self, job_id: str) -> Locator:
        """The card of a song that can be played."""
        card = self.card(job_id)
        card.locator(".sb-download").wait_for()
        return card

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds that only the test can see."""
        for _ in range(WAIT_MS // 50):
            if condition():
                return
            self.page.wait_for_timeout(50)
        raise AssertionError("it did not come to hold")

    def close(self) -> None:
        self.context.close()
        assert not self.errors, self.errors
