"""``import songbloom`` is cheap, and its public names are there."""

from __future__ import annotations

import subprocess
import sys

import pytest

import songbloom

HEAVY = ("torch", "scipy", "soundfile", "jieba", "pypinyin", "safetensors", "numpy")


def loaded_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nsys.stdout.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split()) & set(HEAVY)


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_after("import songbloom") == set()


@pytest.mark.parametrize("module", ["songbloom.request", "songbloom.lyrics", "songbloom.cli", "songbloom.cli.generate"])
def test_these_do_not_load_torch(module):
    assert not loaded_after(f"import {module}") & {"torch", "jieba", "pypinyin"}


def test_public_names_resolve_and_others_do_not():
    for name in songbloom.__all__:
        assert getattr(songbloom, name) is not None
    assert "load" in dir(songbloom)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        songbloom.nonsense  # noqa: B018
