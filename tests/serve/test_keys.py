"""API keys: who may come in, and what each sees."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from songbloom.serve.limits import RateLimit
from songbloom.serve.settings import ServeSettings
from tests.serve.server import REAL, ROOT, Server


def _create(data_dir: Path, *options: str) -> subprocess.CompletedProcess:
    command = [*REAL, "--data-dir", str(data_dir), *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A server with keys on, and the keys of ada, bob and (an admin) eve."""
    data_dir = tmp_path_factory.mktemp("keys")
    keys = {}
    for name, more in (("ada", ()), ("bob", ()), ("eve", ("--admin",))):
        keys[name] = _create(data_dir, "--create-key", name, *more).stdout.strip()
    server = Server(data_dir, workers=0, auth="on", rate_per_minute=240, max_jobs_per_key=3)
    yield server, keys
    server.stop()


def test_keys_are_shown_once_and_kept_hashed(guarded):
    server, keys = guarded
    assert all(key.startswith("sb_") and len(key) > 60 for key in keys.values()) and len(set(keys.values())) == 3
    stored = (server.data_dir / "jobs.sqlite").read_bytes() + server.log.read_bytes()
    secrets = [key.split("_", 2)[2] for key in keys.values()]  # a secret may hold "_" itself
    assert all(len(secret) == 43 and secret.encode() not in stored for secret in secrets)
    again = _create(server.data_dir, "--create-key", "ada")
    assert again.returncode == 2 and again.stdout == "" and "has a key already" in again.stderr


def test_without_a_key_only_the_open_paths_answer(guarded, clip):
    server, keys = guarded
    for path in ("/", "/health", "/docs", "/openapi.json"):
        assert server.client.get(path).status_code == 200, path
    wrong = keys["ada"][:-1] + ("a" if keys["ada"][-1] != "a" else "b")
    for headers in ({}, _bearer(wrong), _bearer("x"), {"X-API-Key": ""}, {"Authorization": "Basic eDp5"}):
        for method, path in (("GET", "/jobs"), ("GET", "/models"), ("GET", "/metrics"), ("POST", "/generate")):
            answer = server.client.request(method, path, headers=headers)
            assert answer.status_code == 401 and "www-authenticate" in answer.headers, (path, headers)


def test_a_key_sees_only_its_own_jobs(guarded, clip):
    server, keys = guarded
    ada, bob = _bearer(keys["ada"]), {"X-API-Key": keys["bob"]}
    job_id = server.accepted(clip, headers={**ada, "Idempotency-Key": "k"})
    assert server.job(job_id, headers=ada)["status"] == "pending"
    for method, path in (
        ("GET", f"/jobs/{job_id}"), ("GET", f"/jobs/{job_id}/events"), ("GET", f"/jobs/{job_id}/stream"),
        ("GET", f"/download/{job_id}/0"), ("POST", f"/jobs/{job_id}/cancel"), ("DELETE", f"/jobs/{job_id}"),
    ):  # fmt: skip
        assert server.client.request(method, path, headers=bob).status_code == 404, path
    assert server.client.get("/jobs", headers=bob).json()["jobs"] == []
    assert server.accepted(clip, headers={**bob, "Idempotency-Key": "k"}) != job_id
    assert server.job(job_id, headers=ada)["status"] == "pending"


def test_only_an_admin_may_load_models_and_read_metrics(guarded):
    server, keys = guarded
    for name, expected in (("ada", 403), ("eve", 202)):
        assert server.client.post("/load-model", headers=_bearer(keys[name])).status_code == expected
    assert server.client.get("/metrics", headers=_bearer(keys["ada"])).status_code == 403
    assert server.client.get("/metrics", headers=_bearer(keys["eve"])).status_code == 200


def test_a_key_may_have_so_many_unfinished_jobs(guarded, clip):
    server, keys = guarded
    eve = _bearer(keys["eve"])
    ids = [server.accepted(clip, headers=eve) for _ in range(3)]
    refused = server.submit(clip, headers=eve)
    assert refused.status_code == 429 and "retry-after" in refused.headers
    server.client.post(f"/jobs/{ids[0]}/cancel", headers=eve)
    assert server.submit(clip, headers=eve).status_code == 202


def test_too_many_requests_are_told_to_wait(guarded):
    server, keys = guarded
    answers = [server.client.get("/models", headers=_bearer(keys["bob"])) for _ in range(60)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused and all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert server.client.get("/models", headers=_bearer(keys["ada"])).status_code == 200


def test_a_revoked_key_is_useless(guarded):
    server, _ = guarded
    key = _create(server.data_dir, "--create-key", "tom").stdout.strip()
    assert server.client.get("/jobs", headers=_bearer(key)).status_code == 200
    assert _create(server.data_dir, "--revoke-key", "tom").returncode == 0
    assert server.client.get("/jobs", headers=_bearer(key)).status_code == 401
    with sqlite3.connect(server.data_dir / "jobs.sqlite") as database:
        assert database.execute("select count(*) from songbloom_keys where name = 'tom'").fetchone() == (0,)


def test_keys_are_on_wherever_others_could_come_from():
    assert not ServeSettings().auth_on
    assert ServeSettings(host="0.0.0.0").auth_on and ServeSettings(host="::").auth_on
    assert not ServeSettings(host="0.0.0.0", auth="off").auth_on and ServeSettings(auth="on").auth_on


def test_the_bucket_fills_again():
    now = [0.0]
    rate = RateLimit(60, clock=lambda: now[0])
    assert [rate.wait_s("a") for _ in range(11)] == [0] * 10 + [1]
    assert rate.wait_s("b") == 0
    now[0] += 1.0
    assert [rate.wait_s("a") for _ in range(2)] == [0, 1]


if sys.platform == "win32":
    pytestmark = pytest.mark.skip(reason="runs a server in a session of its own")
