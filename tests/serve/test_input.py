"""What a client may send: every field, every file, every trick. The API process alone, without workers."""

from __future__ import annotations

import dataclasses
import os
import re
import socket
import struct
import subprocess
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from songbloom.request import SongSettings
from songbloom.serve.schemas import GenerateForm
from songbloom.serve.storage import OWNER_KEY
from tests.serve.server import Server


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    server = Server(
        tmp_path_factory.mktemp("api"), workers=0, max_upload_mb=2, max_upload_s=30, max_queue=100_000,
        upload_timeout_s=3,
    )  # fmt: skip
    yield server
    server.stop()


BAD_FIELDS = [
    ("lyrics", ""), ("lyrics", "   \n"), ("lyrics", "a\0b"), ("lyrics", "x" * 20_001),
    ("num_samples", "0"), ("num_samples", "6"), ("num_samples", "1.5"), ("num_samples", "two"),
    ("cfg_coef", "nan"), ("cfg_coef", "inf"), ("cfg_coef", "-1"), ("cfg_coef", "5.1"), ("cfg_coef", "1e999"),
    ("steps", "0"), ("steps", "101"), ("steps", "9" * 400), ("steps", "ten"),
    ("top_k", "-1"), ("top_k", "1001"), ("top_p", "1.01"), ("top_p", "nan"),
    ("temperature", "-0.1"), ("temperature", "inf"), ("diffusion_temperature", "2"),
    ("max_duration", "0"), ("max_duration", "-inf"), ("max_duration", "3601"),
    ("guidance", "odd"), ("seed", "-1"), ("seed", str(2**63)), ("seed", "9" * 5000), ("seed", "1e3"),
    ("prompt_start", "nan"), ("prompt_start", "-1"), ("format", "exe"), ("format", "../x"),
    ("idx", "../../etc/passwd"), ("idx", ".hidden"), ("idx", "a/b"), ("idx", "x" * 101),
    ("min_p", "2"), ("guidance_from", "-0.1"), ("guidance_to", "nan"), ("solver", "magic"),
    ("priority", "0"), ("priority", "11"), ("unknown", "1"), ("prompt_wav", "/etc/passwd"), ("model", "x"),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), BAD_FIELDS, ids=lambda value: value[:12])
def test_a_bad_field_is_refused_by_name(api, clip, field, value):
    fields = {field: value}
    answer = api.submit(clip, fields.pop("lyrics", "hello"), **fields)
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in problem["errors"]] == [field]
    assert problem["request_id"] == answer.headers["x-request-id"]


def test_limits_themselves_are_accepted(api, clip):
    fields = {
        "num_samples": "5",
        "cfg_coef": "0",
        "steps": "100",
        "top_k": "1000",
        "seed": str(2**63 - 1),
        "idx": "A.b-_",
    }
    assert api.submit(clip, "x" * 20_000, **fields).status_code == 202


def test_every_setting_of_a_song_can_be_sent(api, clip):
    assert {entry.name for entry in dataclasses.fields(SongSettings)} <= set(GenerateForm.model_fields)
    crossed = api.submit(clip, guidance_from="0.2", guidance_to="0.8")
    assert crossed.status_code == 422 and crossed.json()["errors"][0]["field"] == "guidance_to"


def test_missing_parts(api, clip):
    answer = api.client.post("/generate", data={"lyrics": "a"})
    assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == "prompt_audio"
    assert api.client.post("/generate", data={"lyrics": "a", "prompt_audio": "/etc/passwd"}).status_code == 422
    assert api.client.post("/generate", content=b"{", headers={"content-type": "application/json"}).status_code == 422
    broken = api.client.post("/generate", content=b"--x", headers={"content-type": "multipart/form-data; boundary=x"})
    assert broken.status_code in (400, 422) and "request_id" in broken.json()
    none = api.client.post("/generate", content=b"--x", headers={"content-type": "multipart/form-data"})
    assert none.status_code in (400, 422)


def _flac_of_zeros(path: Path, seconds: int) -> None:
    soundfile.write(path, np.zeros(seconds * 48000, np.int16), 48000, format="FLAC")


def _bad_files(folder: Path) -> dict[str, bytes]:
    _flac_of_zeros(folder / "long.flac", 600)
    _flac_of_zeros(folder / "silent.flac", 2)
    tone = np.sin(np.arange(48000 * 2) / 30)
    soundfile.write(folder / "short.wav", tone[:4800], 48000)
    broken = np.full(96000, np.nan, np.float32)
    soundfile.write(folder / "nan.wav", broken, 48000, subtype="FLOAT")
    lying = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 2**32 - 1, b"WAVE", b"fmt ", 16, 1, 65535, 48000, 1, 1, 8, b"data", 2**32 - 1
    )
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    return files | {
        "empty": b"", "text": b"not audio at all" * 100, "zip": b"PK\3\4" + zlib.compress(bytes(10**6)),
        "mp4": b"\0\0\0\x18ftypmp42" + bytes(100), "lying": lying + bytes(1000), "half": files["long.flac"][:5000],
        "random": np.random.default_rng(0).bytes(100_000),
    }  # fmt: skip


