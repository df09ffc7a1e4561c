from __future__ import annotations

import numpy as np
import pytest

from .signals import make_music


@pytest.fixture(scope="session")
def music() -> np.ndarray:
    audio = make_music()
    audio.flags.writeable = False
    return audio
