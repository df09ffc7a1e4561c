"""WAV without a known end: a header, then samples as they come."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

UNKNOWN = 0xFFFFFFFF  # the length of a stream, as players understand it
HEADER_BYTES = 44
KNEE = 0.9  # of full scale; above it samples are bent, not cut


def wav_header(sample_rate: int, channels: int, data_bytes: int | None = None) -> bytes:
    """Header of 16-bit PCM; of unknown length without ``data_bytes``, as players accept for streams."""
    riff = UNKNOWN if data_bytes is None else min(UNKNOWN, data_bytes + HEADER_BYTES - 8)
    data = UNKNOWN if data_bytes is None else min(UNKNOWN, data_bytes)
    frame = 2 * channels
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, sample_rate, sample_rate * frame, frame, 16)
    return struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + fmt + struct.pack("<4sI", b"data", data)


def to_pcm(audio: NDArray[np.float32]) -> NDArray[np.int16]:
    """16-bit [n, channels] of float audio [channels, n]; what is above full scale is cut."""
    return np.round(np.clip(audio.T, -1, 1) * 32767).astype("<i2")


def pcm16(audio: NDArray[np.float32]) -> bytes:
    """Interleaved 16-bit samples of ``audio`` [channels, n], with peaks bent.

    A stream cannot be scaled down by a peak that is still to come, so what is above the knee is bent towards full
    scale sample by sample; below it nothing changes.
    """
    over = np.maximum(np.abs(audio) - KNEE, 0) / (1 - KNEE)
    bent = np.where(over > 0, np.sign(audio) * (KNEE + (1 - KNEE) * np.tanh(over)), audio)
    return to_pcm(bent).tobytes()
