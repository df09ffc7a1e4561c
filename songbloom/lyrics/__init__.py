"""Lyrics: what people paste -> sections -> the published string -> phonemes.

Dictionaries and segmenters load at the first word that needs them, never at import.
"""

from .parse import Lyrics, Section, parse
from .phonemes import PROCESSORS, STRUCTURE_LABELS, phonemize, symbols, unpronounceable
from .report import LyricsReport, Pace, Reader, SectionReport, describe

__all__ = [
    "PROCESSORS",
    "STRUCTURE_LABELS",
    "Lyrics",
    "LyricsReport",
    "Pace",
    "Reader",
    "Section",
    "SectionReport",
    "describe",
    "parse",
    "phonemize",
    "symbols",
    "unpronounceable",
]
