"""Train the bundled model's autoencoder, `songbloom train autoencoder`.

The encoder is fitted in seconds and never changes afterwards (the run folder then holds ``encoder.json``),
so latents of any snapshot of a run are latents of all its snapshots; only the decoder goes on training.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from songbloom.checkpoints.load import VAE
from songbloom.checkpoints.tensor_files import open_safetensors, write_safetensors
from songbloom.errors import CheckpointError, InvalidInput
from songbloom.files import remove_parts, write_json, written_aside
from songbloom.model.stft_vae import StftVae, StftVaeConfig
from songbloom.pipeline import choose_device
from songbloom.train.audio_cache import AudioCache
from songbloom.train.losses_audio import (
    MultiResolutionMelLoss,
    log_spectral_distance,
    scale_invariant_sdr,
    spectrum_loss,
)
from songbloom.train.run_folder import forget_later, state_to_resume
from songbloom.train.settings import check_settings, setting

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AutoencoderTraining:
    """How to train; the sizes of the network are `StftVaeConfig`'s."""

    batch_size: int = setting(4, "segments of a step", least=1)
    segment_latents: int = setting(12, "latents of a segment", least=1)
    learning_rate: float = setting(1e-3, above=0)
    final_learning_rate: float = setting(2e-5, least=0)
    weight_decay: float = setting(1e-3, least=0)
    warmup_steps: int = setting(50, "over which the rate rises", least=1)
    ema_decay: float = setting(0.998, "how much of the averaged weights stays at each step", least=0, most=1)
    whitening: float = setting(0.3, least=0, most=1)
    fit_hours: float = setting(1.5, "of audio the encoder is fitted to", above=0)
    latent_noise: float = setting(
        0.12, "largest RMS added to latents, so that the decoder forgives a generator's errors", least=0
    )
    resolutions_per_step: int = setting(2, "of the spectra compared in a step", least=1)
    phase_rounds: int = setting(0, "rounds of Griffin-Lim inside the training graph", least=0)
    log_mel_weight: float = setting(1.0, least=0)
    root_magnitude_weight: float = setting(10.0, least=0)
    spectrum_weight: float = setting(1.0, least=0)
    turn_weight: float = setting(0.2, least=0)
    held_out_songs: int = setting(4, "to measure on", least=0)
    log_steps: int = setting(50, "between two rows of the log", least=1)
    export_minutes: float = setting(3.0, "between states to resume from", above=0)
    precision: str = setting(
        "auto",
        "auto is bfloat16 where the processor computes in it, else float32",
        among=("auto", "float32", "bfloat16"),
    )
    seed: int = setting(0, least=0)

    def __post_init__(self) -> None:
        check_settings(self)

    def uses_bfloat16(self, device: torch.device) -> bool:
        """Emulated bfloat16 is several times slower than float32, so "auto" takes it only from hardware."""
        if self.precision != "auto":
            return self.precision == "bfloat16"
        if device.type == "cuda":
            return torch.cuda.is_bf16_supported(including_emulation=False)
        return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()


@dataclass
class TrainingState:
    """All that a resumed run needs; tensors and numbers only, so that it loads without running code."""

    model: StftVae
    ema: StftVae
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    step: int = 0
    seconds: float = 0.0

    def save(self, path: Path) -> None:
        content = {
            "model": self.model.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "step": self.step,
            "seconds": self.seconds,
        }
        with written_aside(path) as aside:
            torch.save(content, aside)

    def load(self, path: Path) -> None:
        remedy = "go on with the network it was begun with, take another folder, or begin anew with --fresh"
        with state_to_resume(path, remedy) as content:
            self.model.load_state_dict(content["model"])
            self.ema.load_state_dict(content["ema"])
            self.optimizer.load_state_dict(content["optimizer"])
        self.generator.set_state(content["generator"])
        self.step, self.seconds = content["step"], content["seconds"]


