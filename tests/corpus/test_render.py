"""The sound of a song agrees with its labels."""

import sys

import numpy as np
import pyloudnorm
import pytest

from songbloom.corpus.band import play
from songbloom.corpus.compose import compose
from songbloom.corpus.mix import DUCK_DB, ducking, weigh, weighed_loudness
from songbloom.corpus.phones import VOWELS
from songbloom.corpus.score import Score
from songbloom.corpus.settings import STYLES, VOICES, CorpusSettings
from songbloom.corpus.singer import SAMPLE_RATE as VOICE_RATE
from songbloom.corpus.singer import Singer
from songbloom.corpus.styles import STYLE_BANDS
from songbloom.corpus.tones import ToneBank
from songbloom.errors import NotAvailable


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hibari", None)
    with pytest.raises(NotAvailable, match=r"pip install 'songbloom\[corpus\]'"):
        Singer()


def test_every_style_has_a_band_and_they_differ() -> None:
    assert set(STYLE_BANDS) == set(STYLES)
    bank = ToneBank()
    spectra = []
    for style in STYLES:
        audio = play(compose(3, CorpusSettings(styles=(style,), duration_s=(8.0, 10.0))), bank)
        assert np.isfinite(audio).all() and np.abs(audio).max() > 0.05
        assert not np.array_equal(audio[0], audio[1])
        spectrum = np.log(np.abs(np.fft.rfft(audio.mean(0), 2**19))[1:].reshape(64, -1).mean(1) + 1e-3)
        spectra.append(spectrum - spectrum.mean())
    likeness = np.corrcoef(spectra) - np.eye(len(spectra))
    assert likeness.max() < 0.999


def test_loudness_is_that_of_the_standard() -> None:
    rng = np.random.default_rng(0)
    audio = (rng.standard_normal((2, 48_000 * 3)) * np.linspace(0.001, 0.1, 48_000 * 3)).astype(np.float32)
    expected = pyloudnorm.Meter(48_000).integrated_loudness(audio.T)
    assert weighed_loudness(weigh(audio)) == pytest.approx(expected, abs=0.15)
    assert weighed_loudness(np.zeros((2, 1000), np.float32)) == -70


@pytest.fixture(scope="module")
def singer() -> Singer:
    pytest.importorskip("hibari")
    pytest.importorskip("onnx")
    return Singer()


@pytest.mark.parametrize("voice", VOICES)
def test_it_sings_the_notes_of_the_score_and_rests_in_its_gaps(singer: Singer, voice: str) -> None:
    song = compose(100, CorpusSettings(voices=(voice,), duration_s=(12.0, 16.0)))
    audio = singer.sing(song)
    cents = [
        _cents(audio, event.start_s, event.midi_pitch)
        for event in song.phones
        if event.phone in VOWELS and event.end_s - event.start_s > 0.15
    ]
    assert len(cents) > 10
    assert np.mean(np.abs(cents) < 50) > 0.85
    loud = np.sqrt(np.mean(audio**2))
    for event in song.tags:
        # The last consonant dies away, and the first of the next line takes its breath, within the gap.
        quiet = audio[int((event.start_s + 0.12) * VOICE_RATE) : int((event.end_s - 0.08) * VOICE_RATE)]
        if len(quiet) > 100:
            assert np.sqrt(np.mean(quiet**2)) < 0.05 * loud


def test_a_song_is_mixed_without_clipping_and_is_the_same_again(singer: Singer) -> None:
    from songbloom.corpus.render import Studio

    song = compose(7, CorpusSettings(duration_s=(8.0, 12.0)))
    studio = Studio(singer)
    voice, band = studio.stems(song)
    audio = studio.render(song)
    assert audio.dtype == np.float32 and audio.shape == (2, round(song.duration_s * 48_000))
    assert np.array_equal(audio, voice + band)
    assert np.abs(audio).max() < 10 ** (-1 / 20)
    meter = pyloudnorm.Meter(48_000)
    assert meter.integrated_loudness(audio.T) == pytest.approx(-16, abs=0.7)
    level = meter.integrated_loudness(voice.T) - meter.integrated_loudness(band.T)
    assert song.card.vocal_db + 1 < level < song.card.vocal_db + DUCK_DB + 1
    assert np.array_equal(Studio(singer).render(Score.from_json(song.to_json())), audio)


def test_the_band_makes_room_while_the_voice_sounds() -> None:
    voice = np.zeros(4 * 48_000, np.float32)
    voice[48_000 : 2 * 48_000] = np.sin(np.arange(48_000) * 0.05)
    gain = ducking(voice)
    assert gain.shape == voice.shape
    assert 20 * np.log10(gain[int(1.5 * 48_000)]) == pytest.approx(-DUCK_DB, abs=0.1)
    assert gain[:30_000].min() == gain[3 * 48_000 :].min() == 1.0
    assert np.abs(np.diff(gain)).max() < 1e-4  # no click
    assert (ducking(np.zeros(4_800, np.float32)) == 1).all()


def _cents(audio: np.ndarray, start_s: float, midi: int) -> float:
    """Deviation of the autocorrelation's pitch from the note, over 60 ms once the glide is done."""
    first = int((start_s + 0.07) * VOICE_RATE)
    window = audio[first : first + int(0.06 * VOICE_RATE)]
    window = window - window.mean()
    count = len(window)
    power = np.abs(np.fft.rfft(window, 4096)) ** 2
    correlation = np.fft.irfft(power)[:count] / np.arange(count, 0, -1)
    expected = 440 * 2 ** ((midi - 69) / 12)
    shortest, longest = int(VOICE_RATE / (expected * 2.1)), int(VOICE_RATE / (expected * 0.6))
    lag = shortest + int(np.argmax(correlation[shortest:longest]))
    before, peak, after = correlation[lag - 1 : lag + 2]
    period = lag + 0.5 * (before - after) / (before - 2 * peak + after)
    return float(1200 * np.log2(VOICE_RATE / period / expected))
