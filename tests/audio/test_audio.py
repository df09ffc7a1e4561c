"""The package as a whole."""

from __future__ import annotations

import subprocess
import sys

import songbloom.audio


def test_everything_it_names_is_there():
    assert all(hasattr(songbloom.audio, name) for name in songbloom.audio.__all__)


def test_importing_it_loads_neither_torch_nor_scipy():
    code = "import sys, songbloom.audio; print(sorted({'torch', 'scipy', 'pyloudnorm'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
