"""Mixing: equaliser, reverberation, levels and loudness."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, rfft
from scipy.signal import butter, resample_poly, sosfilt

SAMPLE_RATE = 48_000
DUCK_DB = 7.0
LOUDNESS_LUFS = -16.0
PEAK = 10 ** (-1.2 / 20)
REVERB_S = 1.3
REVERB_BLOCK = 2**18
Floats = NDArray[np.float32]
K_WEIGHTING = np.array(
    [
        [1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585],
        [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621],
    ]
).astype(np.float64)


@functools.lru_cache(maxsize=1)
def _room() -> Floats:
    """Stereo impulse response ``[2, samples]``: noise that decays by 60 dB in `REVERB_S`, darker with time."""
    rng = np.random.default_rng(20)
    time = np.arange(int(REVERB_S * SAMPLE_RATE)) / SAMPLE_RATE
    noise = rng.standard_normal((2, len(time)))
    dark = sosfilt(butter(1, 3500, fs=SAMPLE_RATE, output="sos"), noise, axis=1)
    blend = np.exp(-time / 0.15)
    room = (noise * blend * 0.4 + dark) * 10 ** (-3 * time / REVERB_S)
    room[:, : int(0.012 * SAMPLE_RATE)] = 0
    return (room / np.sqrt((room**2).sum(axis=1, keepdims=True))).astype(np.float32)


@functools.lru_cache(maxsize=1)
def _room_spectrum() -> NDArray[np.complex64]:
    return rfft(_room(), REVERB_BLOCK, axis=1)


def reverberate(audio: Floats) -> Floats:
    """The room's answer (without the sound itself) to mono ``[samples]``: ``[2, samples]``, by overlap-add."""
    step = REVERB_BLOCK - _room().shape[1] + 1
    wet = np.zeros((2, len(audio) + REVERB_BLOCK), np.float32)
    for start in range(0, len(audio), step):
        block = rfft(audio[start : start + step], REVERB_BLOCK)
        wet[:, start : start + REVERB_BLOCK] += irfft(block * _room_spectrum(), REVERB_BLOCK, axis=1)
    return wet[:, : len(audio)]


def upsample(voice: Floats, length: int) -> Floats:
    """The singer's 22.5 kHz to 48 kHz, cut or padded to ``length`` samples."""
    out = np.zeros(length, np.float32)
    raised = resample_poly(voice, 32, 15).astype(np.float32)[:length]
    out[: len(raised)] = raised
    return out


def compress(voice: Floats, threshold_db: float = -18.0, ratio: float = 4.0) -> Floats:
    """Even out the level of a voice; the threshold is relative to its loudest 50 ms."""
    hop = SAMPLE_RATE // 100
    blocks = len(voice) // hop
    if blocks < 5:
        return voice
    power = (voice[: blocks * hop].reshape(blocks, hop) ** 2).mean(axis=1)
    power = np.convolve(power, np.ones(5) / 5, mode="same")
    level = 10 * np.log10(np.maximum(power / max(power.max(), 1e-12), 1e-8))
    gain_db = -np.maximum(level - threshold_db, 0) * (1 - 1 / ratio)
    gain = np.interp(np.arange(len(voice)), (np.arange(blocks) + 0.5) * hop, 10 ** (gain_db / 20))
    return (voice * gain).astype(np.float32)


