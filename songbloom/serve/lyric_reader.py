"""How a model reads lyrics, found without loading torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from songbloom.checkpoints import registry
from songbloom.errors import CheckpointError, InvalidInput
from songbloom.lyrics import Pace
from songbloom.model.config import ModelConfig


@dataclass(frozen=True)
class LyricReader:
    """What is known of a model's reading; the defaults are those of no model in particular."""

    processor: str = "phoneme"
    pace: Pace = Pace()
    max_tokens: int | None = None
    vocab: tuple[str, ...] | None = None

    @classmethod
    def of(cls, model: str, local_dir: str | Path) -> LyricReader:
        """The reader of a model by its name or folder. Only our own form tells everything; of a published
        checkpoint the registry knows the pace.
        """
        folder: Path | None = Path(model)
        seconds_per_tag = 1.0
        if not registry.is_native(Path(model)):
            try:
                release = registry.find(model)
            except InvalidInput:
                return cls()
            folder, seconds_per_tag = registry.present(release, local_dir), release.seconds_per_tag
        if folder is None or not registry.is_native(folder):
            return cls(pace=Pace(tag_s=seconds_per_tag))
        try:
            config = ModelConfig.from_dict(json.loads((folder / "config.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, CheckpointError):
            return cls()  # the worker that cannot load it says why
        return cls(config.lyric_processor, config.pace, config.net.lyrics.max_len, config.net.lyrics.vocab)
