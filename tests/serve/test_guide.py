"""The guide's client, word for word but for the address and the wait between its steps."""

from __future__ import annotations

import shutil
import time

import pytest
import soundfile

requests = pytest.importorskip("requests")

GUIDE = """
import requests

# Generate music
files = {'prompt_audio': open('prompt.wav', 'rb')}
data = {
    'lyrics': 'Verse 1:\\nIn the morning light...',
    'num_samples': 2,
    'cfg_coef': 1.5,
    'steps': 50
}

response = requests.post('http://localhost:8000/generate', files=files, data=data)
job_id = response.json()['job_id']

# Check status
status = requests.get(f'http://localhost:8000/jobs/{job_id}')
print(status.json())

# Download when complete
audio = requests.get(f'http://localhost:8000/download/{job_id}/0')
with open('output.flac', 'wb') as f:
    f.write(audio.content)
"""


def test_the_guides_client(server, clip, tmp_path, monkeypatch):
    shutil.copy(clip, tmp_path / "prompt.wav")
    monkeypatch.chdir(tmp_path)
    code = GUIDE.replace("http://localhost:8000", server.url)
    before, after = code.split("# Download when complete")
    names: dict = {}
    exec(before, names)
    statuses = {names["status"].json()["status"]}
    while (status := server.job(names["job_id"])["status"]) in ("pending", "processing"):
        statuses.add(status)
        time.sleep(0.02)
    exec(after, names)
    assert status == "completed"
    assert statuses <= {"pending", "processing", "completed"}
    assert soundfile.info(tmp_path / "output.flac").duration == pytest.approx(3.2)
    second = server.client.get(f"/download/{names['job_id']}/1")
    assert second.status_code == 200
    assert second.content != names["audio"].content