def test_files_that_are_no_style_clip(api, tmp_path):
    for name, data in _bad_files(tmp_path).items():
        path = tmp_path / name
        path.write_bytes(data)
        before = api.files()
        answer = api.submit(path)
        assert answer.status_code == 422, (name, answer.text)
        assert answer.json()["errors"][0]["field"] == "prompt_audio", name
        assert str(api.data_dir) not in answer.text and str(tmp_path) not in answer.text
        assert api.files() == before and not list((api.data_dir / "uploads").iterdir())
    assert len((tmp_path / "long.flac").read_bytes()) < 2_000_000  # so it was its seconds that were too many


def test_a_clip_that_starts_beyond_its_end(api, clip):
    answer = api.submit(clip, prompt_start="100")
    assert answer.status_code == 422


def test_too_many_bytes(api, tmp_path):
    path = tmp_path / "large.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-1, 1, (48000 * 15, 2)), 48000)  # 2.9 MB
    answer = api.submit(path)
    assert answer.status_code == 413 and answer.json()["errors"][0]["field"] == "prompt_audio"

    def endless():
        yield b'--x\r\nContent-Disposition: form-data; name="prompt_audio"; filename="a"\r\n\r\n'
        for _ in range(60):
            yield bytes(100_000)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    assert api.client.post("/generate", content=endless(), headers=headers).status_code == 413
    many = {f"field{n}": "x" for n in range(2000)}
    assert api.client.post("/generate", data=many, files={"prompt_audio": b"x"}).status_code in (400, 422)


def test_a_client_that_never_finishes_is_let_go(api):
    port = api.settings["port"]
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        head = "POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        connection.sendall(f"{head}Content-Length: 1000\r\n\r\n--x".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("name", ["../../../etc/cron.d/x", "/etc/passwd", "..\\..\\x.wav", "a\tb.wav", "é" * 300])
def test_a_clients_file_name_is_never_used(api, clip, name):
    with clip.open("rb") as file:
        answer = api.client.post("/generate", data={"lyrics": "a"}, files={"prompt_audio": (name, file)})
    assert answer.status_code == 202
    pattern = r"jobs/[0-9a-f]{32}/prompt_audio"
    assert all(re.fullmatch(pattern, path) for path in api.files() if path != OWNER_KEY)
    if os.name == "posix":
        assert (api.data_dir / "storage").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("job_id", ["../../etc/passwd", "..%2f..%2fetc", "x", "%00", "a" * 5000, "0" * 32])
def test_job_ids_that_are_none(api, job_id):
    for path in (f"/jobs/{job_id}", f"/download/{job_id}/0", f"/jobs/{job_id}/stream", f"/jobs/{job_id}/events"):
        assert api.client.get(path).status_code in (404, 422), path
    assert api.client.get(f"/download/{'0' * 32}/-1").status_code == 422
    assert api.client.get(f"/download/{'0' * 32}/{'9' * 5000}").status_code == 422


def test_models(api):
    body = api.client.get("/models").json()
    assert body["current"] == "songbloom_mini"
    assert [model["present"] for model in body["models"] if model["name"] == "songbloom_mini"] == [True]
    assert api.client.post("/load-model", json={"model_name": "/etc"}).status_code == 404
    assert api.client.post("/load-model", json={"model_name": "songbloom_full_150s"}).status_code == 409
    assert api.client.post("/load-model", json={"model_nam": "x"}).status_code == 422
    assert api.client.post("/load-model").status_code == 202
    answer = api.client.post("/load-model", json={"model_name": "songbloom_mini"})
    assert answer.status_code == 202 and answer.json() == {"model_name": "songbloom_mini", "status": "loading"}


def test_what_the_service_tells_of_itself(api, clip):
    assert api.client.get("/").json()["docs"] == "/docs"
    health = api.client.get("/health", headers={"X-Request-ID": "my-id.1"})
    assert health.json()["status"] == "ok" and health.headers["x-request-id"] == "my-id.1"
    deadline = time.monotonic() + 10
    while "my-id.1 GET /health 200" not in api.log.read_text():
        assert time.monotonic() < deadline
    assert api.client.get("/health", headers={"X-Request-ID": "a b\x7f"}).headers["x-request-id"] != "a b\x7f"
    assert api.client.get("/docs").status_code == 200
    not_ready = api.client.get("/ready")  # there is no worker
    assert not_ready.status_code == 503 and "retry-after" in not_ready.headers
    api.accepted(clip)
    metrics = api.client.get("/metrics").text
    assert 'songbloom_jobs{status="pending"}' in metrics and "songbloom_database_up 1.0" in metrics
    assert 'songbloom_requests_total{method="GET",route="/health",status="200"}' in metrics
    odd = api.client.get("/nowhere")
    assert odd.status_code == 404 and odd.headers["content-type"] == "application/problem+json"
    assert api.client.put("/generate").status_code == 405
    assert "access-control-allow-origin" not in api.client.get("/", headers={"Origin": "https://x.example"}).headers


def test_the_api_process_never_loads_torch():
    code = "import sys, songbloom.serve.api, songbloom.serve.run; sys.exit('torch' in sys.modules)"
    assert subprocess.run([os.sys.executable, "-c", code]).returncode == 0