def save_autoencoder(model: StftVae, folder: Path) -> None:
    """Write ``ema.safetensors`` (half precision) and ``config.json`` into `folder`, each as a whole."""
    weights = {name: value.detach().to("cpu", torch.float16).contiguous() for name, value in model.state_dict().items()}
    write_safetensors(folder / "ema.safetensors", weights)
    write_json(folder / "config.json", {"kind": "stft_vae", **model.config.to_dict()})


def load_autoencoder(folder: Path, field: str = "autoencoder") -> StftVae:
    """The `StftVae` that `save_autoencoder` wrote, or that of a release, in float32 and evaluation mode.

    Args:
        field: what the folder is called where it holds none.

    Raises:
        InvalidInput: the folder holds none.
    """
    own = folder / "ema.safetensors"
    try:
        weights = open_safetensors(own if own.is_file() else folder / VAE)
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        values = dict(values.get("vae", values))
        values.pop("kind")
        model = StftVae(StftVaeConfig.from_dict(values))
        model.load_state_dict({k: v.float() for k, v in weights.read(weights.names).items()})
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, CheckpointError) as error:
        reason = str(error).strip().splitlines()[0]
        remedy = f"holds no autoencoder ({reason}); name the run of `songbloom train autoencoder`, or a release"
        raise InvalidInput(field, str(folder), remedy) from error
    return model.eval()


def random_segments(
    cache: AudioCache, songs: list[int], training: AutoencoderTraining, ratio: int, generator: torch.Generator
) -> Tensor:
    """A batch [B, 2, segment] of random cuts, longer songs more often; random gain and swapped channels."""
    segment = training.segment_latents * ratio
    lengths = torch.tensor([max(0, cache.length(song) - segment) for song in songs], dtype=torch.float64)
    if lengths.sum() == 0:
        raise InvalidInput("segment_latents", training.segment_latents, "no song of the corpus is that long.")
    picked = torch.multinomial(lengths, training.batch_size, replacement=True, generator=generator)
    batch = []
    for index in picked.tolist():
        fraction, decibels, swap = torch.rand(3, generator=generator).tolist()
        audio = cache.read(songs[index], int(fraction * lengths[index]), segment)
        audio = audio * 10 ** ((6 * decibels - 4) / 20)
        batch.append(audio.flip(0) if swap < 0.5 else audio)
    return torch.stack(batch)


