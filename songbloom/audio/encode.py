"""Write audio files: encoded in memory, levelled so that nothing clips, tagged, put in place whole."""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from songbloom.audio import tags as tagging
from songbloom.audio.decode import resample
from songbloom.audio.formats import WritableFormat, writable_format
from songbloom.audio.level import loudness, true_peak_db
from songbloom.errors import InvalidInput
from songbloom.files import check_target, output_error, write_bytes

_LOG = logging.getLogger(__name__)
_BLOCK_FRAMES = 1 << 16  # the Vorbis encoder overflows its stack on very long single writes
_FULL_SCALE = 1.0 - 1e-6  # scaling to exactly 1 can round to above it
_TRUE_PEAK_CEILING_DB = -1.0  # EBU R 128, and room for the overshoot of lossy codecs
_HIGHEST_RATE = 655_350  # Hz, FLAC's
_EMBED = {"FLAC": tagging.embed_flac, "MP3": tagging.embed_mp3, "WAV": tagging.embed_wav}
_BITS = {"16": 16, "24": 24}  # of the integer subtypes
_WAV_BYTES = 2**32 - 2**25  # RIFF sizes have 32 bits; leave room for tags


@dataclass(frozen=True)
class WriteReport:
    """What was written, and what was done to the audio on the way."""

    path: Path
    format: str
    subtype: str
    sample_rate: int  # Hz, of the file
    seconds: float
    peak: float  # sample peak before encoding, full scale 1
    gain_db: float  # applied to the audio: by loudness normalisation, and to keep it from clipping
    loudness_lufs: float | None  # integrated loudness written; measured only if normalisation was asked for
    dropped_tags: tuple[str, ...]  # tags too long for the format


def write(
    path: str | PathLike[str],
    audio: NDArray[np.float32],
    sample_rate: int,
    *,
    format: str | None = None,
    subtype: str | None = None,
    tags: Mapping[str, str] | None = None,
    loudness_lufs: float | None = None,
) -> WriteReport:
    """Write an audio file; it appears whole or not at all.

    The audio is scaled down where it would clip: to full scale in lossless formats; to a true peak of
    -1 dBTP in lossy ones, whose decoders overshoot, and after loudness normalisation.

    Args:
        path: the file; its folder must exist. A file already there is replaced.
        audio: floating point ``[channels, samples]``, full scale at -1..1.
        sample_rate: in Hz. MP3 and Opus are resampled to a rate they have, where needed.
        format: a name in :data:`songbloom.audio.WRITABLE`; None takes it from the suffix.
        subtype: flac: ``24`` (default), ``16``; wav: ``24`` (default), ``16``, ``float``.
        tags: metadata, text by name; ``title``, ``artist``, ``album``, ``date``, ``genre``, ``copyright``,
            ``software`` and ``lyrics`` are shown by players, and :func:`read_tags` gives all back.
        loudness_lufs: integrated loudness to bring the audio to, -70 to 0; less where peaks forbid it.

    Raises:
        InvalidInput: audio that is empty or holds NaN or infinity, an unknown format or subtype, or more
            channels than the format has.
        OutputError: the file cannot be written; nothing is left of it.
    """
    entry = writable_format(Path(path), format)
    subtype = _checked_subtype(entry, subtype)
    _check_audio(audio, sample_rate, entry)
    if loudness_lufs is not None and not -70 <= loudness_lufs <= 0:
        raise InvalidInput("loudness_lufs", loudness_lufs, "must be between -70 and 0 LUFS; -14 is usual")
    check_target(path)
    kept, dropped = tagging.fit(tags or {}, entry.max_tag_bytes)
    if dropped:
        _LOG.warning("%s: left out tags too long for %s: %s", path, entry.name, ", ".join(dropped))

    rate = entry.nearest_rate(sample_rate)
    audio = resample(np.asarray(audio, dtype=np.float32), sample_rate, rate)
    gain_db, measured = _gain_db(audio, rate, loudness_lufs, entry.lossy, str(path))
    if gain_db != 0.0:
        audio = audio * np.float32(10 ** (gain_db / 20))
    try:
        data = _encode(audio, rate, entry, subtype, kept)
    except soundfile.LibsndfileError as error:
        raise output_error(path, error) from error
    write_bytes(path, data)
    return WriteReport(
        path=Path(path),
        format=entry.name,
        subtype=subtype,
        sample_rate=rate,
        seconds=audio.shape[1] / rate,
        peak=float(np.abs(audio).max()),
        gain_db=gain_db,
        loudness_lufs=None if measured is None else measured + gain_db,
        dropped_tags=dropped,
    )


