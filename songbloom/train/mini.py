"""The recipe of songbloom_mini: configuration, and the stages that end in the bundled weights.

1. corpus: songs composed and sung by ``songbloom.corpus``.
2. autoencoder: ``songbloom.train.autoencoder`` on the corpus' audio.
3. labels: the network's language model on endlessly composed labels, no audio needed.
4. songs: the whole network on the encoded corpus.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import count, cycle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from songbloom.checkpoints.load import LoadedModel, save_native
from songbloom.corpus.facts import COUNTS
from songbloom.corpus.phones import PHONES, VOWELS
from songbloom.corpus.timing import FRAME_S
from songbloom.errors import InvalidInput
from songbloom.model.config import InferenceDefaults, LyricsConfig, ModelConfig, NetConfig
from songbloom.model.network import SongBloomNet
from songbloom.model.predictive_refiner import PredictiveRefiner
from songbloom.model.sketch_codes import NUM_CODES, meaningful_init
from songbloom.train.autoencoder import load_autoencoder
from songbloom.train.examples import STAGES, Example, SongStore, batches, compose_examples
from songbloom.train.readers import fit_readers
from songbloom.train.sketch_tokenizer import load_tokenizer, save_tokenizer
from songbloom.train.trainer import Trainer, TrainSettings, initialise

log = logging.getLogger(__name__)

FRAME_RATE = 1 / FRAME_S  # 12.5
CLIP_FRAMES = (38, 125)  # style clips of 3 to 10 s
STRUCTURES = ("[intro]", "[outro]", "[bridge]", "[inst]", "[verse]", "[chorus]", "[silence]")


def vocabulary() -> tuple[str, ...]:
    """Lyric tokens: null, section tags, separators, and CMUdict's symbols with their stress."""
    symbols = [p + stress for p in PHONES for stress in (("0", "1", "2") if p in VOWELS else ("",))]
    return ("", *STRUCTURES, ",", ".", *symbols)


def net_config() -> NetConfig:
    return NetConfig(
        dim=256,
        num_heads=4,
        lm_layers=4,
        diff_layers=4,
        num_pitch=NUM_CODES,
        block_size=16,
        latent_dim=128,
        timestep_features=256,
        rotary_base=20000.0,
        lyrics=LyricsConfig(vocab=vocabulary(), max_len=600, max_sentences=40, context=2),
        prompt_max_len=CLIP_FRAMES[1],
        pad_prefix=False,
        predictor=512,
        timbre=True,
        cursor=True,
        metronome=True,
        facts=COUNTS,
    )


def new_net(seed: int = 0) -> SongBloomNet:
    """A network with initial weights; token embedding and classifier start from the codes' meaning."""
    net = SongBloomNet(net_config())
    initialise(net, seed)
    std = net.config.init_std
    with torch.no_grad():
        for weight in (net.token_embedding.weight, net.get_parameter("classifier.2.weight")):
            weight.copy_(meaningful_init(weight.shape[0], weight.shape[1], std=std, seed=3))
    return net


def curriculum(done: float) -> int:
    """The stage of :data:`songbloom.train.examples.STAGES` at a share of the run."""
    return sum(done >= share for share in (0.35, 0.55, 0.8))


def _begin(
    run: Path, settings: TrainSettings, weights: Path | None, store: Path | None = None
) -> tuple[Trainer, Iterator[int]]:
    """The run's trainer, resumed or started, and seeds of data it has not seen."""
    net = new_net(settings.seed)
    if store is not None and isinstance(net.refiner, PredictiveRefiner):
        net.refiner.expect(*SongStore(store).statistics())
    trainer = Trainer(net, run, settings)
    if weights:
        trainer.start_from(weights)
    if store is not None and net.facts is not None and not trainer.step and not net.facts.measured:
        fit_readers(net.facts, SongStore(store))
        trainer.restart_average()
    return trainer, count(settings.seed * 1_000_003 + trainer.step + 500_009 * trainer.rank)


def pretrain_labels(run: Path, settings: TrainSettings, weights: Path | None = None) -> None:
    """Teach the language model lyrics, melody and form from labels alone: from single lines to whole songs."""
    trainer, seeds = _begin(run, settings, weights)

    def data(done: float) -> Iterator[list[Example]]:
        stage = len(STAGES) - 1 if weights else curriculum(done)
        examples = compose_examples(next(seeds), stage, frame_rate=FRAME_RATE, block_size=trainer.net.config.block_size)
        return batches(examples, budget=settings.batch_positions)

    trainer.train(data)


def train_songs(run: Path, settings: TrainSettings, store: Path, weights: Path | None = None) -> None:
    """Train the whole network on encoded songs (:class:`songbloom.train.examples.SongStore`).

    The readers of clips are fitted to the store unless the weights to start from have fitted ones.

    One batch in three is composed labels without latents: words and melodies no stored song has, so that the
    language model does not learn the store's songs by heart. With ``settings.refiner_only`` there are none.
    """
    trainer, seeds = _begin(run, settings, weights, store)

    def data(done: float) -> Iterator[list[Example]]:
        songs = SongStore(store)  # read again: the store may have grown
        log.info("%d songs", len(songs))
        seed, block = next(seeds), trainer.net.config.block_size
        budget = settings.batch_positions
        stored = batches(songs.examples(seed, block_size=block, clip_frames=CLIP_FRAMES), budget=budget)
        if settings.refiner_only:
            return stored
        composed = compose_examples(seed, len(STAGES) - 1, frame_rate=FRAME_RATE, block_size=block)
        return _turns(stored, stored, batches(composed, budget=budget))

    trainer.train(data)


def _turns(*sources: Iterator[list[Example]]) -> Iterator[list[Example]]:
    for source in cycle(sources):
        yield next(source)


def model_config(vae: dict) -> ModelConfig:
    """The release's configuration around a trained VAE's."""
    return ModelConfig(
        net=net_config(),
        vae=vae,
        sample_rate=48000,
        max_duration_s=60.0,
        prompt_seconds=10.0,
        lyric_processor="english",
        seconds_per_tag=1.0,
        seconds_per_syllable=0.47,  # least squares over 250 composed songs, 8 % mean error
        seconds_per_line=0.98,
        min_steps=4,
        defaults=InferenceDefaults(
            cfg_coef=1.5,
            temperature=0.7,
            diffusion_temperature=0.15,
            top_k=50,
            penalty_repeat=False,
            steps=6,
            guidance="none",
            solver="adams",
        ),
    )


def export(run: Path, autoencoder: Path, output: Path, tokenizer: Path | None = None, most_bytes: int = 2**62) -> None:
    """Write the release of a run: its averaged weights and the autoencoder's, in half precision.

    Args:
        run: folder of :func:`train_songs`.
        autoencoder: folder of :func:`songbloom.train.autoencoder.train_autoencoder`.
        tokenizer: folder of :func:`songbloom.train.sketch_tokenizer.train_tokenizer`, if it is to come along.
        most_bytes: of one file of weights.

    Raises:
        InvalidInput: one of the folders does not hold what it should; nothing is written then.
    """
    vae = load_autoencoder(autoencoder)
    config = model_config({"kind": "stft_vae", **vae.config.to_dict()})
    net = SongBloomNet(config.net)
    try:
        net.load_state_dict(load_file(run / "ema.safetensors"))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise InvalidInput("run", str(run), "holds no weights of `songbloom train songs`") from error
    told = load_tokenizer(tokenizer) if tokenizer is not None else None
    save_native(output, LoadedModel(config, net.half(), vae.half()), most_bytes)
    if told is not None:
        save_tokenizer(told, output)
