"""Songs decoded once into one file of 16-bit samples, which training reads at random through a memory map."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from songbloom.corpus.generate import corpus_name
from songbloom.errors import InvalidInput
from songbloom.files import write_json


class AudioCache:
    """``audio.i16`` (samples, interleaved channels, int16) and ``audio.json`` (its songs) in a run folder.

    Args:
        folder: where the two files are or will be.
        sample_rate, channels: of every song.
    """

    def __init__(self, folder: Path, sample_rate: int, channels: int) -> None:
        self._samples, self._index = folder / "audio.i16", folder / "audio.json"
        self.sample_rate, self.channels = sample_rate, channels
        self.songs: list[dict] = json.loads(self._index.read_text()) if self._index.exists() else []
        self._map: np.ndarray | None = None

    def add_folder(self, corpus: Path) -> None:
        """Append the songs ``*.flac`` of `corpus` that the cache does not hold yet.

        Raises:
            InvalidInput: if there is no song at all, or one cannot be read or has another sample rate or channel count.
        """
        name = corpus_name(corpus)
        known = {(song.get("corpus", name), song["name"]) for song in self.songs}
        found = (path for path in sorted(corpus.rglob("*.flac")) if not path.name.startswith("."))
        new = [path for path in found if (name, str(path.relative_to(corpus))) not in known]
        if not self.songs and not new:
            raise InvalidInput("corpus", str(corpus), "holds no *.flac songs; make some with `songbloom corpus`.")
        end = sum(song["length"] for song in self.songs)
        with self._samples.open("r+b" if self._samples.exists() else "wb") as out:
            out.seek(end * self.channels * 2)  # over a song whose copying was interrupted
            for path in new:
                audio = self._decoded(path)
                out.write(audio.tobytes())
                place = {"corpus": name, "name": str(path.relative_to(corpus)), "start": end, "length": len(audio)}
                self.songs.append(place | {"held_out": _held_out(path)})
                end += len(audio)
            out.truncate()
        write_json(self._index, self.songs)
        self._map = np.memmap(self._samples, dtype=np.int16, mode="r").reshape(-1, self.channels)

    def _decoded(self, path: Path) -> np.ndarray:
        try:
            audio, rate = soundfile.read(path, dtype="int16", always_2d=True)
        except (OSError, soundfile.LibsndfileError) as error:
            raise InvalidInput("corpus", str(path), f"cannot be read ({error}); remove it or make it anew.") from error
        if rate != self.sample_rate or audio.shape[1] != self.channels:
            found = f"{rate} Hz and {audio.shape[1]} channels"
            expected = f"expected {self.sample_rate} Hz and {self.channels} channels"
            raise InvalidInput("corpus", str(path), f"{expected}, found {found}.")
        return audio

    def length(self, song: int) -> int:
        """Samples of a song."""
        return self.songs[song]["length"]

    def read(self, song: int, start: int, count: int) -> Tensor:
        """Samples [channels, count] float32 in -1..1 of a song from `start` on."""
        assert self._map is not None, "call add_folder first"
        first = self.songs[song]["start"] + start
        return torch.from_numpy(self._map[first : first + count].T.astype(np.float32) / 32768)

    def split(self, held_out: int) -> tuple[list[int], list[int]]:
        """Indices of songs to measure on and of songs to train on.

        Songs whose label says ``"held_out": true`` are never trained on; `held_out` of them are measured.
        Where no song says so, the last `held_out` songs are held out, if more than those exist.
        """
        test = [i for i, song in enumerate(self.songs) if song["held_out"]]
        train = [i for i, song in enumerate(self.songs) if not song["held_out"]]
        if not test and len(train) > held_out > 0:
            test, train = train[-held_out:], train[:-held_out]
        if not train:
            raise InvalidInput("corpus", len(self.songs), "every song is held out; nothing is left to train on.")
        return test[:held_out], train


def _held_out(song: Path) -> bool:
    label = song.with_suffix(".json")
    return label.exists() and bool(json.loads(label.read_text(encoding="utf-8")).get("held_out", False))
