"""The page where keys are on."""

from __future__ import annotations

import pytest

from songbloom.serve.auth import create_key
from songbloom.serve.database import connect, migrate, private_folder
from songbloom.serve.settings import ServeSettings
from tests.serve.server import Server
from tests.studio.conftest import FAKE_STUDIO


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("guarded")
    settings = ServeSettings(data_dir=private_folder(data_dir))
    engine = connect(settings)
    migrate(settings, engine)
    keys = {name: create_key(engine, name) for name in ("ada", "bob")}
    engine.dispose()
    server = Server(data_dir, FAKE_STUDIO, auth="on")
    yield server, keys
    server.stop()


def test_each_key_has_a_library_of_its_own(guarded, visit):
    server, keys = guarded
    stranger = visit(server)
    stranger.find("dialog #sb-key").wait_for()  # the page is open to all, what is in it is not
    stranger.find("#sb-key").fill(keys["ada"])
    stranger.page.get_by_role("button", name="Use this key").click()
    stranger.write("[verse]\nhello from ada")
    stranger.choose()
    job_id = stranger.made()
    stranger.finished(job_id).get_by_role("button", name="Play").click()  # sound, too, is let through
    stranger.find("#sb-player").get_by_role("button", name="Pause").wait_for()

    other = visit(server, f"/studio/#key={keys['bob']}")
    assert "key" not in other.page.url
    other.tab(1)
    other.page.get_by_text("No song here yet.").wait_for()
    assert other.find("#sb-library article").count() == 0


def test_a_cookie_reads_and_does_nothing_else(guarded):
    server, keys = guarded
    cookie = {"Cookie": f"songbloom_key={keys['ada']}"}
    assert server.client.get("/jobs", headers=cookie).status_code == 200
    for method, path in (("POST", "/unload-model"), ("DELETE", "/library/x"), ("POST", "/generate")):
        assert server.client.request(method, path, headers=cookie).status_code == 401
    assert server.client.get("/jobs", headers={"Cookie": "songbloom_key=sb_nonsense"}).status_code == 401
