"""The audio files this package reads and writes, as data: help texts and menus list these tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from songbloom.errors import InvalidInput

#: File types that can be read. The content decides, not the suffix.
READABLE: tuple[str, ...] = ("wav", "flac", "mp3", "ogg", "opus", "aiff", "au", "caf", "w64", "rf64")


@dataclass(frozen=True)
class WritableFormat:
    """How one format is encoded; container, values of subtypes, and options are in libsndfile's terms."""

    name: str
    about: str
    suffixes: tuple[str, ...]
    container: str
    subtypes: Mapping[str, str]  # our name -> libsndfile's; the first is the default
    lossy: bool
    sample_rates: tuple[int, ...] | None  # Hz; None: any. Other rates are resampled.
    max_channels: int
    max_tag_bytes: int
    options: Mapping[str, float | str] = field(default_factory=dict)

    @property
    def default_subtype(self) -> str:
        return next(iter(self.subtypes))

    def nearest_rate(self, sample_rate: int) -> int:
        """The rate (Hz) to encode at: the same, else the lowest one above it, else the highest."""
        if self.sample_rates is None or sample_rate in self.sample_rates:
            return sample_rate
        return min((rate for rate in self.sample_rates if rate > sample_rate), default=max(self.sample_rates))


_TABLE = (
    WritableFormat(
        "flac", "lossless, 24 bit (or 16)", (".flac",), "FLAC", {"24": "PCM_24", "16": "PCM_16"},
        lossy=False, sample_rates=None, max_channels=8, max_tag_bytes=8_000_000,
    ),
    WritableFormat(
        "wav", "uncompressed, 24 bit (or 16, or 32-bit float)", (".wav", ".wave"), "WAV",
        {"24": "PCM_24", "16": "PCM_16", "float": "FLOAT"},
        lossy=False, sample_rates=None, max_channels=8, max_tag_bytes=8_000_000,
    ),
    # 320 kb/s exists for these three rates only.
    WritableFormat(
        "mp3", "MP3, 320 kb/s constant", (".mp3",), "MP3", {"320": "MPEG_LAYER_III"},
        lossy=True, sample_rates=(32_000, 44_100, 48_000), max_channels=2, max_tag_bytes=8_000_000,
        options={"compression_level": 0.0, "bitrate_mode": "CONSTANT"},
    ),
    # libsndfile: Vorbis quality = 1 - compression_level, so this is q8.
    WritableFormat(
        "ogg", "Ogg Vorbis, quality 8 (about 256 kb/s)", (".ogg", ".oga"), "OGG", {"q8": "VORBIS"},
        lossy=True, sample_rates=None, max_channels=8, max_tag_bytes=1_000_000,
        options={"compression_level": 0.2},
    ),
    # libsndfile: Opus kb/s a channel = 6 + 250 (1 - compression_level). Its Opus writer cuts tags off at
    # 50 KiB in a way that makes the file unreadable (libsndfile 1.2.2), hence the low limit.
    WritableFormat(
        "opus", "Opus, 192 kb/s", (".opus",), "OGG", {"192": "OPUS"},
        lossy=True, sample_rates=(48_000,), max_channels=8, max_tag_bytes=48_000,
        options={"compression_level": 0.64},
    ),
)  # fmt: skip

#: Formats that can be written, by name; the first is the default.
WRITABLE: Mapping[str, WritableFormat] = MappingProxyType({entry.name: entry for entry in _TABLE})


def writable_format(path: Path, format: str | None = None) -> WritableFormat:
    """The format to write ``path`` in: ``format`` if given, else what its suffix says.

    Raises:
        InvalidInput: an unknown format or suffix.
    """
    names = ", ".join(WRITABLE)
    if format is not None:
        entry = WRITABLE.get(format.lower().lstrip("."))
        if entry is None:
            raise InvalidInput("format", format, f"is not a format this can write; choose one of {names}")
        return entry
    for entry in WRITABLE.values():
        if path.suffix.lower() in entry.suffixes:
            return entry
    raise InvalidInput(
        "output", str(path), f"the ending {path.suffix!r} names no format this can write; use one of {names}"
    )