def training_loss(
    model: StftVae,
    mel_loss: MultiResolutionMelLoss,
    audio: Tensor,
    training: AutoencoderTraining,
    generator: torch.Generator,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum and its parts for audio [B, 2, n]; only the decoder has parameters to train."""
    config = model.config
    with torch.no_grad():
        target = model.mid_side_spectrum(audio)
        latents = model.encode_spectrum(target)
        level = training.latent_noise * torch.rand(len(audio), 1, 1, generator=generator).to(audio.device)
        latents = latents + level * torch.randn(latents.shape, generator=generator).to(audio.device)
    with torch.autocast(audio.device.type, torch.bfloat16, enabled=training.uses_bfloat16(audio.device)):
        spectrum = model.decode_spectrum(latents)
    decoded = model.waveform(spectrum, training.phase_rounds)
    magnitude, turn = spectrum_loss(spectrum, target, config.floor, config.sample_rate)

    # Mid carries the words and is compared always; one of left, right and side in turn keeps the stereo.
    left_right_side = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, -0.5]], device=audio.device)
    other = left_right_side[int(torch.randint(3, (1,), generator=generator))]
    mixing = torch.stack([torch.full_like(other, 0.5), other])
    order = torch.randperm(len(mel_loss.windows), generator=generator)[: training.resolutions_per_step]
    windows = [mel_loss.windows[i] for i in order.tolist()]
    log_mel, root = mel_loss(mixing @ decoded, mixing @ audio, windows)
    loss = (
        training.spectrum_weight * magnitude
        + training.turn_weight * turn
        + training.log_mel_weight * log_mel
        + training.root_magnitude_weight * root
    )
    return loss, {"loss": loss, "magnitude": magnitude, "turn": turn, "log_mel": log_mel, "root": root}


def learning_rate(training: AutoencoderTraining, step: int, progress: float) -> float:
    """Linear warm-up by steps, then a cosine over `progress` (0..1 of the training time)."""
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    rate = training.final_learning_rate + (training.learning_rate - training.final_learning_rate) * cosine
    return rate * min(1.0, (step + 1) / training.warmup_steps)


@torch.no_grad()
def update_ema(ema: StftVae, model: StftVae, decay: float, step: int) -> None:
    """Move `ema` towards `model`; a short memory at first, so that early snapshots are usable."""
    decay = min(decay, (1 + step) / (10 + step))
    for average, value in zip(ema.parameters(), model.parameters(), strict=True):
        average.lerp_(value, 1 - decay)


def train_step(
    state: TrainingState,
    mel_loss: MultiResolutionMelLoss,
    audio: Tensor,
    training: AutoencoderTraining,
    rate: float,
) -> dict[str, float]:
    """One step of gradient descent on audio [B, 2, n] at learning rate `rate`; the losses, for the log."""
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    loss, parts = training_loss(state.model, mel_loss, audio, training, state.generator)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(state.model.parameters(), 1.0)
    if torch.isfinite(norm):
        state.optimizer.step()
        update_ema(state.ema, state.model, training.ema_decay, state.step)
    state.step += 1
    return {name: float(value.detach()) for name, value in {**parts, "gradient": norm}.items()}


@torch.no_grad()
def measure(model: StftVae, cache: AudioCache, songs: list[int], seconds: float = 10.0) -> dict[str, float]:
    """Log-spectral distances (dB), SI-SDR of mid (dB) and side level (dB) over `songs`' first `seconds`."""
    totals = {"lsd_mid": 0.0, "lsd_side": 0.0, "si_sdr": 0.0, "side_level": 0.0}
    device = model.patch_mean.device
    for song in songs:
        n = min(cache.length(song), int(seconds * model.sample_rate))
        audio = cache.read(song, 0, n)[None].to(device)
        decoded = model.decode(model.encode(audio)[0])[..., :n]
        mid, side = (audio[:, 0] + audio[:, 1]) / 2, (audio[:, 0] - audio[:, 1]) / 2
        mid_out, side_out = (decoded[:, 0] + decoded[:, 1]) / 2, (decoded[:, 0] - decoded[:, 1]) / 2
        totals["lsd_mid"] += float(log_spectral_distance(mid_out, mid))
        totals["lsd_side"] += float(log_spectral_distance(side_out, side))
        totals["si_sdr"] += float(scale_invariant_sdr(mid_out, mid))
        totals["side_level"] += float(
            10 * torch.log10((side_out.square().mean() + 1e-9) / (side.square().mean() + 1e-9))
        )
    return {name: round(total / max(1, len(songs)), 3) for name, total in totals.items()}


def fit_encoder(model: StftVae, cache: AudioCache, songs: list[int], training: AutoencoderTraining, run: Path) -> None:
    """Fit the encoder to evenly spread songs and write the marker file with the latents' deviations."""
    total = sum(cache.length(song) for song in songs)
    stride = max(1, math.ceil(total / (training.fit_hours * 3600 * model.sample_rate)))

    def pieces() -> Iterator[Tensor]:
        piece = 30 * model.sample_rate
        for song in songs[::stride]:
            for start in range(0, cache.length(song) - model.downsampling_ratio + 1, piece):
                yield cache.read(song, start, min(piece, cache.length(song) - start))

    std = model.fit_analysis(pieces(), training.whitening)
    write_json(run / "encoder.json", {"latent_std": [round(v, 4) for v in std.tolist()]})


def train_autoencoder(
    config: StftVaeConfig,
    corpus_folder: Path | str,
    run_folder: Path | str,
    *,
    minutes: float,
    resume: bool = True,
    training: AutoencoderTraining | None = None,
    device: str = "cpu",
    initial_weights: Path | None = None,
) -> Path:
    """Train a `StftVae` until its run has lasted `minutes` altogether, and export its averaged weights.

    The run folder receives ``audio.i16`` (the decoded corpus), ``log.jsonl``, ``state.pt`` (to resume from),
    ``ema.safetensors`` and ``config.json`` (see `save_autoencoder`), all replaced as a whole.

    Args:
        config: sizes of the network.
        corpus_folder: songs ``*.flac`` of the config's sample rate, with ``*.json`` beside them.
        run_folder: made if missing.
        minutes: of training time, earlier runs in the folder included; the learning rate falls over it.
        resume: go on from ``state.pt`` if there is one; otherwise start over.
        initial_weights: folder of exported weights to start from where there is no state to resume.
    Returns:
        The path of the exported weights.
    Raises:
        InvalidInput: for an empty corpus, songs of another format, or a device that is not there.
        CheckpointError: the folder's state is of a run with another network.
    """
    training = training or AutoencoderTraining()
    if not 0 < minutes < math.inf:
        raise InvalidInput("minutes", minutes, "must be above 0.")
    chosen = choose_device(device)
    run = Path(run_folder)
    run.mkdir(parents=True, exist_ok=True)
    remove_parts(run)
    cache = AudioCache(run, config.sample_rate, config.audio_channels)
    cache.add_folder(Path(corpus_folder))
    held_out, songs = cache.split(training.held_out_songs)

    torch.manual_seed(training.seed)
    model, ema = StftVae(config), StftVae(config)
    if initial_weights is not None:
        model.load_state_dict(load_autoencoder(initial_weights, "initial_weights").state_dict())
    model.to(chosen)
    ema.to(chosen)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=training.learning_rate, betas=(0.9, 0.98), weight_decay=training.weight_decay
    )
    state = TrainingState(model, ema, optimizer, torch.Generator().manual_seed(training.seed))
    if resume and (run / "state.pt").exists():
        state.load(run / "state.pt")
    else:
        if initial_weights is None:
            fit_encoder(model, cache, songs, training, run)
        ema.load_state_dict(model.state_dict())
        save_autoencoder(ema, run)
    forget_later(run / "log.jsonl", state.step)
    write_json(run / "training.json", {"minutes": minutes, **asdict(training)})
    _run_steps(state, cache, songs, held_out, training, run, minutes)
    return run / "ema.safetensors"


