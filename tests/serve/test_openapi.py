"""The description is complete: a client made from it works, and nothing answers otherwise than it says."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time

import pytest

from tests.serve.fuzz import SETTINGS, fuzz
from tests.serve.server import Server


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("openapi"), **SETTINGS)
    yield server
    server.stop()


def test_every_route_documents_its_answers(quick):
    schema = quick.client.get("/openapi.json").json()
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            good = [code for code in operation["responses"] if code.startswith("2")]
            assert good, (method, path)
            if "{job_id}" in path:
                assert {"404", "422", "503"} <= set(operation["responses"]), path
            for code, answer in operation["responses"].items():
                if int(code) >= 400:
                    assert "application/problem+json" in answer["content"], (path, code)
    assert "HTTPValidationError" not in json.dumps(schema)


def test_nothing_answers_otherwise_than_described(quick):
    pytest.importorskip("schemathesis")
    # Its waiting brother /generate/sync takes the same form; bench/serve_fuzz.py asks it too, and more of all.
    fewer = ("--phases", "coverage,fuzzing", "--exclude-path", "/generate/sync", "--seed", "1")
    report = fuzz(quick, 2, *fewer, timeout_s=300)
    assert not report.failed, report.text[-6000:]
    assert report.cases > 300
    assert " 500 " not in quick.log.read_text()


def test_a_generated_client_makes_a_song(quick, clip, tmp_path, monkeypatch):
    pytest.importorskip("openapi_python_client")
    schema = tmp_path / "openapi.json"
    schema.write_bytes(quick.client.get("/openapi.json").content)
    config = tmp_path / "config.yaml"
    names = "project_name_override: made\npackage_name_override: made_client\npost_hooks: []\n"
    kinds = ("audio/flac", "audio/wav", "audio/mpeg", "audio/ogg", "application/zip")
    binary = "".join(f"  {kind}: application/octet-stream\n" for kind in kinds)  # it knows no other
    config.write_text(f"{names}content_type_overrides:\n{binary}")
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", schema, "--meta", "none",
               "--output-path", tmp_path / "made_client", "--config", config, "--fail-on-warning"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.syspath_prepend(tmp_path)
    made = importlib.import_module("made_client")
    types = importlib.import_module("made_client.types")
    models = importlib.import_module("made_client.models")
    client = made.Client(base_url=quick.url)
    generate = importlib.import_module("made_client.api.generate.generate")
    get_job = importlib.import_module("made_client.api.jobs.get_job")
    download = importlib.import_module("made_client.api.audio.download")
    with clip.open("rb") as file:
        form = models.GenerateForm(lyrics="hello", prompt_audio=types.File(payload=file, file_name="a.wav"), seed=3)
        job = generate.sync(client=client, body=form)
    assert isinstance(job, models.JobView), job
    deadline = time.monotonic() + 60
    while (job := get_job.sync(job.job_id, client=client)).status != "completed":
        assert time.monotonic() < deadline, job
        time.sleep(0.05)
    assert job.samples[0].seed == 3
    song = download.sync_detailed(job.job_id, 0, client=client)
    assert song.status_code == 200 and song.content[:4] == b"fLaC"
    missing = get_job.sync("0" * 32, client=client)
    assert isinstance(missing, models.Problem) and missing.status == 404
