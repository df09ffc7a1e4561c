"""`songbloom generate --stream -` and `--batch-size`."""

from __future__ import annotations

import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from songbloom import audio
from songbloom.audio.wav_stream import pcm16, wav_header
from tests.conftest import LYRICS


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "songbloom.cli", "generate", *map(str, arguments)]


def test_the_stream_is_the_song(run, clip, quick, tmp_path):
    one = ["--lyrics", LYRICS, "--prompt-wav", clip, *quick]
    piped = subprocess.run(command(*one, "--stream", "-"), capture_output=True, check=True).stdout
    assert piped[:4] == b"RIFF" and not (tmp_path / "out").exists()
    assert run("generate", *one, "--format", "wav").code == 0
    saved, rate = audio.read(tmp_path / "out" / "song.wav")
    heard = np.frombuffer(piped[44:], "<i2").reshape(-1, 2).T / 32767
    assert heard.shape == saved.shape
    quiet = np.abs(heard) < 0.85  # louder samples are bent in the stream; the file as a whole may be scaled down
    gain = (heard * saved)[quiet].sum() / (saved**2)[quiet].sum()
    assert gain >= 0.99 and np.abs(heard - gain * saved)[quiet].max() < 2e-3


def test_a_listener_who_leaves_is_no_error(clip, quick):
    one = ["--lyrics", LYRICS, "--prompt-wav", clip, *quick, "--max-duration", 20]
    with subprocess.Popen(command(*one, "--stream", "-"), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.read(100)
        process.stdout.close()
        said = process.stderr.read().decode()
        assert process.wait() == 0 and "Traceback" not in said and "BrokenPipe" not in said


@pytest.mark.parametrize("extra", [["--stream", "file.wav"], ["--stream", "-", "--n-samples", 2]])
def test_only_one_song_is_streamed_and_only_to_standard_output(run, clip, quick, extra):
    outcome = run("generate", "--lyrics", LYRICS, "--prompt-wav", clip, *quick, *extra)
    assert outcome.code == 2 and "stream" in outcome.err


def test_the_header_is_one_that_wave_reads(tmp_path: Path):
    samples = np.linspace(-0.5, 0.5, 200, dtype=np.float32).reshape(2, 100)
    (tmp_path / "a.wav").write_bytes(wav_header(48000, 2) + pcm16(samples))
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (48000, 2, 2)
        read = np.frombuffer(file.readframes(100), "<i2").reshape(-1, 2).T / 32767
    np.testing.assert_allclose(read, samples, atol=2e-5)


def test_peaks_are_bent_and_the_rest_is_left():
    levels = np.array([[0.0, 0.5, 0.89, 0.95, 1.5, 6.0, -6.0]], np.float32)
    heard = np.frombuffer(pcm16(levels), "<i2") / 32767
    np.testing.assert_allclose(heard[:3], levels[0, :3], atol=2e-5)
    assert 0.89 < heard[3] < heard[4] <= heard[5] <= 1.0 and heard[6] == -heard[5]


def test_songs_of_a_file_are_made_side_by_side(run, quick, lines, tmp_path):
    path = lines(*({"idx": f"s{i}", "lyrics": f"[verse]\n{'hello ' * (i + 1)}", "seed": i} for i in range(3)))
    assert run("generate", "--input-jsonl", path, *quick, "--batch-size", 2).code == 0
    together = [audio.read(tmp_path / "out" / f"s{i}.flac")[0] for i in range(3)]
    assert run("generate", "--input-jsonl", path, *quick, "--overwrite").code == 0
    for i, song in enumerate(together):
        alone = audio.read(tmp_path / "out" / f"s{i}.flac")[0]
        assert alone.shape == song.shape and np.abs(alone - song).max() < 2e-3


def test_a_bad_batch_size_is_refused(run, clip, quick):
    outcome = run("generate", "--lyrics", LYRICS, "--prompt-wav", clip, *quick, "--batch-size", 0)
    assert outcome.code == 2 and "batch_size" in outcome.err


def test_a_bad_row_beside_the_streamed_one_counts(lines, quick):
    path = lines({"idx": "a"}, "{")
    done = subprocess.run(command("--input-jsonl", path, *quick, "--stream", "-"), capture_output=True)
    assert done.returncode == 1 and done.stdout[:4] == b"RIFF" and b"line 2" in done.stderr
