"""The phones of CMUdict's ARPAbet, how long they last in speech, and how the singing voice spells them."""

from __future__ import annotations

PHONES: tuple[str, ...] = (
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY", "JH",
    "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH",
)  # fmt: skip
PHONE_INDEX = {phone: index for index, phone in enumerate(PHONES)}
VOWELS = frozenset(["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"])
SONORANTS = frozenset(["L", "M", "N", "NG", "R", "W", "Y"])

# Alphabet of the voice model (that of misaki and Kokoro). Unstressed AH and ER have symbols of their own.
SINGER_SYMBOLS = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "W", "AY": "I", "B": "b", "CH": "ʧ", "D": "d", "DH": "ð",
    "EH": "ɛ", "ER": "ɜɹ", "EY": "A", "F": "f", "G": "ɡ", "HH": "h", "IH": "ɪ", "IY": "i", "JH": "ʤ", "K": "k",
    "L": "l", "M": "m", "N": "n", "NG": "ŋ", "OW": "O", "OY": "Y", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ",
    "T": "t", "TH": "θ", "UH": "ʊ", "UW": "u", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ",
}  # fmt: skip
UNSTRESSED_SYMBOLS = {"AH": "ə", "ER": "əɹ"}
STRESS_MARKS = {"0": "", "1": "ˈ", "2": "ˌ"}


def plain(symbol: str) -> str:
    """The phone without its stress digit: ``"AH0"`` -> ``"AH"``."""
    return symbol.rstrip("012")


def singer_spelling(symbol: str) -> str:
    """A CMUdict symbol (stress digit included) in the alphabet of the voice, stress mark first."""
    phone = plain(symbol)
    if phone == symbol:
        return SINGER_SYMBOLS[phone]
    stress = symbol[-1]
    letters = UNSTRESSED_SYMBOLS.get(phone) if stress == "0" else None
    return STRESS_MARKS[stress] + (letters or SINGER_SYMBOLS[phone])


# Mean duration in seconds of each phone in speech of the voice model: median and mean of 400 random seven-word
# sentences, the mean of both, the stress mark counted to its vowel and the space to the phone after it.
NATURAL_SECONDS = {
    "AA": 0.122, "AE": 0.128, "AH": 0.056, "AO": 0.110, "AW": 0.135, "AY": 0.132, "B": 0.073, "CH": 0.077,
    "D": 0.054, "DH": 0.056, "EH": 0.100, "ER": 0.105, "EY": 0.130, "F": 0.075, "G": 0.059, "HH": 0.075,
    "IH": 0.075, "IY": 0.082, "JH": 0.060, "K": 0.059, "L": 0.052, "M": 0.055, "N": 0.053, "NG": 0.050,
    "OW": 0.126, "OY": 0.150, "P": 0.061, "R": 0.052, "S": 0.074, "SH": 0.074, "T": 0.055, "TH": 0.061,
    "UH": 0.096, "UW": 0.104, "V": 0.053, "W": 0.056, "Y": 0.050, "Z": 0.062, "ZH": 0.055,
}  # fmt: skip
