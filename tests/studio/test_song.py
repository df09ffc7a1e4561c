"""A song from beginning to end with the bundled model, in a browser, as a user makes it."""

from __future__ import annotations

import re
import sys

import soundfile

from tests.serve.server import ROOT, Server

APP = (sys.executable, "app.py", "--server-port", "0", "--server-name", "127.0.0.1", "--auto-load-model")
LYRICS = (ROOT / "example/lyrics/lantern.txt").read_text()


def test_a_song_is_written_heard_kept_and_found_after_a_restart(visit, tmp_path):
    server = Server(tmp_path / "data", APP)
    try:
        page = visit(server)
        assert page.page.url.endswith("/studio/")  # sent there from the guide's address
        page.write(LYRICS)
        page.find(".sb-plan").wait_for()
        page.choose("Folk")
        page.title("Lantern of the test")
        page.settings()
        page.find("#sb-preset").get_by_label("Quick sketch").check()
        page.longest(6)
        page.seed("1")
        job_id = page.made()

        card = page.card(job_id)
        far, heard = [], []

        def watched() -> bool:
            state = card.evaluate_all("cards => cards.map(card => ({...card.dataset}))")
            if state and state[0].get("status") == "processing":
                far.append(float(state[0].get("songS") or 0))
                heard.append(int(state[0].get("bytes") or 0))
            return card.locator(".sb-download").count() > 0

        page.until(watched)
        assert far == sorted(far) and len({seconds for seconds in far if seconds}) > 1, "progress moves"
        assert max(heard) > 48_000, "sound before the end"

        with page.page.expect_download() as download:
            card.locator(".sb-download").click()
        assert download.value.suggested_filename == "Lantern-of-the-test_0.flac"
        audio, rate = soundfile.read(download.value.path())
        assert rate == 48_000 and 1 < len(audio) / rate < 7 and abs(audio).max() > 0.01
        assert page.hosts == {"127.0.0.1"}

        server.stop()
        server.command = (sys.executable, "app.py", "--server-port", str(server.settings["port"]))
        server.start()
        again = visit(server)
        again.tab(1)
        found = again.card(job_id, "#sb-library")
        found.wait_for()
        assert found.locator("h3").inner_text() == "Lantern of the test"
        found.get_by_role("button", name="Play").click()
        again.find("#sb-player").get_by_role("button", name="Pause").wait_for()
        again.until(lambda: not re.match("0:00 / 0:00", again.find("#sb-player .sb-times").inner_text()))
    finally:
        server.stop()
