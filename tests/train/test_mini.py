"""The recipe end to end, small: corpus -> encoded store -> a few training steps -> release -> a song."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from importlib import resources
from itertools import count, islice
from pathlib import Path

import numpy as np
import pytest
import torch

from songbloom.corpus.generate import write_corpus
from songbloom.corpus.settings import CorpusSettings
from songbloom.errors import InvalidInput
from songbloom.model.stft_vae import StftVae, StftVaeConfig
from songbloom.pipeline import load
from songbloom.request import SongRequest, SongSettings
from songbloom.train import mini
from songbloom.train.autoencoder import load_autoencoder, save_autoencoder
from songbloom.train.encode import encode_corpus
from songbloom.train.examples import SongStore
from songbloom.train.trainer import TrainSettings

SMALL_VAE = StftVaeConfig(channels=32, hidden=32, latent_blocks=1, frame_blocks=1, side_rank=4, phase_rounds=0)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("corpus") / "songs"
    write_corpus(folder, n_songs=2, seed=1, settings=CorpusSettings(single_line=True, duration_s=(4.0, 6.0)))
    return folder


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("vae")
    save_autoencoder(StftVae(SMALL_VAE), folder)
    return folder


@pytest.fixture(scope="module")
def store(corpus, autoencoder, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    assert encode_corpus(corpus, load_autoencoder(autoencoder), folder) == 2
    return folder


def test_encoded_songs_are_aligned_and_whole(store):
    for path in store.glob("*.npz"):
        data = np.load(path)
        assert data["latents"].shape == (128, len(data["tokens"])) and len(data["tokens"]) % 16 == 0
        assert len(data["lyric_index"]) == len(data["tokens"])
        assert np.isfinite(data["latents"]).all()


def test_encoding_again_adds_nothing(corpus, autoencoder, store):
    before = (store / "index.jsonl").read_text()
    assert encode_corpus(corpus, load_autoencoder(autoencoder), store) == 2
    assert (store / "index.jsonl").read_text() == before
    assert len(SongStore(store)) == 2


def test_a_corpus_of_the_same_name_is_another(autoencoder, store, corpus, tmp_path):
    other, own = tmp_path / corpus.name, tmp_path / "store"
    write_corpus(other, n_songs=1, seed=2, settings=CorpusSettings(single_line=True, duration_s=(4.0, 6.0)))
    shutil.copytree(store, own)
    assert encode_corpus(other, load_autoencoder(autoencoder), own) == 3
    assert len(SongStore(own).pairs) == 2


def test_a_crash_between_a_song_and_its_line_loses_nothing(autoencoder, store, corpus, tmp_path):
    own = tmp_path / "store"
    shutil.copytree(store, own)
    first, second = (own / "index.jsonl").read_text().splitlines()
    (own / "index.jsonl").write_text(first + "\n" + second[:20])
    assert len(SongStore(own)) == 1
    assert encode_corpus(corpus, load_autoencoder(autoencoder), own) == 2
    assert (own / "index.jsonl").read_text() == (store / "index.jsonl").read_text()


def test_encoding_leaves_its_corpus_alone(autoencoder, store, corpus, tmp_path):
    own, told = tmp_path / "corpus", "manifest.jsonl"
    shutil.copytree(corpus, own)
    with (own / told).open("a") as manifest:
        manifest.write('{"number": 2, "audi')  # a corpus that is being made
        manifest.flush()
        before = (own / told).read_text(), (own / told).stat().st_ino
        assert encode_corpus(own, load_autoencoder(autoencoder), shutil.copytree(store, tmp_path / "store")) == 2
    assert ((own / told).read_text(), (own / told).stat().st_ino) == before


def test_a_store_of_an_earlier_form_is_not_gone_on_with(autoencoder, store, corpus, tmp_path):
    own = shutil.copytree(store, tmp_path / "store")
    (own / "encoder.npy").unlink()
    with pytest.raises(InvalidInput, match="store=.*of an earlier form"):
        encode_corpus(corpus, load_autoencoder(autoencoder), own)


def test_a_store_is_of_one_autoencoder(store, corpus):
    with torch.random.fork_rng():
        torch.manual_seed(5)
        other = StftVae(SMALL_VAE)
    other.analysis.copy_(torch.randn_like(other.analysis))
    with pytest.raises(InvalidInput, match="store=.*another autoencoder"):
        encode_corpus(corpus, other, store)


def test_what_holds_no_songs_is_named(autoencoder, tmp_path):
    with pytest.raises(InvalidInput, match="corpus="):
        encode_corpus(tmp_path, load_autoencoder(autoencoder), tmp_path / "store")
    with pytest.raises(InvalidInput, match="store="):
        SongStore(tmp_path)
    assert not list(tmp_path.iterdir())


def test_trained_readers_are_left_as_they_are(store, tmp_path, monkeypatch):
    """A store of two songs would unlearn what the bundled model's know."""
    bundled = Path(str(resources.files("songbloom.checkpoints") / "bundled/songbloom_mini"))
    before = load("songbloom_mini").net.facts
    trainer, _ = mini._begin(tmp_path, TrainSettings(minutes=1), bundled, store)
    for ours, theirs in zip(trainer.net.facts.readers, before.readers, strict=True):
        assert torch.equal(ours, theirs) and not ours.requires_grad
    fitted = []
    monkeypatch.setattr(mini, "fit_readers", lambda facts, store: fitted.append(facts))
    mini._begin(tmp_path / "new", TrainSettings(minutes=1), None, store)
    assert len(fitted) == 1


