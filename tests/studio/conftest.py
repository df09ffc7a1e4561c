"""A studio whose workers only pretend, and a browser."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

pytest.importorskip("dbos", reason="the service needs the extra 'serve'")
pytest.importorskip("gradio", reason="the studio needs the extra 'studio'")

from tests.serve.server import Server

FAKE_STUDIO = (sys.executable, "-m", "tests.studio.fake_studio")


@pytest.fixture(scope="session")
def studio(tmp_path_factory) -> Iterator[Server]:
    """Blocks of 0.64 s take 0.1 s."""
    server = Server(tmp_path_factory.mktemp("studio"), FAKE_STUDIO, fake_block_s=0.1)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="browser tests need playwright (extra 'dev')")
    from tests.studio.browser import executable, launch

    if executable() is None:
        pytest.skip("there is no chromium here (Debian: apt-get install chromium)")
    with sync_api.sync_playwright() as playwright:
        launched = launch(playwright)
        yield launched
        launched.close()


@pytest.fixture
def visit(browser) -> Iterator:
    """Sessions at a server, each its own; they end with the test."""
    from tests.studio.browser import StudioPage

    begun = []

    def begin(server: Server, path: str = "/", **options) -> StudioPage:
        begun.append(StudioPage(browser, server.url, path, **options))
        return begun[-1]

    yield begin
    for page in begun:
        page.close()
