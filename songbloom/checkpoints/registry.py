"""The known models: what they are, which files they have and where copies of them can be had.

The table is data. To add a model, add a row; nothing else in the package names a release.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from songbloom.errors import InvalidInput

DEFAULT_LOCAL_DIR = "./cache"
BUNDLED_FOLDER = Path(__file__).parent / "bundled"
# Our own form of a checkpoint, which `songbloom convert` writes; see load.py.
NATIVE_FILES = ("config.json", "model.safetensors", "vae.safetensors")
_UNKNOWN_LICENCE = "unknown: read the card"


@dataclass(frozen=True)
class File:
    """One file of a release. ``size`` in bytes and ``sha256`` (hex) are None where nobody has stated them."""

    name: str
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Source:
    """One public copy. ``files`` limits it to the files it is known to hold; None means it may hold all."""

    kind: Literal["hub", "modelscope"]
    repo: str
    licence: str = _UNKNOWN_LICENCE
    files: tuple[str, ...] | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.repo}"

    def may_have(self, file_name: str) -> bool:
        return self.files is None or file_name in self.files


@dataclass(frozen=True)
class Release:
    """One model.

    Attributes:
        parameters: number of weights, VAE not counted; None where the files alone tell.
        longest_s: longest song in seconds.
        seconds_per_tag: song seconds that one [intro], [inst] or [outro] tag stands for.
        approximate_bytes: size of all files, estimated as float32 weights; None where the files alone tell.
        licence: what is known of the licence, to be shown, not judged.
        sources: copies in the order to try them; empty for a model that comes with the package.
    """

    name: str
    description: str
    parameters: int | None
    longest_s: float
    seconds_per_tag: float
    licence: str
    approximate_bytes: int | None = None
    files: tuple[File, ...] = ()
    sources: tuple[Source, ...] = ()

    @property
    def bundled(self) -> bool:
        return not self.sources


class Row(NamedTuple):
    """One line of ``songbloom models``. ``size_bytes`` is exact where present, else an estimate or None."""

    name: str
    parameters: int | None
    size_bytes: int | None
    longest_s: float
    licence: str
    present: Path | None
    description: str


_VAE_CONFIG = File("stable_audio_1920_vae.json")
_VAE = File(
    "autoencoder_music_dsp1920.ckpt",
    sha256="10ccb6c83613781ad32e998a90597ba7eb9292911a224598da1fd53728eb4cd3",
)
_VOCABULARY = File("vocab_g2p.yaml")
_VAE_ONLY = (_VAE_CONFIG.name, _VAE.name)
_VAE_BYTES = 675_000_000
_FULL_PARAMETERS = 1_870_000_000

_ORIGINAL = Source("hub", "CypressYang/SongBloom")
_ORIGINAL_LONG = Source("hub", "CypressYang/SongBloom_long")
_COPIES = (
    Source("hub", "rtikw/SongBloom", licence="Apache-2.0 (its card)"),
    Source("hub", "rsxdalv/SongBloom"),
    Source(
        "modelscope", "AI-ModelScope/SongBloom", licence="Apache-2.0 (as its copy rtikw/SongBloom quotes it)"
    ),
    Source("modelscope", "giantailab/YingMusic-Singer", files=_VAE_ONLY),
)


def _published(
    name: str, description: str, longest_s: float, seconds_per_tag: float, *first: Source
) -> Release:
    return Release(
        name=name,
        description=description,
        parameters=_FULL_PARAMETERS,
        longest_s=longest_s,
        seconds_per_tag=seconds_per_tag,
        licence="copies differ (academic use only; Apache-2.0): read the card of the copy you use",
        approximate_bytes=4 * _FULL_PARAMETERS + _VAE_BYTES,
        # The small configuration comes first: it tells soonest whether a source has this release.
        files=(File(f"{name}.yaml"), File(f"{name}.pt"), _VAE_CONFIG, _VAE, _VOCABULARY),
        sources=(*first, *_COPIES),
    )


RELEASES: tuple[Release, ...] = (
    _published("songbloom_full_150s", "English and Chinese, songs up to 2:30", 150.0, 1.0, _ORIGINAL),
    _published(
        "songbloom_full_150s_dpo",
        "songbloom_full_150s tuned by direct preference optimisation",
        150.0,
        1.0,
        _ORIGINAL,
    ),
    _published(
        "songbloom_full_240s", "English and Chinese, songs up to 4:00", 240.0, 5.0, _ORIGINAL_LONG, _ORIGINAL
    ),
    Release(
        name="songbloom_mini",
        description="comes with the package; English only",
        parameters=14_800_000,
        longest_s=60.0,
        seconds_per_tag=1.0,
        licence="Apache-2.0",
    ),
)


def find(name: str) -> Release:
    """The release called ``name``; raises InvalidInput with the known names, the nearest first named."""
    for release in RELEASES:
        if release.name == name:
            return release
    names = [release.name for release in RELEASES]
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.4)
    hint = f"did you mean {close[0]}? " if close else ""
    raise InvalidInput("model_name", name, f"unknown model; {hint}Known models: {', '.join(names)}")


def present(release: Release, local_dir: str | Path | None = DEFAULT_LOCAL_DIR) -> Path | None:
    """The folder that holds every file of ``release``, published or converted to our own form, or None.

    Looked at, in order: ``local_dir`` itself, its sub-folder of the release's name, the package's own models.
    Sizes are compared where known; contents are not read.
    """
    places = [BUNDLED_FOLDER / release.name] if release.bundled else []
    if local_dir is not None:
        places = [Path(local_dir), Path(local_dir) / release.name, *places]
    return next((place for place in places if _holds(place, release)), None)


def is_native(folder: Path) -> bool:
    """Whether ``folder`` holds a checkpoint in our own form."""
    return all(_looks_whole(folder / name, File(name)) for name in NATIVE_FILES)


def _holds(folder: Path, release: Release) -> bool:
    # Our own form has the same file names for every release, so the folder's name must say which it is.
    if folder.name == release.name and is_native(folder):
        return True
    return not release.bundled and all(_looks_whole(folder / file.name, file) for file in release.files)


def _looks_whole(path: Path, file: File) -> bool:
    try:
        size = path.stat().st_size
    except OSError:
        return False
    return path.is_file() and size > 0 and file.size in (None, size)


def table(local_dir: str | Path | None = DEFAULT_LOCAL_DIR) -> list[Row]:
    """One row for every known model, in the order of the registry."""
    rows = []
    for release in RELEASES:
        folder = present(release, local_dir)
        rows.append(
            Row(
                name=release.name,
                parameters=release.parameters,
                size_bytes=_size_on_disk(release, folder) if folder else release.approximate_bytes,
                longest_s=release.longest_s,
                licence=release.licence,
                present=folder,
                description=release.description,
            )
        )
    return rows


def _size_on_disk(release: Release, folder: Path) -> int:
    names = NATIVE_FILES if is_native(folder) else [file.name for file in release.files]
    return sum((folder / name).stat().st_size for name in names)
