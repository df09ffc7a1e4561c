"""Jobs over HTTP: made, listed, repeated, cancelled, deleted, failed."""

from __future__ import annotations

import http.client
import io
import json
import time
import zipfile

import pytest
import soundfile

SLOW = {"max_duration": "600"}  # blocks enough to be caught in the act


def test_a_job_from_beginning_to_end(server, clip):
    answer = server.submit(clip, num_samples="2", seed="7", format="wav", idx="My-Song", priority="2")
    assert answer.status_code == 202
    begun = answer.json()
    assert begun["status"] in ("pending", "processing") and begun["settings"]["seed"] == 7
    job = server.ended(begun["job_id"])
    assert job["status"] == "completed" and job["attempts"] == 1 and job["error"] is None
    assert [(s["sample_id"], s["seed"]) for s in job["samples"]] == [(0, 7), (1, 8)]
    song = server.client.get(job["samples"][1]["url"])
    assert song.headers["content-type"] == "audio/wav" and "My-Song_1.wav" in song.headers["content-disposition"]
    assert soundfile.info(io.BytesIO(song.content)).duration == pytest.approx(job["samples"][1]["seconds"])
    server.gone(f"{job['job_id']}/blocks", ".part")


def test_the_same_seed_makes_the_same_song(server, clip):
    first, second = (server.accepted(clip, seed="5", format="wav") for _ in range(2))
    songs = []
    for job_id in (first, second):
        server.ended(job_id)
        audio, _ = soundfile.read(io.BytesIO(server.client.get(f"/download/{job_id}/0").content))
        songs.append(audio.tobytes())
    assert songs[0] == songs[1]


def test_a_part_of_a_song(server, clip):
    job_id = server.accepted(clip)
    server.ended(job_id)
    whole = server.client.get(f"/download/{job_id}/0").content
    part = server.client.get(f"/download/{job_id}/0", headers={"Range": "bytes=100-199"})
    assert part.status_code == 206 and part.content == whole[100:200]
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole)}"
    assert server.client.get(f"/download/{job_id}/0", headers={"Range": "bytes=-50"}).content == whole[-50:]
    assert server.client.get(f"/download/{job_id}/0", headers={"Range": "bytes=99999999-"}).status_code == 416
    assert server.client.get(f"/download/{job_id}/1").status_code == 404


def test_sync_answers_with_the_song_and_with_a_zip_of_several(server, clip):
    def sync(**fields):
        with clip.open("rb") as file:
            data = {"lyrics": "hello", **fields}
            return server.client.post("/generate/sync", files={"prompt_audio": file}, data=data)

    one = sync(format="ogg")
    assert one.status_code == 200 and one.headers["content-type"] == "audio/ogg" and one.content[:4] == b"OggS"
    assert server.job(one.headers["x-job-id"])["status"] == "completed"
    several = sync(num_samples="2")
    names = zipfile.ZipFile(io.BytesIO(several.content)).namelist()
    assert names == ["song_0.flac", "song_1.flac"]
    assert sync(lyrics="!cannot").status_code == 422
    assert "secret" not in sync(lyrics="!bug").text


def test_a_client_that_leaves_does_not_lose_its_song(server, clip):
    with clip.open("rb") as file:
        form = {"files": {"prompt_audio": file}, "data": {"lyrics": "leaving", "max_duration": "120"}}
        request = server.client.build_request("POST", "/generate/sync", **form)
        body = request.read()
    connection = http.client.HTTPConnection(request.url.netloc.decode(), timeout=60)
    connection.request("POST", "/generate/sync", body, dict(request.headers))
    deadline = time.monotonic() + 60
    while not (jobs := [job for job in server.client.get("/jobs").json()["jobs"] if job["lyrics"] == "leaving"]):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    connection.close()
    assert jobs[0]["finished_at"] is None
    assert server.ended(jobs[0]["job_id"])["status"] == "completed"


def test_the_same_key_is_the_same_job(server, clip, tmp_path):
    headers = {"Idempotency-Key": "once"}
    first = server.accepted(clip, headers=headers)
    assert server.accepted(clip, headers=headers) == first
    other = server.submit(clip, steps="20", headers=headers)
    assert other.status_code == 409 and other.headers["content-type"] == "application/problem+json"
    changed = tmp_path / "other.wav"
    soundfile.write(changed, soundfile.read(clip)[0] * 0.5, 48000)
    assert server.submit(changed, headers=headers).status_code == 409
    server.ended(first)
    assert server.accepted(clip, headers=headers) == first
    assert server.client.delete(f"/jobs/{first}").status_code == 204
    assert server.accepted(clip, headers=headers) != first


