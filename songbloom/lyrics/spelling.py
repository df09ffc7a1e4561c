"""English spelling to phonemes for words no dictionary has: a small GRU encoder and GRU decoder.

The weights are those of g2p-en 2.1.0 (Apache-2.0). The GRU is the usual one (Cho et al. 2014) with the reset
gate applied after the recurrent product: n = tanh(x_n + r * h_n), h' = (1 - z) * n + z * h.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .data_files import read_arrays

_LETTERS = {letter: i for i, letter in enumerate("abcdefghijklmnopqrstuvwxyz", start=3)}
_UNKNOWN_LETTER, _END_OF_WORD = 1, 2
_START, _END = 2, 3
_LONGEST = 20  # phonemes

# fmt: off
_SOUNDS = ("AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH",
           "IY", "JH", "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V",
           "W", "Y", "Z", "ZH")
# fmt: on


def _outputs() -> tuple[str | None, ...]:
    """What the decoder's 74 outputs stand for; None: a mark, or the stressless UW, in no symbol table."""
    outputs: list[str | None] = [None, "UNK", None, None]
    for sound in _SOUNDS:
        if sound == "UW":
            outputs.append(None)
        outputs += [sound + stress for stress in "012"] if sound[0] in "AEIOU" else [sound]
    return tuple(outputs)


_OUTPUTS = _outputs()


@lru_cache(maxsize=1)
def _weights() -> dict[str, np.ndarray]:
    return read_arrays("spelling_gru.npz")


def _gru_step(x: np.ndarray, h: np.ndarray, w: dict[str, np.ndarray], side: str) -> np.ndarray:
    """One step: x [E], h [H] -> new h [H]; the three gates lie stacked as r, z, n."""
    xr, xz, xn = np.split(w[f"{side}_w_ih"] @ x + w[f"{side}_b_ih"], 3)
    hr, hz, hn = np.split(w[f"{side}_w_hh"] @ h + w[f"{side}_b_hh"], 3)
    r = 1 / (1 + np.exp(-(xr + hr)))
    z = 1 / (1 + np.exp(-(xz + hz)))
    return (1 - z) * np.tanh(xn + r * hn) + z * h


def predict(word: str) -> list[str]:
    """ARPAbet phonemes (at most 20) of a lower-case word; a character outside a-z counts as unknown."""
    w = _weights()
    h = np.zeros(w["enc_w_hh"].shape[1], np.float32)
    for i in [*(_LETTERS.get(c, _UNKNOWN_LETTER) for c in word), _END_OF_WORD]:
        h = _gru_step(w["enc_emb"][i], h, w, "enc")
    phonemes: list[str] = []
    output = _START
    for _ in range(_LONGEST):
        h = _gru_step(w["dec_emb"][output], h, w, "dec")
        output = int((w["fc_w"] @ h + w["fc_b"]).argmax())
        if output == _END:
            break
        phoneme = _OUTPUTS[output]
        if phoneme is not None:
            phonemes.append(phoneme)
    return phonemes
