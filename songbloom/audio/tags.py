"""A song's metadata inside its audio file.

All tags go, as one JSON object, into the file's comment, so any tag comes back exactly; the ones players
know go into their own fields too. libsndfile's tags serve Ogg; the other formats get theirs from here:
it writes MP3 tags that read as garbage outside ASCII, cannot read back a WAV tag over 2 KiB, and has no
field for lyrics (libsndfile 1.2.2).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from songbloom.audio.decode import open_audio
from songbloom.errors import InvalidInput


class _Field(NamedTuple):
    """What one tag is called in each format; None where it has no field of its own."""

    libsndfile: str | None
    vorbis: str
    id3: str
    riff: str | None


_FIELDS = {
    "title": _Field("title", "TITLE", "TIT2", "INAM"),
    "artist": _Field("artist", "ARTIST", "TPE1", "IART"),
    "album": _Field("album", "ALBUM", "TALB", "IPRD"),
    "date": _Field("date", "DATE", "TYER", "ICRD"),
    "genre": _Field("genre", "GENRE", "TCON", "IGNR"),
    "copyright": _Field("copyright", "COPYRIGHT", "TCOP", "ICOP"),
    "software": _Field("software", "SOFTWARE", "TSSE", "ISFT"),
    "lyrics": _Field(None, "LYRICS", "USLT", None),
}
_COMMENT = _Field("comment", "COMMENT", "COMM", "ICMT")
_RIFF_NAMES = {f.riff: name for name, f in {**_FIELDS, "comment": _COMMENT}.items() if f.riff}


def fit(tags: Mapping[str, str], max_bytes: int) -> tuple[dict[str, str], tuple[str, ...]]:
    """The tags that fit into ``max_bytes`` (UTF-8), and the names of those left out, longest first."""
    for name, value in tags.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise InvalidInput("tags", f"{name}={value}", "names and values of tags must be text")
    # A lone surrogate, from a file name say, has no UTF-8 form.
    kept = {_storable(name): _storable(value) for name, value in tags.items()}
    dropped: list[str] = []
    while kept and len((as_json(kept) + "".join(plain(kept).values())).encode()) > max_bytes:
        longest = max(kept, key=lambda name: len(kept[name]))
        del kept[longest]
        dropped.append(longest)
    return kept, tuple(dropped)


def as_json(tags: Mapping[str, str]) -> str:
    """The text of the comment that carries all tags."""
    return json.dumps(dict(tags), ensure_ascii=False)


def plain(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that have a field of their own in some format, without characters that would end it early."""
    return {name: tags[name].replace("\0", "") for name in _FIELDS if tags.get(name)}


def libsndfile_strings(tags: Mapping[str, str]) -> dict[str, str]:
    """Attribute of ``soundfile.SoundFile`` -> text, to be set before the first samples are written."""
    known = {_FIELDS[name].libsndfile: value for name, value in plain(tags).items()}
    return {name: value for name, value in known.items() if name} | {"comment": as_json(tags)}


def embed_flac(data: bytes, tags: Mapping[str, str]) -> bytes:
    """The FLAC file ``data`` with its VORBIS_COMMENT block replaced (RFC 9639, section 8.6)."""
    blocks, at, last = [], 4, False
    while not last:
        last, kind = bool(data[at] & 0x80), data[at] & 0x7F
        end = at + 4 + int.from_bytes(data[at + 1 : at + 4], "big")
        if kind != 4:
            blocks.append((kind, data[at + 4 : end]))
        at = end
    lines = [f"{_FIELDS[name].vorbis}={value}" for name, value in plain(tags).items()]
    lines.append(f"{_COMMENT.vorbis}={as_json(tags)}")
    texts = [b"songbloom"] + [line.encode() for line in lines]
    counted = [struct.pack("<I", len(text)) + text for text in texts]
    comment = counted[0] + struct.pack("<I", len(lines)) + b"".join(counted[1:])
    blocks.insert(1, (4, comment))  # STREAMINFO must stay first
    headers = [
        bytes([kind | (0x80 if index == len(blocks) - 1 else 0)]) + len(body).to_bytes(3, "big") + body
        for index, (kind, body) in enumerate(blocks)
    ]
    return b"".join([data[:4], *headers, data[at:]])


def embed_mp3(data: bytes, tags: Mapping[str, str]) -> bytes:
    """The MP3 file ``data`` behind an ID3v2.3 tag, the version every player reads, in UTF-16."""
    frames = []
    for name, value in plain(tags).items():
        frame = _FIELDS[name].id3
        if frame == "USLT":
            frames.append(_id3_frame(frame, b"\x01eng" + _utf16("") + b"\0\0" + _utf16(value)))
        else:
            frames.append(_id3_frame(frame, b"\x01" + _utf16(value[:4] if frame == "TYER" else value)))
    frames.append(_id3_frame(_COMMENT.id3, b"\x01eng" + _utf16("") + b"\0\0" + _utf16(as_json(tags))))
    body = b"".join(frames)
    size = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\x00\x00" + size + body + data


def embed_wav(data: bytes, tags: Mapping[str, str]) -> bytes:
    """The WAV file ``data`` with a LIST chunk of type INFO, in UTF-8, at its end."""
    items = {_FIELDS[name].riff: value for name, value in plain(tags).items()}
    items["ICMT"] = as_json(tags)
    chunks = [_riff_chunk(name, value.encode() + b"\0") for name, value in items.items() if name]
    whole = data + b"\0" * (len(data) % 2) + _riff_chunk("LIST", b"INFO" + b"".join(chunks))
    return whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:]


def read_tags(path: str | PathLike[str]) -> dict[str, str]:
    """The tags of an audio file: of one of ours exactly those it was written with, else what its fields hold.

    Raises:
        InvalidInput: no such file, or not audio.
    """
    with open_audio(path) as file:
        fields: dict[str, str] = file.copy_metadata()
        is_wav = file.format in ("WAV", "WAVEX")
    if is_wav:
        fields = _read_riff_info(Path(path)) or fields
    try:
        stored = json.loads(fields.get("comment", ""))
    except ValueError:
        return fields
    ours = isinstance(stored, dict) and all(isinstance(value, str) for value in stored.values())
    return stored if ours else fields


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _utf16(text: str) -> bytes:
    return b"\xff\xfe" + text.encode("utf-16-le")


def _id3_frame(name: str, body: bytes) -> bytes:
    return name.encode() + struct.pack(">IH", len(body), 0) + body


def _riff_chunk(name: str, body: bytes) -> bytes:
    return name.encode() + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _read_riff_info(path: Path) -> dict[str, str]:
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        if file.read(4) != b"RIFF":
            return fields
        file.seek(12)
        while len(header := file.read(8)) == 8:
            size = int.from_bytes(header[4:], "little")
            next_chunk = file.tell() + size + size % 2
            if header[:4] == b"LIST" and file.read(4) == b"INFO":
                fields |= _info_items(file.read(max(size - 4, 0)))
            file.seek(next_chunk)
    return fields


def _info_items(body: bytes) -> dict[str, str]:
    items, at = {}, 0
    while at + 8 <= len(body):
        size = int.from_bytes(body[at + 4 : at + 8], "little")
        name = _RIFF_NAMES.get(body[at : at + 4].decode("latin-1"))
        if name:
            items[name] = body[at + 8 : at + 8 + size].rstrip(b"\0").decode("utf-8", "replace")
        at += 8 + size + size % 2
    return items
