"""The whole evaluation around a model that sings what the corpus sings, and around one that does not."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from songbloom.corpus.compose import compose
from songbloom.corpus.settings import STYLES, VOICES, CorpusSettings
from songbloom.errors import NotAvailable
from songbloom.evaluate import run
from songbloom.evaluate.held_out import HeldOutSong, sung_words
from songbloom.evaluate.judge import References
from songbloom.evaluate.measures import spectral_features
from songbloom.evaluate.table import table
from songbloom.evaluate.targets import MEASURES
from songbloom.evaluate.voice import voice_features
from songbloom.lyrics.report import describe
from songbloom.model.sketch_codes import NUM_CODES
from songbloom.request import SongSettings
from songbloom.song import Song
from songbloom.train.examples import example_from_score

RATE = 48000


def hiss(style: str, bpm: float, seconds: float, seed: int) -> np.ndarray:
    """A hiss whose colour follows the style and whose level pulses with the beat."""
    count = int(seconds * RATE)
    noise = np.random.default_rng(seed).standard_normal(count).astype(np.float32)
    lag = 2 + STYLES.index(style)
    noise[lag:] += noise[:-lag]
    beat = np.arange(count) / RATE * bpm / 60 % 1
    return np.stack([0.05 * noise * (0.2 + (beat < 0.2))] * 2).astype(np.float32)


def short_song(number: int) -> HeldOutSong:
    lyrics = [("intro", []), ("verse", [sung_words("Hello again my friend")]), ("outro", [])]
    settings = CorpusSettings(held_out=True, styles=(STYLES[number],))
    return HeldOutSong(number, compose(20 + number, settings, lyrics=lyrics), ("hello", "again"))


class FakeStudio:
    def render(self, score) -> np.ndarray:
        return hiss(score.card.style, score.bpm, score.duration_s, score.seed)


class FakeModel:
    """Has every song by heart; ``change`` may spoil it."""

    name = "by_heart"

    def __init__(self, change=lambda song: song) -> None:
        self.config = SimpleNamespace(net=SimpleNamespace(num_pitch=NUM_CODES), seconds_per_tag=1.0)
        self.vae = SimpleNamespace(sample_rate=RATE, downsampling_ratio=RATE * 2 // 25)
        self._change = change

    def prepare(self, request):
        return request

    def generate(self, request) -> Song:
        score = short_song(int(request.idx.split("_")[1])).score
        tokens = example_from_score(score, 12.5, 16).tokens
        song = Song(
            audio=FakeStudio().render(score),
            sample_rate=RATE,
            tokens=tokens,
            latents=np.zeros((1, len(tokens)), np.float32),
            idx=request.idx,
            lyrics=request.lyrics,
            phonemes=describe(request.lyrics, processor="english").phonemes,
            prompt_name="",
            model=self.name,
            settings=request.settings,
            ended=True,
        )
        return self._change(song)


@pytest.fixture(scope="module")
def references() -> References:
    songs = [(style, hiss(style, 90 + 10 * k, 3, k)) for style in STYLES for k in range(3)]
    voices = [(voice, voice_features(audio, RATE)) for voice, (_, audio) in zip([*VOICES] * 2, songs[:6], strict=True)]
    return References([(style, spectral_features(audio, RATE)) for style, audio in songs], voices)


@pytest.fixture(autouse=True)
def quick(monkeypatch, references):
    """Few references, a recogniser that hears nothing, and no listener."""

    def deaf() -> None:
        raise NotAvailable("not here")

    monkeypatch.setattr(run, "held_out_song", short_song)
    monkeypatch.setattr(run, "listen_to_references", lambda studio: references)
    monkeypatch.setattr("songbloom.evaluate.judge.Recogniser", lambda: SimpleNamespace(phones=lambda *_: []))
    monkeypatch.setattr(run, "Listener", deaf)


def evaluate(change=lambda song: song, songs: int = 2, **options):
    steps = []
    result = run.evaluate(
        FakeModel(change), songs, studio=FakeStudio(), progress=lambda *step: steps.append(step), **options
    )
    assert steps == [(k + 1, 2 * songs) for k in range(2 * songs)]
    return result


def test_a_model_that_has_every_song_by_heart_is_as_good_as_the_corpus():
    result = evaluate(size_mb=12.0, settings=SongSettings(seed=3))
    found = result["measures"]
    assert list(found) == [measure.name for measure in MEASURES]
    for name in ("style", "tempo", "structure", "length", "ended", "clean"):
        assert found[name]["model"] == found[name]["corpus"] == 1.0, name
    assert found["phone_error_sketch"]["model"] == found["distance_corpus_db"]["model"] == 0.0
    assert found["phone_error_audio"]["model"] == 1.0  # the recogniser heard nothing
    assert found["size_mb"] == {"model": 12.0, "corpus": None, "target": 60.0}
    assert found["speed"]["model"] > 0 and found["wer"]["model"] is None
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    text = "\n".join(table(result))
    assert "not measured: pip install 'songbloom[evaluate]'" in text and "by_heart" in text


def test_words_are_heard_at_every_stage(monkeypatch):
    """A listener that hears less the softer it is."""

    def heard(audio, sample_rate):
        loudest = float(np.abs(audio).max())
        return ["hello", "again"] if loudest > 0.1 else ["hello"] if loudest > 0.01 else ["a", "b", "c", "d", "e", "f"]

    def parts(model, prepared, score, audio):
        return {"autoencoder": audio * 0.1, "refiner": audio * 0.001}

    monkeypatch.setattr(run, "Listener", lambda: SimpleNamespace(words=heard))
    monkeypatch.setattr(run, "stage_audio", parts)
    result = evaluate(lambda song: replace(song, audio=song.audio * 0.001), stages=True)
    assert result["stages"] == {"corpus": 0.0, "autoencoder": 0.5, "refiner": 3.0, "song": 3.0}
    assert result["measures"]["wer"] == {"model": 3.0, "corpus": 0.0, "target": 0.25}
    assert result["measures"]["wer_mean"]["model"] == 1.0
    assert result["not_measured"] == {}


def spoil(song: Song) -> Song:
    audio = song.audio.copy()
    audio[:, RATE : int(2.5 * RATE)] = 0  # a hole
    return replace(song, audio=audio[:, : audio.shape[1] // 2], tokens=np.repeat(song.tokens[40:41], 60), ended=False)


def test_faults_are_found_in_the_model_and_not_in_the_corpus():
    found = evaluate(spoil, songs=1)["measures"]
    for name in ("structure", "length", "ended", "clean", "clean_silence", "clean_loops"):
        assert (found[name]["model"], found[name]["corpus"]) == (0.0, 1.0), name
    assert found["phone_error_sketch"]["model"] > 0.5


def test_a_song_with_broken_samples_is_measured_to_the_end():
    def break_it(song: Song) -> Song:
        audio = song.audio.copy()
        audio[0, :5] = np.nan
        return replace(song, audio=audio)

    found = evaluate(break_it, songs=1)["measures"]
    assert found["clean"]["model"] == found["clean_finite"]["model"] == 0.0
    assert found["structure"]["model"] == 1.0
