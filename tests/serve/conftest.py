"""A server with a pretending worker for each module; tests that break things make their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("dbos", reason="the service needs the extra 'serve'")

from tests.serve.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("serve"))
    yield running
    running.stop()


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator:
    """Servers of one test; ``name`` tells their data folders apart."""
    made: list[Server] = []

    def make(name: str = "data", **settings: object) -> Server:
        made.append(Server(tmp_path / name, **settings))
        return made[-1]

    yield make
    for running in made:
        running.stop()
