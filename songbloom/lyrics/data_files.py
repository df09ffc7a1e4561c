"""The pronunciation data that ships inside the package (``songbloom/lyrics/data``); sources are in NOTICE."""

from __future__ import annotations

import gzip
import io
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_DATA = files(__package__).joinpath("data")


def read_lines(name: str) -> list[str]:
    """The non-empty lines of a UTF-8 text file, gunzipped if its name ends in ``.gz``."""
    raw = _DATA.joinpath(name).read_bytes()
    if name.endswith(".gz"):
        raw = gzip.decompress(raw)
    return [line for line in raw.decode("utf-8").split("\n") if line]


def read_table(name: str) -> dict[str, str]:
    """Lines ``key value...`` as a dict; the value keeps its inner spaces."""
    return dict(line.split(" ", 1) for line in read_lines(name))


def read_arrays(name: str) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` file, without pickles."""
    import numpy as np

    with np.load(io.BytesIO(_DATA.joinpath(name).read_bytes()), allow_pickle=False) as arrays:
        return {key: arrays[key] for key in arrays.files}