def _run_steps(
    state: TrainingState,
    cache: AudioCache,
    songs: list[int],
    held_out: list[int],
    training: AutoencoderTraining,
    run: Path,
    minutes: float,
) -> None:
    model = state.model
    device = model.patch_mean.device
    mel_loss = MultiResolutionMelLoss(model.sample_rate, floor=model.config.floor).to(device)
    sums: dict[str, float] = {}
    counted = 0
    last_export, clock = state.seconds, time.monotonic()
    with (run / "log.jsonl").open("a", encoding="utf-8") as log:
        while state.seconds < 60 * minutes:
            rate = learning_rate(training, state.step, state.seconds / (60 * minutes))
            audio = random_segments(cache, songs, training, model.downsampling_ratio, state.generator)
            parts = train_step(state, mel_loss, audio.to(device), training, rate)
            counted += 1
            for name, value in parts.items():
                sums[name] = sums.get(name, 0.0) + value
            now = time.monotonic()
            state.seconds, clock = state.seconds + now - clock, now
            if counted == training.log_steps:
                means = {name: round(total / counted, 4) for name, total in sums.items()}
                _log(log, state, {**means, "rate": rate})
                sums, counted = {}, 0
            if state.seconds - last_export > 60 * training.export_minutes:
                _export(log, state, cache, held_out, run)
                last_export = state.seconds
                clock = time.monotonic()
        _export(log, state, cache, held_out, run)


def _log(log: Any, state: TrainingState, values: dict[str, float]) -> None:
    record = {"step": state.step, "minutes": round(state.seconds / 60, 2), **values}
    log.write(json.dumps(record) + "\n")
    log.flush()
    logger.info("%s", record)


def _export(log: Any, state: TrainingState, cache: AudioCache, held_out: list[int], run: Path) -> None:
    save_autoencoder(state.ema, run)
    state.save(run / "state.pt")
    _log(log, state, measure(state.ema, cache, held_out))
