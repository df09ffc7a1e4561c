"""WAV without a known end: a header, then samples as they come."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

UNKNOWN = 0xFFFFFFFF  # the length of a stream, as players understand it
KNEE = 0.9  # of full scale; above it samples are bent, not cut


def wav_header(sample_rate: int, channels: int) -> bytes:
    """Header of a 16-bit WAV stream of unknown length."""
    frame = 2 * channels
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, sample_rate, sample_rate * frame, frame, 16)
    return struct.pack("<4sI4s", b"RIFF", UNKNOWN, b"WAVE") + fmt + struct.pack("<4sI", b"data", UNKNOWN)


def pcm16(audio: NDArray[np.float32]) -> bytes:
    """Interleaved 16-bit samples of ``audio`` [channels, n].

    A stream cannot be scaled down by a peak that is still to come, so what is above the knee is bent towards full
    scale sample by sample; below it nothing changes.
    """
    over = np.maximum(np.abs(audio) - KNEE, 0) / (1 - KNEE)
    bent = np.where(over > 0, np.sign(audio) * (KNEE + (1 - KNEE) * np.tanh(over)), audio)
    return (bent.T * 32767).round().astype("<i2").tobytes()