def test_the_recipe_makes_the_bundled_models_configuration():
    config = load("songbloom_mini").config
    assert mini.model_config(config.vae) == config


def test_export_writes_nothing_without_its_inputs(store, autoencoder, tmp_path):
    for run, tokenizer, name in ((tmp_path / "nowhere", None, "run"), (autoencoder, None, "run")):
        with pytest.raises(InvalidInput, match=f"^{name}="):
            mini.export(run, autoencoder, tmp_path / "release", tokenizer)
    with pytest.raises(InvalidInput, match="^autoencoder="):
        mini.export(tmp_path, tmp_path, tmp_path / "release")
    assert not (tmp_path / "release").exists()


def test_train_export_and_sing(store, autoencoder, corpus, tmp_path, monkeypatch):
    sizes = {"dim": 64, "num_heads": 2, "lm_layers": 3, "diff_layers": 1, "timestep_features": 16, "predictor": 32}
    small = replace(mini.net_config(), **sizes)
    monkeypatch.setattr(mini, "net_config", lambda: small)
    settings = TrainSettings(minutes=0.01, batch_positions=400, flow_blocks=2, warmup_steps=1)
    mini.pretrain_labels(tmp_path / "labels", replace(settings, flow_blocks=0))
    weights = tmp_path / "labels" / "ema.safetensors"
    mini.train_songs(tmp_path / "songs", settings, store, weights)
    mini.export(tmp_path / "songs", autoencoder, tmp_path / "release")
    assert json.loads((tmp_path / "release" / "config.json").read_text())["lyric_processor"] == "english"

    model = load(str(tmp_path / "release"))
    row = json.loads((corpus / "manifest.jsonl").read_text().splitlines()[0])
    request = SongRequest(
        lyrics="[verse]\nHello sun",
        prompt_wav=corpus / row["audio"],
        settings=SongSettings(seed=0, steps=4, max_duration=2.6),
    )
    song = model.generate(request)
    assert np.isfinite(song.audio).all() and song.audio.shape[0] == 2
    assert song.phonemes == "[verse] HH AH0 L OW1 S AH1 N ."


def test_mixture_of_stored_and_composed_batches():
    stored, composed = ([n] for n in count()), ([-1 - n] for n in count())
    drawn = [batch[0] for batch in islice(mini._turns(stored, stored, composed), 6)]
    assert drawn == [0, 1, -1, 2, 3, -2]


@pytest.mark.parametrize(("done", "stage"), [(0.0, 0), (0.34, 0), (0.35, 1), (0.6, 2), (0.99, 3)])
def test_curriculum(done, stage):
    assert mini.curriculum(done) == stage
