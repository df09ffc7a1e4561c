"""Audio files in and out, loudness and small measures; numpy only, no network code.

Audio is float32 ``[channels, samples]`` with full scale at -1..1 throughout.
"""

from songbloom.audio.decode import read, resample
from songbloom.audio.encode import WriteReport, write
from songbloom.audio.formats import READABLE, WRITABLE, WritableFormat, writable_format
from songbloom.audio.level import loudness, true_peak_db
from songbloom.audio.measure import clipped_fraction, longest_silence_s, spectral_flatness
from songbloom.audio.style_clip import read_style_clip
from songbloom.audio.tags import read_tags
from songbloom.files import check_target

__all__ = [
    "READABLE",
    "WRITABLE",
    "WritableFormat",
    "WriteReport",
    "check_target",
    "clipped_fraction",
    "longest_silence_s",
    "loudness",
    "read",
    "read_style_clip",
    "read_tags",
    "resample",
    "spectral_flatness",
    "true_peak_db",
    "writable_format",
    "write",
]
