from __future__ import annotations

import pytest

from songbloom.cli import studio
from songbloom.serve.settings import ServeSettings

pytest.importorskip("gradio", reason="the studio needs the extra 'studio'")


@pytest.fixture
def served(monkeypatch):
    """What would have been served; nothing is."""
    pytest.importorskip("dbos", reason="the service needs the extra 'serve'")
    from songbloom.serve import run as service

    calls = []
    monkeypatch.setattr(service, "serve", lambda settings, **options: calls.append((settings, options["page"])))
    return calls


def test_the_guides_options(run, served):
    assert run("studio").code == 0
    assert run("studio", "--server-port", "8080", "--server-name", "0.0.0.0", "--auto-load-model").code == 0
    (usual, page), (chosen, loading) = served
    assert usual.port == 7860 and usual.host == "127.0.0.1" and usual.keep_days > 30_000 and not usual.auth_on
    assert chosen.port == 8080 and chosen.auth_on
    assert page.keywords == {"load": False} and loading.keywords == {"load": True}


def test_variables_hold_too(run, served, monkeypatch):
    monkeypatch.setenv("SONGBLOOM_PORT", "9000")
    assert run("studio").code == 0
    assert served[0][0].port == 9000


def test_a_shared_address_carries_a_key(run, served, monkeypatch, tmp_path):
    from gradio import networking

    from songbloom.serve.auth import find_caller
    from songbloom.serve.database import connect

    monkeypatch.setattr(networking, "setup_tunnel", lambda *_: "https://songs.example")
    for _ in range(2):  # the second time other keys take the place of the first
        outcome = run("studio", "--share", "--data-dir", tmp_path)
        assert outcome.code == 0 and served[-1][0].auth_on
    public, own = (line.rpartition("#key=")[2] for line in outcome.out.strip().splitlines()[-2:])
    assert outcome.out.splitlines()[0].startswith("shared at https://songs.example/studio/#key=sb_")
    engine = connect(ServeSettings(data_dir=tmp_path))
    guest, host = find_caller(engine, public), find_caller(engine, own)
    engine.dispose()
    assert guest is not None and not guest.admin and host is not None and host.admin and guest.name != host.name


def test_a_tunnel_that_cannot_be_opened_is_one_line(run, served, monkeypatch, tmp_path):
    from gradio import networking

    def fail(*_):
        raise RuntimeError("Could not get share link")

    monkeypatch.setattr(networking, "setup_tunnel", fail)
    outcome = run("studio", "--share", "--data-dir", tmp_path)
    assert outcome.code == 1 and "Could not get share link" in outcome.err and not served
    assert run("studio", "--share", "--port", "0").code == 2


def test_the_parser_is_that_of_app_py():
    assert studio.build_parser("app.py").prog == "app.py"
