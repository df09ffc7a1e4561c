"""Instruments by additive synthesis, and drums: one note at a time, cached by the caller's `ToneBank`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

SAMPLE_RATE = 48_000
RELEASE_S = {"pad": 0.5, "strings": 0.35, "piano": 0.3, "epiano": 0.25, "organ": 0.06, "square": 0.02}
Floats = NDArray[np.float32]


def _partials(
    pitch: float, seconds: float, count: int, level: Callable[[int, Any], Any], stretch: float = 0.0
) -> Floats:
    hertz = 440 * 2 ** ((pitch - 69) / 12)
    time = np.arange(int(seconds * SAMPLE_RATE), dtype=np.float32) / SAMPLE_RATE
    out = np.zeros_like(time)
    for number in range(1, max(2, min(count, int(11_000 / hertz))) + 1):
        frequency = hertz * number * np.sqrt(1 + stretch * number**2)
        phase = np.float32(2 * np.pi * frequency) * time
        out += level(number, time) * np.sin(phase)
    return out.astype(np.float32)


def _tone(kind: str, pitch: float, seconds: float) -> Floats:
    exp, minimum = np.exp, np.minimum
    if kind == "piano":
        out = _partials(pitch, seconds, 14, lambda h, t: exp(-t * (1.1 + 0.45 * h)) / h**1.3, 4e-4)
    elif kind == "epiano":
        out = _partials(pitch, seconds, 5, lambda h, t: exp(-t * (0.9 + 0.9 * h)) * (1, 0.25, 0.1, 0.3, 0.05)[h - 1])
    elif kind == "pluck":
        out = _partials(pitch, seconds, 16, lambda h, t: exp(-t * (2.0 + 0.8 * h)) * abs(np.sin(h * np.pi * 0.18)) / h)
    elif kind == "nylon":
        out = _partials(pitch, seconds, 10, lambda h, t: exp(-t * (2.5 + 1.2 * h)) * abs(np.sin(h * 0.9)) / h**1.4)
    elif kind == "pad":
        out = _partials(pitch - 0.06, seconds, 8, lambda h, t: minimum(1, t / 0.25) / h**1.7)
        out += _partials(pitch + 0.06, seconds, 8, lambda h, t: minimum(1, t / 0.25) / h**1.7)
    elif kind == "strings":
        out = _partials(pitch - 0.05, seconds, 14, lambda h, t: minimum(1, t / 0.12) / h**1.15)
        out += _partials(pitch + 0.07, seconds, 14, lambda h, t: minimum(1, t / 0.16) / h**1.15)
    elif kind == "organ":
        out = _partials(pitch, seconds, 8, lambda h, t: (1, 0.8, 0.5, 0.6, 0, 0.3, 0, 0.25)[h - 1])
    elif kind == "square":
        out = np.sign(_partials(pitch, seconds, 1, lambda h, t: 1.0)) * np.float32(0.5)
    elif kind == "saw":
        out = _partials(pitch, seconds, 18, lambda h, t: exp(-t * (0.5 + 0.12 * h)) / h)
    elif kind == "distorted":
        out = np.tanh(4 * _partials(pitch, seconds, 12, lambda h, t: exp(-t * 0.8) / h)) * np.float32(0.6)
    elif kind == "brass":
        out = _partials(pitch, seconds, 12, lambda h, t: minimum(1, t / (0.02 + 0.008 * h)) / h**0.9)
    elif kind == "bass":
        out = _partials(pitch, seconds, 8, lambda h, t: exp(-t * (0.8 + 0.4 * h)) / h**1.4)
    elif kind == "synthbass":
        out = _partials(pitch, seconds, 14, lambda h, t: exp(-t * (0.5 + 0.35 * h)) / h)
    elif kind == "triangle":
        out = _partials(pitch, seconds, 7, lambda h, t: (h % 2) / h**2)
    elif kind == "bell":
        out = _partials(pitch, seconds, 5, lambda h, t: exp(-t * (1.2 + 1.0 * h)) / h, 0.06)
    else:
        raise KeyError(kind)
    return out.astype(np.float32)


def _drum(kind: str, rng: np.random.Generator) -> Floats:
    seconds = {"crash": 1.6, "openhat": 0.35, "timpani": 1.2}.get(kind, 0.3)
    time = np.arange(int(seconds * SAMPLE_RATE), dtype=np.float32) / SAMPLE_RATE
    noise = rng.standard_normal(len(time)).astype(np.float32)
    exp, sin, tau = np.exp, np.sin, 2 * np.pi
    out: NDArray[Any]
    bright = sosfilt(butter(2, 6000, "high", fs=SAMPLE_RATE, output="sos"), noise)
    if kind == "kick":
        out = 1.3 * sin(tau * (48 * time + 3.5 * (1 - exp(-30 * time)))) * exp(-9 * time)
    elif kind == "softkick":
        out = sin(tau * (52 * time + 1.4 * (1 - exp(-25 * time)))) * exp(-14 * time)
    elif kind == "snare":
        out = 0.6 * noise * exp(-17 * time) + 0.6 * sin(tau * 190 * time) * exp(-22 * time)
    elif kind == "clap":
        bursts = sum(exp(-90 * np.abs(time - delay)) * (time >= delay) for delay in (0.0, 0.012, 0.024))
        out = 0.5 * bright * (bursts + 1.2 * exp(-22 * time) * (time > 0.03))
    elif kind == "rim":
        out = (0.6 * sin(tau * 820 * time) + 0.3 * noise) * exp(-70 * time)
    elif kind == "hat":
        out = 0.35 * bright * exp(-55 * time)
    elif kind == "openhat":
        out = 0.3 * bright * exp(-11 * time)
    elif kind == "shaker":
        out = 0.25 * bright * np.minimum(1, time / 0.02) * exp(-40 * time)
    elif kind == "crash":
        out = 0.35 * bright * exp(-2.8 * time)
    elif kind == "tom":
        out = sin(tau * (95 * time + 1.2 * (1 - exp(-20 * time)))) * exp(-10 * time)
    elif kind == "timpani":
        out = sin(tau * 82 * time) * exp(-3.5 * time) + 0.3 * sin(tau * 123 * time) * exp(-5 * time)
    elif kind == "noise":
        out = 0.35 * np.repeat(noise[::6], 6)[: len(time)] * exp(-28 * time)
    else:
        raise KeyError(kind)
    return out.astype(np.float32)


class ToneBank:
    """Notes and drum strokes made once and reused; holds at most ``capacity`` seconds of sound."""

    LENGTHS_S = (0.3, 0.7, 1.5, 3.0, 5.0)

    def __init__(self, capacity_s: float = 400.0) -> None:
        self._tones: dict[tuple[str, int, float], Floats] = {}
        self._drums: dict[str, Floats] = {}
        self._capacity_s = self._left = capacity_s

    def note(self, kind: str, pitch: int, seconds: float) -> Floats:
        """A note held for ``seconds`` and released, float32 ``[samples]`` at 48 kHz, peak about 1."""
        release = RELEASE_S.get(kind, 0.12)
        need = seconds + release
        length = next((limit for limit in self.LENGTHS_S if limit >= need), self.LENGTHS_S[-1])
        key = (kind, pitch, length)
        tone = self._tones.get(key)
        if tone is None:
            if self._left < length:
                self._tones.clear()
                self._left = self._capacity_s
            tone = _tone(kind, pitch, length)
            attack = int(0.004 * SAMPLE_RATE)
            tone[:attack] *= np.linspace(0, 1, attack, dtype=np.float32)
            self._tones[key] = tone
            self._left -= length
        out = tone[: int(need * SAMPLE_RATE)].copy()
        fade = min(int(release * SAMPLE_RATE), len(out))
        out[len(out) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32) ** 2
        return out

    def drum(self, kind: str) -> Floats:
        """A drum stroke, the same each time."""
        if kind not in self._drums:
            self._drums[kind] = _drum(kind, np.random.default_rng(len(kind) * 7919 + ord(kind[0])))
        return self._drums[kind]