def _encode(
    audio: NDArray[np.float32], rate: int, entry: WritableFormat, subtype: str, tags: Mapping[str, str]
) -> bytes:
    buffer = io.BytesIO()
    kind = {"format": entry.container, "subtype": entry.subtypes[subtype], **entry.options}
    with soundfile.SoundFile(buffer, "w", rate, len(audio), **kind) as file:
        if tags and entry.container == "OGG":
            for name, value in tagging.libsndfile_strings(tags).items():
                setattr(file, name, value)
        for start in range(0, audio.shape[1], _BLOCK_FRAMES):
            block = np.ascontiguousarray(audio[:, start : start + _BLOCK_FRAMES].T)
            file.write(_quantised(block, _BITS[subtype]) if subtype in _BITS else block)
    data = buffer.getvalue()
    embed = _EMBED.get(entry.container)
    return embed(data, tags) if tags and embed else data


def _quantised(block: NDArray[np.float32], bits: int) -> NDArray[np.int32]:
    """Samples rounded to ``bits`` bits, at the top of an int32; libsndfile would cut them off, not round."""
    half = 2.0 ** (bits - 1)
    rounded = np.clip(np.rint(block.astype(np.float64) * half), -half, half - 1)
    return rounded.astype(np.int32) << (32 - bits)


def _gain_db(
    audio: NDArray[np.float32], rate: int, target_lufs: float | None, lossy: bool, name: str
) -> tuple[float, float | None]:
    """The gain to write with, and the loudness measured before it if a target was given."""
    gain_db, measured = 0.0, None
    if target_lufs is not None:
        measured = loudness(audio, rate)
        if math.isfinite(measured):
            gain_db = target_lufs - measured
        else:
            _LOG.warning("%s: silent or under 0.4 s, so its loudness is left as it is", name)
    sample_peak = float(np.abs(audio).max())
    if sample_peak == 0.0:
        return 0.0, measured
    if lossy or target_lufs is not None:
        peak_db, ceiling_db = true_peak_db(audio, rate), _TRUE_PEAK_CEILING_DB
    elif sample_peak > 1.0:
        peak_db, ceiling_db = 20 * math.log10(sample_peak), 20 * math.log10(_FULL_SCALE)
    else:
        return gain_db, measured
    too_much = peak_db + gain_db - ceiling_db
    if too_much <= 0:
        return gain_db, measured
    if target_lufs is not None and measured is not None and math.isfinite(measured):
        reached = target_lufs - too_much
        _LOG.warning("%s: %.1f LUFS would clip; written at %.1f LUFS", name, target_lufs, reached)
    elif sample_peak > 1.0:
        _LOG.warning("%s: peaks at %.2f of full scale; lowered by %.2f dB", name, sample_peak, too_much)
    else:
        _LOG.info("%s: lowered by %.2f dB to a true peak of %g dBTP", name, too_much, ceiling_db)
    return gain_db - too_much, measured


def _checked_subtype(entry: WritableFormat, subtype: str | None) -> str:
    if subtype is None:
        return entry.default_subtype
    if subtype not in entry.subtypes:
        remedy = f"is not a kind of {entry.name}; choose one of {', '.join(entry.subtypes)}"
        raise InvalidInput("subtype", subtype, remedy)
    return subtype


def _check_audio(audio: NDArray[np.float32], sample_rate: int, entry: WritableFormat) -> None:
    def refuse(remedy: str) -> InvalidInput:
        return InvalidInput("audio", f"{audio.dtype} {list(audio.shape)}", remedy)

    if audio.ndim != 2 or not np.issubdtype(audio.dtype, np.floating):
        raise refuse("must be floating point [channels, samples]")
    channels, samples = audio.shape
    if not channels or not samples:
        raise refuse("is empty; there is nothing to write")
    if channels > entry.max_channels:
        raise refuse(f"{entry.name} has up to {entry.max_channels} channels; mix it down (or transpose it)")
    if entry.container == "WAV" and channels * samples * 4 > _WAV_BYTES:
        raise refuse("is too long for wav (4 GB); write flac")
    if not np.isfinite(audio).all():
        raise refuse("holds NaN or infinite samples; the song is broken, generate it again")
    if not 1 <= sample_rate <= _HIGHEST_RATE:
        raise InvalidInput("sample_rate", sample_rate, f"must be 1 to {_HIGHEST_RATE} Hz")
