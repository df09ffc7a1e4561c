"""``songbloom serve`` as a user starts it: the bundled model, a real song, heard while it is made."""

from __future__ import annotations

import io
import signal
import subprocess
import time

import numpy as np
import soundfile

from tests.serve.server import REAL, ROOT, Server

SETTINGS = {"seed": "1", "steps": "4", "max_duration": "8", "format": "wav"}


def test_the_bundled_model_makes_a_song_killed_or_not(tmp_path, clip):
    lyrics = (ROOT / "example/lyrics/lantern.txt").read_text()
    server = Server(tmp_path / "data", REAL)
    try:
        calm = server.accepted(clip, lyrics, **SETTINGS)
        with server.client.stream("GET", f"/jobs/{calm}/stream") as answer:
            heard = b"".join(answer.iter_bytes())
        job = server.ended(calm, timeout_s=120)
        assert job["status"] == "completed", job["error"]
        deadline = time.monotonic() + 20  # a worker tells of its model every two seconds
        while server.client.get("/ready").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert "workers" in server.client.get("/ready").json()
        song = server.client.get(f"/download/{calm}/0").content
        audio, rate = soundfile.read(io.BytesIO(song), dtype="float32")
        assert rate == 48000 and len(audio) / rate == job["samples"][0]["seconds"] and np.abs(audio).max() > 0.01
        lines = server.client.get(f"/download/{calm}/0/lines").json()["lines"]
        assert lines and all(0 <= line["start_s"] < line["end_s"] <= len(audio) / rate for line in lines)
        streamed, _ = soundfile.read(io.BytesIO(heard), dtype="float32")
        # Saving lowers a song that would clip; the stream is as composed, at one level from beginning to end.
        gain = np.abs(audio).max() / np.abs(streamed).max()
        assert streamed.shape == audio.shape and gain <= 1.001
        middle = np.abs(streamed) < 0.9  # the stream clips where the file is lowered
        scale = np.dot(streamed[middle], audio[middle]) / np.dot(streamed[middle], streamed[middle])
        assert np.abs(streamed * scale - audio)[middle].max() < 2e-3

        disturbed = server.accepted(clip, lyrics, **SETTINGS)
        server.until(disturbed, lambda job: job["progress"]["song_s"] > 1)
        server.kill_worker()
        assert server.ended(disturbed, timeout_s=120)["attempts"] == 2
        again, _ = soundfile.read(io.BytesIO(server.client.get(f"/download/{disturbed}/0").content), dtype="float32")
        assert again.shape == audio.shape and np.corrcoef(again.ravel(), audio.ravel())[0, 1] > 0.99  # but for rounding

        refused = server.accepted(clip, lyrics, max_duration="3000")
        assert server.ended(refused)["error"]["field"] == "max_duration"
    finally:
        server.stop()


def test_a_taken_port_is_one_line(tmp_path):
    server = Server(tmp_path / "data", workers=0)
    try:
        command = [*REAL, "--data-dir", str(tmp_path / "other"), "--port", str(server.settings["port"])]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
        assert done.returncode == 1 and "cannot listen" in done.stderr and "Traceback" not in done.stderr
    finally:
        server.stop()


def test_the_guides_command_takes_its_options_and_stops_on_ctrl_c(tmp_path):
    import sys

    settings = {"workers": 0, "host": "127.0.0.1"}
    server = Server(
        tmp_path / "data", (sys.executable, "api_server.py", "--host", "127.0.0.1", "--port", "0"), **settings
    )
    assert server.client.get("/docs").status_code == 200
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(60) in (0, 130)
    server.stop()
