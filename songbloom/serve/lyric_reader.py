"""How a model reads lyrics, found without loading torch."""

from __future__ import annotations

import json
from pathlib import Path

from songbloom.checkpoints import registry
from songbloom.errors import CheckpointError, InvalidInput
from songbloom.lyrics import Pace, Reader
from songbloom.model.config import ModelConfig


def reader_of(model: str, local_dir: str | Path) -> Reader:
    """The reader of a model by its name or folder. Only our own form tells everything; of a published checkpoint the
    registry knows the pace.
    """
    folder: Path | None = Path(model)
    seconds_per_tag = 1.0
    if not registry.is_native(Path(model)):
        try:
            release = registry.find(model)
        except InvalidInput:
            return Reader()
        folder, seconds_per_tag = registry.present(release, local_dir), release.seconds_per_tag
    if folder is None or not registry.is_native(folder):
        return Reader(pace=Pace(tag_s=seconds_per_tag))
    try:
        config = ModelConfig.from_dict(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, CheckpointError):
        return Reader()  # the worker that cannot load it says why
    return config.reader