def ducking(voice: Floats) -> Floats:
    """Gain ``[samples]`` of the band that makes room for a voice: `DUCK_DB` less while it sounds.

    Words are understood better so, and a model that learns from the mix hears the voice it is to learn.
    """
    hop = SAMPLE_RATE // 100
    blocks = max(1, len(voice) // hop)
    power = np.square(voice[: blocks * hop]).reshape(blocks, -1).mean(axis=1)
    sounds = (power > 1e-4 * power.max()).astype(np.float32) if power.max() > 0 else np.zeros(blocks, np.float32)
    smooth = np.convolve(sounds, np.hanning(32)[1:-1] / np.hanning(32).sum(), mode="same")[:blocks]
    at = (np.arange(blocks) + 0.5) * hop
    return (10 ** (-DUCK_DB * np.interp(np.arange(len(voice)), at, smooth) / 20)).astype(np.float32)


def peaking(hertz: float, quality: float, gain_db: float) -> NDArray[np.float64]:
    """One second-order section that raises or lowers a band (R. Bristow-Johnson's audio EQ cookbook)."""
    angle = 2 * np.pi * hertz / SAMPLE_RATE
    amplitude = 10 ** (gain_db / 40)
    alpha = np.sin(angle) / (2 * quality)
    top = (1 + alpha * amplitude, -2 * np.cos(angle), 1 - alpha * amplitude)
    bottom = (1 + alpha / amplitude, -2 * np.cos(angle), 1 - alpha / amplitude)
    return np.array([[*top, *bottom]]) / bottom[0]


def weigh(audio: Floats) -> Floats:
    """The K-weighting of ITU-R BS.1770-4 (its coefficients for 48 kHz) on ``[channels, samples]``."""
    return sosfilt(K_WEIGHTING, audio, axis=-1).astype(np.float32)


def weighed_loudness(weighed: Floats) -> float:
    """Integrated loudness in LUFS (BS.1770-4: 400 ms blocks every 100 ms, gates at -70 LUFS and -10 LU) of
    K-weighted ``[channels, samples]``; -70 for silence."""
    hop = SAMPLE_RATE // 10
    count = weighed.shape[1] // hop
    power = np.square(weighed[:, : count * hop]).reshape(weighed.shape[0], count, hop).mean(axis=2).sum(axis=0)
    if count < 4:
        power = np.pad(power, (0, 4 - count))
    blocks = np.convolve(power, np.ones(4) / 4, mode="valid")
    loud = blocks[blocks > 10 ** ((-70 + 0.691) / 10)]
    if loud.size:
        loud = loud[loud > 0.1 * loud.mean()]
    return float(10 * np.log10(loud.mean()) - 0.691) if loud.size else -70.0


def mix(
    voice: Floats, band: Floats, vocal_db: float, reverb: float, brightness_db: float, fade_s: float
) -> tuple[Floats, Floats]:
    """Voice and band stems ``[2, samples]`` at their level in the mix; their sum is the song.

    The song has `LOUDNESS_LUFS` unless that would raise its peak above -1.2 dBFS: then it is limited softly.

    Args:
        voice: dry, ``[samples]`` at 48 kHz.
        band: dry, ``[2, samples]``.
        vocal_db: loudness of the voice over that of the band where it is not ducked (`ducking`).
        reverb: share of reverberation of the voice; the band gets 0.6 of it.
        brightness_db: shelf above 4 kHz of the band.
        fade_s: fade-out at the very end.
    """
    high_pass = butter(2, 90, "high", fs=SAMPLE_RATE, output="sos")
    # Consonants live around 3 kHz: raise them in the voice and make room for them in the band.
    voice_filter = np.vstack([high_pass, peaking(3200, 0.7, 4.0)])
    clean = compress(sosfilt(voice_filter, voice).astype(np.float32))
    band = sosfilt(peaking(2600, 0.7, -4.0), band, axis=1).astype(np.float32)
    room = reverberate(clean)
    voices = (1 - reverb) * clean[None] + 1.6 * reverb * room
    treble = sosfilt(butter(1, 4000, "high", fs=SAMPLE_RATE, output="sos"), band, axis=1).astype(np.float32)
    bright = band + (10 ** (brightness_db / 20) - 1) * treble
    bands = bright + 0.8 * reverb * reverberate(bright.mean(axis=0))
    voices = voices.astype(np.float32)
    fade = min(int(fade_s * SAMPLE_RATE), voices.shape[1])
    curve = np.linspace(1, 0, fade, dtype=np.float32) ** 1.5
    for stem in (voices, bands):
        stem[:, stem.shape[1] - fade :] *= curve
    # The weighting is linear, so that of the sum need not be computed anew.
    heard_voice, heard_band = weigh(voices), weigh(bands)
    voice_gain = _gain(-18 - weighed_loudness(heard_voice))
    band_gain = _gain(-18 - vocal_db - weighed_loudness(heard_band))
    heard_voice *= voice_gain
    room_for_voice = ducking(clean)
    bands *= room_for_voice
    heard_voice += heard_band * room_for_voice * band_gain
    gain = _gain(LOUDNESS_LUFS - weighed_loudness(heard_voice))
    voices *= voice_gain * gain
    bands *= band_gain * gain
    # One gain curve for both stems, so that they still add up to the limited song.
    limit = _limiter(voices + bands)
    voices *= limit
    bands *= limit
    return voices, bands


def _gain(decibels: float) -> np.float32:
    return np.float32(10 ** (decibels / 20))


def _limiter(audio: Floats) -> Floats:
    """Gain ``[samples]`` that keeps ``[2, samples]`` under `PEAK`, smooth over a few milliseconds."""
    hop = 240
    length = audio.shape[1]
    peaks = np.abs(audio).max(axis=0)
    blocks = np.zeros(-(-length // hop) * hop, np.float32)
    blocks[:length] = peaks
    loudest = blocks.reshape(-1, hop).max(axis=1)
    need = np.minimum(1.0, PEAK / np.maximum(loudest, 1e-9))
    # The gain of a block holds for its neighbours, so the straight lines between block centres never exceed it.
    padded = np.pad(need, 2, mode="edge")
    held = np.min([padded[i : i + len(need)] for i in range(5)], axis=0)
    smooth = np.convolve(np.pad(held, 1, mode="edge"), np.ones(3) / 3, mode="valid")
    centres = (np.arange(len(need)) + 0.5) * hop
    return np.interp(np.arange(length), centres, smooth).astype(np.float32)
