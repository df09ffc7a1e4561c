"""kill -9 and restarts: what was accepted is made, once."""

from __future__ import annotations

import io
import os
import random
import signal
import sqlite3
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import soundfile

from songbloom.request import SongSettings
from songbloom.serve.records import SongOrder
from songbloom.serve.storage import block_key
from tests.serve.fake_worker import FakeComposer
from tests.serve.server import FAKE, ROOT


def _audio(server, job_id):
    audio, _ = soundfile.read(io.BytesIO(server.client.get(f"/download/{job_id}/0").content))
    return audio.tobytes()


def _undisturbed(tmp_path, seed, max_duration):
    """The song as it is when nothing is killed."""
    order = SongOrder("", SongSettings(seed=seed, max_duration=max_duration), format="wav")
    composer = FakeComposer("m")
    song = composer.song(order, seed, list(composer.compose(order, seed, ())))
    song.save(tmp_path / "calm.wav")
    return soundfile.read(tmp_path / "calm.wav")[0].tobytes()


def test_a_killed_workers_song_goes_on_where_it_was(make_server, clip, tmp_path):
    wanted = {"seed": "3", "max_duration": "32", "format": "wav"}
    expected = _undisturbed(tmp_path, 3, 32)
    server = make_server(fake_block_s=0.05)
    job_id = server.accepted(clip, **wanted)
    server.until(job_id, lambda job: job["progress"]["song_s"] > 5)
    first = server.data_dir / "storage" / block_key(job_id, 0, 0)
    made = first.stat().st_mtime_ns
    killed = server.kill_worker()
    job = server.until(job_id, lambda job: job["attempts"] == 2)
    assert first.stat().st_mtime_ns == made  # not made again
    job = server.ended(job_id)
    assert job["status"] == "completed" and _audio(server, job_id) == expected
    assert killed not in server.workers()


def test_kill_minus_nine_of_anything_loses_nothing(make_server, clip, tmp_path):
    """Three rounds; bench/serve_kill.py does fifty."""
    wanted = {"seed": "3", "max_duration": "16", "format": "wav"}
    expected = _undisturbed(tmp_path, 3, 16)
    server = make_server(fake_block_s=0.04, max_attempts=20)
    chance, ids = random.Random(1), []
    for kill in (server.kill, server.kill_worker, server.kill):
        ids += [server.accepted(clip, **wanted) for _ in range(2)]
        part = chance.uniform(1, 12)
        server.until(ids[-2], lambda job, part=part: job["progress"]["song_s"] > part or job["finished_at"])
        kill()
        if kill == server.kill:
            server.start()
    for job_id in ids:
        assert server.ended(job_id)["status"] == "completed"
        assert _audio(server, job_id) == expected
    assert len(server.client.get("/jobs").json()["jobs"]) == len(ids)  # a restart keeps the list
    server.gone("blocks", ".part", "checks")


def test_stopping_in_order_puts_the_job_back(make_server, clip):
    server = make_server(fake_block_s=0.05)
    job_id = server.accepted(clip, max_duration="32")
    server.until(job_id, lambda job: job["progress"]["song_s"] > 3)
    server.stop()
    assert server.process.returncode == 0
    with sqlite3.connect(server.data_dir / "jobs.sqlite") as database:
        assert database.execute("select status, attempts, run from songbloom_jobs").fetchone() == ("pending", 0, None)
    server.start()
    assert server.ended(job_id)["status"] == "completed"


def test_who_waits_when_the_server_stops_is_told(make_server, clip):
    server = make_server(workers=0)
    job_id = server.accepted(clip)

    def waits() -> tuple[int, str]:
        with clip.open("rb") as file:
            data = {"lyrics": "waiting"}
            answer = server.client.post("/generate/sync", files={"prompt_audio": file}, data=data)
        return answer.status_code, answer.json()["status"]

    def follows() -> list[str]:
        with server.client.stream("GET", f"/jobs/{job_id}/events") as answer:
            return list(answer.iter_lines())

    with ThreadPoolExecutor() as pool:
        waiting, following = pool.submit(waits), pool.submit(follows)
        deadline = time.monotonic() + 60
        while len(server.client.get("/jobs").json()["jobs"]) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(1)  # for the events to be open; were they not, their end would come sooner still
        server.process.terminate()
        assert waiting.result(30) == (202, "pending")
        assert any(line.startswith("event: progress") for line in following.result(30))
    assert server.process.wait(60) == 0
    assert "Traceback" not in server.log.read_text()


def test_a_server_that_is_stopped_while_it_starts_ends(tmp_path):
    environment = os.environ | {"SONGBLOOM_DATA_DIR": str(tmp_path / "data"), "SONGBLOOM_PORT": "0"}
    options = {"cwd": ROOT, "env": environment, "stderr": subprocess.DEVNULL, "start_new_session": True}
    with subprocess.Popen(FAKE, **options) as starting:
        while not (tmp_path / "data" / "jobs.sqlite").exists():
            assert starting.poll() is None
            time.sleep(0.01)
        starting.send_signal(signal.SIGTERM)
        assert starting.wait(60) == 0
