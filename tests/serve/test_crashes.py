"""kill -9 and restarts: what was accepted is made, once."""

from __future__ import annotations

import io
import random
import sqlite3

import soundfile

from songbloom.request import SongSettings
from songbloom.serve.records import SongOrder
from songbloom.serve.storage import block_key
from tests.serve.fake_worker import FakeComposer


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
