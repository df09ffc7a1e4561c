from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from songbloom.errors import InvalidInput
from songbloom.model.sketch_codes import BEATS, LOWEST, PITCHES, REST, VOICED
from songbloom.train.sketch_tokenizer import (
    NO_PHONE,
    SketchTokenizer,
    TokenizerConfig,
    load_tokenizer,
    probe,
    save_tokenizer,
    targets_of,
    train_tokenizer,
)


def test_targets_invert_the_codes():
    tokens = np.array([3 * PITCHES + 7, VOICED + 5 * BEATS + 2, REST])
    phone, pitch, chord, beat = (t.tolist() for t in targets_of(tokens))
    assert phone == [3, NO_PHONE, NO_PHONE]
    assert pitch == [7, -1, -1] and chord == [-1, 5, -1] and beat == [-1, 2, -1]
    assert LOWEST + 7 <= 76


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Songs whose latents say their token outright: a fixed random vector for each of five."""
    folder = tmp_path_factory.mktemp("store")
    rng = np.random.default_rng(0)
    alphabet = np.array([0, 5 * PITCHES + 3, 9 * PITCHES + 20, VOICED + 1, VOICED + 50])
    vectors = rng.standard_normal((5, 128))
    rows = []
    for number in range(4):
        picks = np.repeat(rng.integers(0, 5, 40), 4)
        np.savez(
            folder / f"{number}.npz",
            latents=vectors[picks].T.astype(np.float16),
            tokens=alphabet[picks].astype(np.int32),
            lyric_index=np.zeros(160, np.int32),
            lyrics=np.array("AH0"),
            clip=np.zeros((128, 40), np.float16),
            facts=np.zeros(4, np.int64),
        )
        rows.append(json.dumps({"file": f"{number}.npz", "pair": str(number)}))
    (folder / "index.jsonl").write_text("\n".join(rows))
    return folder


def test_learns_to_read_latents(store, tmp_path):
    tokenizer = train_tokenizer(store, tmp_path, steps=60, batch=4, frames=64)
    shares = probe(tokenizer, store)
    assert shares["token"] > 0.95 and shares["phone"] > 0.95
    latents = torch.from_numpy(np.load(store / "0.npz")["latents"].astype(np.float32))[None]
    assert torch.equal(load_tokenizer(tmp_path).encode(latents), tokenizer.encode(latents))


def test_saved_in_half_precision(tmp_path):
    tokenizer = SketchTokenizer(TokenizerConfig(dim=32, blocks=1))
    save_tokenizer(tokenizer, tmp_path)
    parameters = sum(p.numel() for p in tokenizer.parameters())
    assert (tmp_path / "tokenizer.safetensors").stat().st_size < 2 * parameters + 4000


def test_what_it_cannot_learn_from_is_named(store, tmp_path):
    with pytest.raises(InvalidInput, match="store=.*no song of 9999 frames"):
        train_tokenizer(store, tmp_path, steps=1, frames=9999)
    with pytest.raises(InvalidInput, match="steps=0"):
        train_tokenizer(store, tmp_path, steps=0)
    with pytest.raises(InvalidInput, match="tokenizer=.*holds no run"):
        load_tokenizer(tmp_path)