def test_cancelling_a_waiting_and_a_running_job(server, clip):
    running = server.accepted(clip, **SLOW)
    waiting = server.accepted(clip)
    server.until(running, lambda job: job["progress"]["song_s"] > 0)
    assert server.job(waiting)["queue_position"] == 0
    cancelled = server.client.post(f"/jobs/{waiting}/cancel").json()
    assert cancelled["status"] == "cancelled" and cancelled["queue_position"] is None
    server.client.post(f"/jobs/{running}/cancel")
    job = server.ended(running, timeout_s=30)
    assert job["status"] == "cancelled" and job["progress"]["song_s"] < 600
    assert server.client.get(f"/download/{running}/0").status_code == 404
    following = server.accepted(clip)
    assert server.ended(following)["status"] == "completed"
    assert server.client.post(f"/jobs/{following}/cancel").json()["status"] == "completed"
    assert server.job(waiting)["attempts"] == 0


def test_deleting_removes_every_file(server, clip):
    done, running = server.accepted(clip), server.accepted(clip, **SLOW)
    waiting = server.accepted(clip)
    server.until(running, lambda job: job["progress"]["song_s"] > 0)
    for job_id in (done, running, waiting):
        assert server.client.delete(f"/jobs/{job_id}").status_code == 204
        assert server.client.get(f"/jobs/{job_id}").status_code == 404
        assert server.client.delete(f"/jobs/{job_id}").status_code == 404
    server.gone(done, running, waiting)


def test_a_bad_job_fails_and_its_worker_lives(server, clip):
    worker = server.workers()
    cannot, bug = server.accepted(clip, "!cannot"), server.accepted(clip, "!bug")
    assert server.ended(cannot)["error"] == {"field": "lyrics", "message": "lyrics: cannot be sung"}
    failed = server.ended(bug)
    assert failed["status"] == "failed" and "secret" not in json.dumps(failed)
    assert server.ended(server.accepted(clip))["status"] == "completed"
    assert server.workers() == worker


def test_a_job_that_kills_its_workers_fails_after_so_many_tries(make_server, clip):
    server = make_server(max_attempts=2)
    deadly, good = server.accepted(clip, "!die", priority="1"), server.accepted(clip)
    job = server.ended(deadly)
    assert job["status"] == "failed" and "2 times" in job["error"]["message"]
    assert server.ended(good)["status"] == "completed"


def test_the_list_is_paged_and_filtered(make_server, clip):
    server = make_server(workers=0)
    ids = [server.accepted(clip) for _ in range(5)]
    server.client.post(f"/jobs/{ids[1]}/cancel")
    first = server.client.get("/jobs", params={"limit": 3}).json()
    second = server.client.get("/jobs", params={"limit": 3, "before": first["next"]}).json()
    assert [job["job_id"] for job in first["jobs"] + second["jobs"]] == ids[::-1]
    assert second["next"] is None
    pending = server.client.get("/jobs", params={"status": "pending"}).json()["jobs"]
    assert [job["job_id"] for job in pending] == [ids[4], ids[3], ids[2], ids[0]]
    assert server.client.get("/jobs", params={"status": "odd"}).status_code == 422
    assert server.client.get("/jobs", params={"stauts": "pending"}).status_code == 422


def test_priority_comes_first(make_server, clip):
    server = make_server(workers=0)
    late, usual, early = (server.accepted(clip, priority=p) for p in ("9", "5", "1"))
    assert [server.job(job_id)["queue_position"] for job_id in (late, usual, early)] == [2, 1, 0]
    server.stop()
    server.settings["workers"] = 1
    server.start()
    jobs = [server.ended(job_id) for job_id in (late, usual, early)]
    order = sorted(jobs, key=lambda job: job["started_at"])
    assert [job["job_id"] for job in order] == [early, usual, late]


def test_a_full_queue_refuses_and_leaks_nothing(make_server, clip):
    server = make_server(workers=0, max_queue=2)
    ids = [server.accepted(clip) for _ in range(2)]
    before = server.files()
    refused = server.submit(clip)
    assert refused.status_code == 429 and int(refused.headers["retry-after"]) > 0
    assert refused.json()["type"] == "urn:songbloom:problem:queue-full"
    assert server.files() == before and not list((server.data_dir / "uploads").iterdir())
    server.client.post(f"/jobs/{ids[0]}/cancel")
    assert server.submit(clip).status_code == 202
