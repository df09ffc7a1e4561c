"""The style clip: ten seconds of music whose sound the song takes on."""

from __future__ import annotations

import math
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from songbloom.audio.decode import read, resample
from songbloom.errors import InvalidInput

SHORTEST_S = 1.0
SILENT_PEAK = 10 ** (-70 / 20)  # -70 dBFS
_LOUDEST_PEAK = 16.0  # 24 dB over full scale: no mix is, but integers stored as floats are


def read_style_clip(
    path: str | PathLike[str], *, sample_rate: int = 48_000, start_s: float = 0.0, seconds: float = 10.0
) -> NDArray[np.float32]:
    """Read the part of a file that sets the style, as one channel.

    Args:
        path: an audio file of 1 s to hours; only the part used is decoded.
        sample_rate: rate of the result, in Hz.
        start_s: where the clip starts (``--prompt-start``), in seconds.
        seconds: its length; a file that ends earlier gives a shorter clip.

    Returns:
        float32 ``[1, samples]``, the average of all channels, at most ``seconds`` long.

    Raises:
        InvalidInput: field ``prompt_wav`` (missing, a directory, not audio, under 1 s from ``start_s`` on,
            silent, NaN or infinite samples) or ``prompt_start`` (not a number of seconds).
    """
    if not (math.isfinite(start_s) and start_s >= 0):
        raise InvalidInput("prompt_start", start_s, "must be zero or more seconds")
    audio, file_rate = read(path, start_s=start_s, seconds=seconds, field="prompt_wav")

    def refuse(why: str) -> InvalidInput:
        return InvalidInput("prompt_wav", str(path), why)

    length = audio.shape[1] / file_rate
    if length < SHORTEST_S:
        after = f" after --prompt-start {start_s:g}" if start_s else ""
        raise refuse(f"has only {length:.2f} s of audio{after}; a style clip needs 1 s, better 10 s")
    if not np.isfinite(audio).all():
        raise refuse("has samples that are not numbers (NaN or infinite); export it again")
    peak = float(np.abs(audio).max())
    if peak > _LOUDEST_PEAK:
        raise refuse(f"has samples up to {peak:.3g}, far outside -1..1; save it as 16-bit or 24-bit audio")
    if peak < SILENT_PEAK:
        raise refuse("is silent here; use another clip, or a part with sound through --prompt-start")
    mono = audio.mean(axis=0, keepdims=True, dtype=np.float32)
    if np.abs(mono).max() < SILENT_PEAK:
        raise refuse("has channels that cancel out when mixed to one; use one channel of it")
    return resample(mono, file_rate, sample_rate)[:, : round(seconds * sample_rate)]
