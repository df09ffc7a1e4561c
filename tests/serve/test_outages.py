"""Storage and database away: clear errors, and everything goes on by itself."""

from __future__ import annotations

import sqlite3
import time


def test_a_storage_that_is_gone_for_a_while(make_server, clip):
    server = make_server(fake_block_s=0.05)
    running = server.accepted(clip, max_duration="50")
    done = server.accepted(clip, priority="1")
    server.until(running, lambda job: job["progress"]["song_s"] > 1)
    storage, aside = server.data_dir / "storage", server.data_dir / "aside"
    storage.rename(aside)
    storage.write_text("a file where the folder was")
    refused = server.submit(clip)
    assert refused.status_code == 503 and "retry-after" in refused.headers
    assert refused.headers["content-type"] == "application/problem+json"
    assert server.client.get("/ready").status_code == 503
    server.until(running, lambda job: job["progress"]["note"] == "waiting for the storage")
    storage.unlink()
    aside.rename(storage)
    for job_id in (running, done):
        job = server.ended(job_id)
        assert job["status"] == "completed" and job["attempts"] == 1
        assert server.client.get(f"/download/{job_id}/0").status_code == 200


def test_a_job_that_waits_for_the_storage_can_be_cancelled(make_server, clip):
    server = make_server(fake_block_s=0.05)
    job_id = server.accepted(clip, max_duration="60")
    server.until(job_id, lambda job: job["progress"]["song_s"] > 1)
    storage, aside = server.data_dir / "storage", server.data_dir / "aside"
    storage.rename(aside)
    storage.write_text("a file where the folder was")
    server.until(job_id, lambda job: job["progress"]["note"])
    server.client.post(f"/jobs/{job_id}/cancel")
    assert server.ended(job_id)["status"] == "cancelled"
    storage.unlink()
    aside.rename(storage)


def test_a_database_that_another_holds(make_server, clip):
    server = make_server(fake_block_s=0.05)
    running = server.accepted(clip, max_duration="50")
    server.until(running, lambda job: job["progress"]["song_s"] > 1)
    other = sqlite3.connect(server.data_dir / "jobs.sqlite", isolation_level=None, timeout=30)
    other.execute("BEGIN EXCLUSIVE")
    try:
        began = time.monotonic()
        refused = server.submit(clip)
        assert refused.status_code == 503 and "retry-after" in refused.headers
        assert time.monotonic() - began < 30
        assert server.job(running)["status"] == "processing"  # readers are not disturbed
    finally:
        other.execute("ROLLBACK")
        other.close()
    assert server.ended(running)["status"] == "completed"
    assert server.ended(server.accepted(clip))["status"] == "completed"
