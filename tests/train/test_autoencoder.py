"""Training the autoencoder: it learns, stops, resumes exactly and exports what it learned."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, replace
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from songbloom.errors import CheckpointError, InvalidInput
from songbloom.model.stft_vae import StftVae, StftVaeConfig
from songbloom.train import autoencoder
from songbloom.train.audio_cache import AudioCache
from songbloom.train.autoencoder import (
    AutoencoderTraining,
    TrainingState,
    learning_rate,
    load_autoencoder,
    measure,
    random_segments,
    save_autoencoder,
    train_autoencoder,
    train_step,
    update_ema,
)
from songbloom.train.losses_audio import MultiResolutionMelLoss

SIZES = {
    "latent_dim": 6,
    "fft_size": 480,
    "hop": 120,
    "frames_per_latent": 4,
    "mid_bands": 8,
    "side_bands": 3,
    "pan_bands": 1,
    "channels": 12,
    "hidden": 16,
    "latent_blocks": 1,
    "frame_blocks": 1,
    "side_rank": 4,
    "phase_rounds": 1,
}
CONFIG = StftVaeConfig.from_dict(SIZES)
TRAINING = AutoencoderTraining(batch_size=2, segment_latents=12, log_steps=2, held_out_songs=1, warmup_steps=2)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    time = np.arange(96_000) / 48000
    for i in range(3):
        tone = 0.3 * np.sin(2 * np.pi * (220 + 100 * i) * time) * (np.sin(6 * time + i) > 0)
        hiss = 0.05 * np.random.default_rng(i).standard_normal((len(time), 2))
        soundfile.write(folder / f"{i}.flac", tone[:, None] * [0.9, 0.5] + hiss, 48000)
    return folder


def new_state(seed: int = 0) -> TrainingState:
    torch.manual_seed(seed)
    model, ema = StftVae(CONFIG), StftVae(CONFIG)
    ema.load_state_dict(model.state_dict())
    generator = torch.Generator().manual_seed(seed)
    return TrainingState(model, ema, torch.optim.AdamW(model.parameters(), lr=1e-3), generator)


def open_cache(corpus: Path, run: Path) -> AudioCache:
    run.mkdir(exist_ok=True)
    cache = AudioCache(run, 48000, 2)
    cache.add_folder(corpus)
    return cache


def take_steps(state: TrainingState, cache: AudioCache, count: int) -> list[float]:
    mel_loss = MultiResolutionMelLoss(48000, resolutions=((256, 24), (512, 48), (1024, 96)))
    losses = []
    for _ in range(count):
        audio = random_segments(cache, [0, 1, 2], TRAINING, CONFIG.downsampling_ratio, state.generator)
        losses.append(train_step(state, mel_loss, audio, TRAINING, 3e-3)["loss"])
    return losses


def test_segments_have_the_right_shape_and_follow_the_generator(corpus: Path, tmp_path: Path) -> None:
    cache = open_cache(corpus, tmp_path / "run")
    first, second = (
        random_segments(cache, [0, 1, 2], TRAINING, 480, torch.Generator().manual_seed(5)) for _ in range(2)
    )
    assert first.shape == (2, 2, 12 * 480)
    assert torch.equal(first, second)
    too_long = AutoencoderTraining(segment_latents=1000)
    with pytest.raises(InvalidInput, match="segment_latents"):
        random_segments(cache, [0], too_long, 480, torch.Generator())


def test_loss_falls_and_only_the_decoder_changes(corpus: Path, tmp_path: Path) -> None:
    cache = open_cache(corpus, tmp_path / "run")
    state = new_state()
    state.model.fit_analysis([cache.read(i, 0, cache.length(i)) for i in range(3)])
    state.ema.load_state_dict(state.model.state_dict())
    fitted = state.model.analysis.clone()
    training = replace(TRAINING, latent_noise=0.0, turn_weight=0.0, batch_size=1)
    audio = random_segments(cache, [0, 1, 2], training, CONFIG.downsampling_ratio, state.generator)
    mel_loss = MultiResolutionMelLoss(48000, resolutions=((512, 48),))
    losses = [train_step(state, mel_loss, audio, training, 0.02)["loss"] for _ in range(12)]
    assert np.mean(losses[-3:]) < 0.75 * losses[0]
    assert torch.equal(state.model.analysis, fitted)
    assert not torch.equal(state.ema.mid_head.weight, state.model.mid_head.weight)


def test_a_resumed_state_continues_as_if_never_stopped(corpus: Path, tmp_path: Path) -> None:
    cache = open_cache(corpus, tmp_path / "run")
    straight = new_state()
    take_steps(straight, cache, 3)
    straight.save(tmp_path / "state.pt")
    resumed = new_state(seed=1)
    resumed.load(tmp_path / "state.pt")
    assert take_steps(resumed, cache, 3) == take_steps(straight, cache, 3)
    assert resumed.step == straight.step == 6
    for a, b in zip(resumed.ema.state_dict().values(), straight.ema.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_learning_rate_warms_up_and_follows_a_cosine() -> None:
    training = AutoencoderTraining(learning_rate=1.0, final_learning_rate=0.1, warmup_steps=4)
    assert learning_rate(training, 0, 0.0) == pytest.approx(0.25)
    assert learning_rate(training, 100, 0.5) == pytest.approx(0.55)
    assert learning_rate(training, 100, 1.0) == learning_rate(training, 100, 2.0) == pytest.approx(0.1)


def test_averaged_weights_forget_their_start_quickly() -> None:
    state = new_state()
    with torch.no_grad():
        for parameter in state.model.parameters():
            parameter.fill_(1.0)
    for step in range(30):
        update_ema(state.ema, state.model, 0.999, step)
    assert (state.ema.mid_head.weight - 1).abs().max() < 1e-3


def test_exported_weights_are_half_precision_and_decode_alike(tmp_path: Path) -> None:
    model = new_state().model.eval()
    save_autoencoder(model, tmp_path)
    loaded = load_autoencoder(tmp_path)
    assert loaded.config == CONFIG
    size = (tmp_path / "ema.safetensors").stat().st_size
    assert size < 2.2 * sum(value.numel() for value in model.state_dict().values()) + 10_000
    latents = torch.randn(1, 6, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        error = model.decode(latents) - loaded.decode(latents)
        assert error.square().mean() < 1e-4 * model.decode(latents).square().mean()


def test_training_writes_its_files_and_goes_on_where_it_stopped(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.count()
    monkeypatch.setattr(autoencoder, "time", SimpleNamespace(monotonic=lambda: float(next(seconds))))
    run = tmp_path / "run"
    weights = train_autoencoder(CONFIG, corpus, run, minutes=3 / 60, training=TRAINING)
    assert weights == run / "ema.safetensors"
    frozen = json.loads((run / "encoder.json").read_text())
    assert len(frozen["latent_std"]) == CONFIG.latent_dim
    assert json.loads((run / "training.json").read_text()) == {"minutes": 3 / 60, **asdict(TRAINING)}
    first = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert {"lsd_mid", "lsd_side", "si_sdr"} <= first[-1].keys()
    encoder = load_autoencoder(run).analysis

    train_autoencoder(CONFIG, corpus, run, minutes=5 / 60, training=TRAINING)
    later = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert (first[-1]["step"], later[-1]["step"]) == (3, 5)
    assert torch.equal(load_autoencoder(run).analysis, encoder)
    assert not list(run.glob("*.part"))

    # from weights alone, in a new folder: the encoder stays
    train_autoencoder(CONFIG, corpus, tmp_path / "more", minutes=0.002, training=TRAINING, initial_weights=run)
    assert torch.equal(load_autoencoder(tmp_path / "more").analysis, encoder)


def test_bad_settings_are_named() -> None:
    with pytest.raises(InvalidInput, match="precision"):
        AutoencoderTraining(precision="fp8")
    with pytest.raises(InvalidInput, match="batch_size"):
        AutoencoderTraining(batch_size=0)
    with pytest.raises(InvalidInput, match="fit_hours"):
        AutoencoderTraining(fit_hours=0)
    with pytest.raises(InvalidInput, match="minutes"):
        train_autoencoder(CONFIG, "nowhere", "nowhere", minutes=0)
    with pytest.raises(InvalidInput, match="device"):
        train_autoencoder(CONFIG, "nowhere", "nowhere", minutes=1, device="abacus")


def test_a_state_of_another_network_or_cut_short_is_named(corpus: Path, tmp_path: Path) -> None:
    train_autoencoder(CONFIG, corpus, tmp_path, minutes=0.002, training=TRAINING)
    other = StftVaeConfig.from_dict(SIZES | {"channels": 16})
    with pytest.raises(CheckpointError, match=r"state\.pt is not of such a run .*--fresh"):
        train_autoencoder(other, corpus, tmp_path, minutes=1, training=TRAINING)
    (tmp_path / "state.pt").write_bytes((tmp_path / "state.pt").read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"state\.pt is not of such a run"):
        train_autoencoder(CONFIG, corpus, tmp_path, minutes=1, training=TRAINING)


def test_what_is_no_autoencoder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="autoencoder=.*holds no autoencoder"):
        load_autoencoder(tmp_path)


def test_a_releases_autoencoder_is_one() -> None:
    release = resources.files("songbloom.checkpoints") / "bundled/songbloom_mini"
    assert load_autoencoder(Path(str(release))).config.latent_dim == 128


def test_measures_of_a_perfect_copy(corpus: Path, tmp_path: Path) -> None:
    cache = open_cache(corpus, tmp_path / "run")

    class Copy(StftVae):
        def encode(self, audio):
            return audio, audio

        def decode(self, latents):
            return latents

    values = measure(Copy(CONFIG), cache, [0, 1], seconds=1.0)
    assert values["lsd_mid"] == values["lsd_side"] == values["side_level"] == 0
    assert values["si_sdr"] > 50
