"""What a model costs: memory of this process, size of its files."""

from __future__ import annotations

from pathlib import Path

from songbloom.checkpoints import registry
from songbloom.memory import process_peak_bytes


def peak_memory_gb() -> float | None:
    """Most memory this process has held at once, in GB (10^9 bytes); None where the system does not tell."""
    peak = process_peak_bytes()
    return None if peak is None else peak / 1e9


def model_size_mb(model: str, local_dir: str | Path = registry.DEFAULT_LOCAL_DIR) -> float | None:
    """Size of a model's files in MB (10^6 bytes); named as for :func:`songbloom.load`. None where it is not there."""
    for folder in (Path(model), registry.BUNDLED_FOLDER / model):
        if folder.is_dir():
            return sum(file.stat().st_size for file in folder.iterdir() if file.is_file()) / 1e6
    sizes = [row.size_bytes for row in registry.table(local_dir) if row.name == model and row.present]
    return sizes[0] / 1e6 if sizes and sizes[0] else None
