"""Weights in parts read like weights in one file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from songbloom.checkpoints.tensor_files import open_safetensors, write_shards
from songbloom.errors import CheckpointError

TENSORS = {f"layer.{i}": torch.full((10, 10), float(i)) for i in range(7)}  # 400 bytes each


@pytest.mark.parametrize(("most", "files"), [(10**6, 1), (1000, 4), (100, 7)])
def test_parts_hold_what_one_file_would(tmp_path: Path, most: int, files: int) -> None:
    write_shards(tmp_path / "model.safetensors", TENSORS, most)
    assert len(list(tmp_path.iterdir())) == files
    source = open_safetensors(tmp_path / "model.safetensors")
    assert source.names == set(TENSORS)
    read = source.read(["layer.0", "layer.6", "layer.3"])
    assert set(read) == {"layer.0", "layer.6", "layer.3"} and torch.equal(read["layer.6"], TENSORS["layer.6"])


def test_a_missing_part_is_told(tmp_path: Path) -> None:
    write_shards(tmp_path / "model.safetensors", TENSORS, 1000)
    (tmp_path / "model-00002-of-00004.safetensors").unlink()
    with pytest.raises(CheckpointError, match="3 of the 4 parts"):
        open_safetensors(tmp_path / "model.safetensors")


def test_no_file_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"model\.safetensors is missing"):
        open_safetensors(tmp_path / "model.safetensors")
