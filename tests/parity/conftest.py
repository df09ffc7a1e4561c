"""Reference vectors of the published network: tests/goldens/set_a, or the folder SONGBLOOM_GOLDENS names."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from songbloom.checkpoints.load import LoadedModel, load_folder

GOLDENS = Path(os.environ.get("SONGBLOOM_GOLDENS") or Path(__file__).parents[1] / "goldens" / "set_a")
TOLERANCE = {"atol": 2e-4, "rtol": 2e-4}


class Golden:
    """The tensors and metadata of one file of the set."""

    def __init__(self, path: Path) -> None:
        with safe_open(path, "pt") as file:
            self.tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            self.metadata = {k: json.loads(v) for k, v in (file.metadata() or {}).items()}

    def __getitem__(self, name: str) -> torch.Tensor:
        return self.tensors[name]

    def __contains__(self, name: str) -> bool:
        return name in self.tensors


@pytest.fixture(scope="session")
def goldens() -> Path:
    return GOLDENS


@pytest.fixture(scope="session")
def model() -> LoadedModel:
    return load_folder(GOLDENS)


@pytest.fixture(scope="session")
def conditions() -> list[dict]:
    return json.loads((GOLDENS / "cond.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def cond() -> Golden:
    return Golden(GOLDENS / "cond.safetensors")


def close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(actual, expected, **TOLERANCE)
