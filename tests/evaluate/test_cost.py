from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from songbloom.checkpoints.registry import BUNDLED_FOLDER
from songbloom.evaluate.cost import model_size_mb, peak_memory_gb


@pytest.mark.parametrize(
    ("platform", "told", "gigabytes"), [("linux", 1_500_000, 1.536), ("darwin", 1_500_000_000, 1.5)]
)
def test_memory_in_the_units_of_the_system(monkeypatch, platform, told, gigabytes):
    resource = pytest.importorskip("resource", reason="this system does not tell")
    monkeypatch.setattr(resource, "getrusage", lambda who: SimpleNamespace(ru_maxrss=told))
    monkeypatch.setattr(sys, "platform", platform)
    assert peak_memory_gb() == gigabytes


def test_memory_is_unknown_where_the_system_does_not_tell(monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)
    assert peak_memory_gb() is None


def test_size_of_a_folder_of_the_bundled_model_and_of_one_that_is_not_there(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(bytes(3000))
    (tmp_path / "b.json").write_bytes(bytes(500))
    (tmp_path / "sub").mkdir()
    assert model_size_mb(str(tmp_path)) == 0.0035
    files = (BUNDLED_FOLDER / "songbloom_mini").iterdir()
    assert model_size_mb("songbloom_mini") == pytest.approx(sum(f.stat().st_size for f in files) / 1e6)
    assert model_size_mb("songbloom_full_150s", tmp_path) is None
