"""A tiny model with the reference set's weights, and a style clip, for every test that makes a song."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

GOLDENS = Path(__file__).parent / "goldens" / "set_a"
LYRICS = "[verse] hello world"


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory) -> Path:
    """A model in our own form: songs of up to 20 s, blocks of 0.64 s, 60 lyric tokens."""
    from songbloom.checkpoints.load import load_folder, save_native

    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_native(folder, load_folder(GOLDENS))
    return folder


@pytest.fixture(scope="session")
def tiny(tiny_folder):
    import songbloom

    return songbloom.load(str(tiny_folder), device="cpu")


@pytest.fixture(scope="session")
def clip(tmp_path_factory) -> Path:
    """Two seconds of a wavering tone."""
    path = tmp_path_factory.mktemp("clips") / "clip.wav"
    seconds = np.arange(2 * 48000) / 48000
    audio = 0.3 * np.sin(2 * np.pi * 220 * seconds) * (1 + 0.3 * np.sin(2 * np.pi * 3 * seconds))
    soundfile.write(path, audio, 48000)
    return path


@pytest.fixture
def request_for(clip):
    """A request for a song of about a second; settings by name."""
    from songbloom import SongRequest, SongSettings

    def make(lyrics: str = LYRICS, idx: str = "song", **settings):
        chosen = {"seed": 1, "steps": 10, "max_duration": 1.5} | settings
        return SongRequest(lyrics=lyrics, prompt_wav=clip, idx=idx, settings=SongSettings(**chosen))

    return make
