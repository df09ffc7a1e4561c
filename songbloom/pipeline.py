"""From a request to a song: lyrics -> phonemes, clip -> latents, block loop, VAE. Everything else is built on this."""

from __future__ import annotations

import logging
import math
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from songbloom import lyrics as lyric_text
from songbloom.audio import read_style_clip
from songbloom.checkpoints import registry
from songbloom.checkpoints.load import LoadedModel, load_folder, model_name, read_config
from songbloom.corpus.facts import bar_frames, clip_sound
from songbloom.errors import Cancelled, CheckpointError, InvalidInput
from songbloom.generate.line_times import line_times
from songbloom.generate.lyric_path import LyricPath
from songbloom.generate.noise import SongNoise
from songbloom.generate.patches import ComposeSettings, Patch, SongTask, compose, has_room, read_prefixes, start
from songbloom.generate.sampling import TokenSampling
from songbloom.generate.stream import StreamDecoder
from songbloom.memory import Profile, explained, fitting, free_bytes
from songbloom.model.config import ModelConfig
from songbloom.model.kv_cache import KVCache
from songbloom.model.vae import decode_chunked, encode_style
from songbloom.optimize.levels import optimize
from songbloom.optimize.offload import check_offload
from songbloom.quantize.network import check, weight_bytes
from songbloom.request import PROFILES, SongRequest, SongSettings
from songbloom.song import Song

log = logging.getLogger(__name__)

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
DEFAULT_MODEL = "songbloom_mini"
LONGEST_S = 300.0  # of any model: beyond what it was trained on, it forgets the oldest blocks


@dataclass(frozen=True)
class Progress:
    """Where a song is: ``song_s`` seconds composed of about ``expected_s``.

    ``left_s`` is the time left; None once the song is longer than expected, for nobody knows when it will end.
    """

    song_s: float
    expected_s: float
    elapsed_s: float
    left_s: float | None


@dataclass(frozen=True)
class Prepared:
    """A request turned into what the block loop reads; made before any heavy work, so bad input fails early."""

    request: SongRequest
    phonemes: str
    clip: Tensor  # [1, n] mono at the model's sample rate
    settings: SongSettings  # nothing is None
    expected_s: float
    warnings: tuple[str, ...]
    sections: tuple[lyric_text.SectionReport, ...]


def load(
    model: str = DEFAULT_MODEL,
    *,
    local_dir: str | Path = registry.DEFAULT_LOCAL_DIR,
    dtype: str = "auto",
    device: str = "auto",
    quantization: str = "none",
    optimization_level: str = "standard",
    eight_bit_cache: bool = False,
    offload: bool = False,
    profile: str = "none",
) -> SongBloom:
    """Load a model by its name (``songbloom models`` lists them) or from a folder.

    Args:
        model: a release's name, or the path of a folder that holds a model, published or in our own form.
        local_dir: where downloaded releases lie.
        dtype: float32, bfloat16 or float16 for the network; 'auto' is bfloat16 on CUDA, else float32. The VAE
            always runs in float32.
        device: cuda, mps or cpu, with an index if wanted; 'auto' takes the first of them there is.
        quantization: int8 or int4 keeps the weights of the transformers' layers in 8 or 4 bits; ``dtype`` is then
            that of everything else.
        optimization_level: minimal, standard or aggressive (:mod:`songbloom.optimize.levels`).
        eight_bit_cache: keep what the language model remembers of a song in 8 bits.
        offload: have language model, refiner and autoencoder take turns on a CUDA device that has no room for all.
        profile: 'auto' chooses dtype, quantization, cache and turns by the memory that is free, so far as they are not
            chosen already (:func:`songbloom.memory.fitting`).

    Raises:
        InvalidInput: unknown model, dtype, device, quantization, level or profile.
        OutOfMemory: no profile fits.
        NotAvailable: the quantization needs a library or device that is not here.
        CheckpointError: the model is not there, or its files do not fit.
    """
    chosen = choose_device(device)
    kind = choose_dtype(dtype, chosen)
    check(quantization, chosen)
    folder, name = _find(model, local_dir)
    if profile not in PROFILES:
        raise InvalidInput("profile", profile, f"must be one of {', '.join(PROFILES)}")
    config = read_config(folder, name)
    if quantization == "none":
        quantization = config.quantization  # as the weights lie in their file
    check_offload(offload, chosen)
    kept = Profile(kind, quantization, eight_bit_cache, offload)
    if profile == "auto":
        kept = fitting(
            config,
            chosen,
            free=free_bytes(chosen),
            dtype=None if dtype == "auto" else kind,
            quantization=quantization,
            eight_bit_cache=eight_bit_cache,
            offload=offload,
        )
        log.info("profile auto: %s", kept)
    began = time.monotonic()
    with explained(config, chosen, kept, seconds=config.max_duration_s, songs=1):
        loaded = load_folder(
            folder, name, dtype=kept.dtype, device=chosen, quantization=kept.quantization, offload=kept.offload
        )
    loaded.config = _with_seconds_per_tag(loaded.config, name)
    weights, size = loaded.config.quantization, weight_bytes(loaded.net) / 1e6
    log.info("loaded %s in %s, quantization %s, %.0f MB of weights, on %s in %.1f s",
             name, str(kept.dtype).removeprefix("torch."), weights, size, chosen, time.monotonic() - began)  # fmt: skip
    return assemble(name, loaded, optimization_level, eight_bit_cache=kept.eight_bit_cache)


def assemble(name: str, loaded: LoadedModel, optimization_level: str, *, eight_bit_cache: bool = False) -> SongBloom:
    """A model of loaded parts, brought to a level."""
    for note in optimize(loaded.net, optimization_level):
        log.info("%s: %s", optimization_level, note)
    if loaded.turns is not None:
        loaded.turns.watch()
        log.info("language model, refiner and autoencoder take turns on %s", loaded.net.device)
    return SongBloom(name, loaded, eight_bit_cache=eight_bit_cache)


def read_model_config(model: str = DEFAULT_MODEL, *, local_dir: str | Path = registry.DEFAULT_LOCAL_DIR) -> ModelConfig:
    """The configuration of a model, named as for :func:`load`, without loading its weights. Raises as it does."""
    folder, name = _find(model, local_dir)
    return _with_seconds_per_tag(read_config(folder, name), name)


def _find(model: str, local_dir: str | Path) -> tuple[Path, str]:
    """The folder of a model and its name."""
    folder = Path(model)
    if folder.is_dir() and (name := model_name(folder)):
        return folder, name
    release = registry.find(model)
    place = registry.present(release, local_dir)
    if place is None and release.bundled:
        raise CheckpointError(f"{release.name} should come with the package but is not there: install it again")
    if place is None:
        raise CheckpointError(
            f"{release.name} is not in {local_dir}; get it with: songbloom download {release.name} "
            f"--local-dir {local_dir}, or name the folder that holds its files with --local-dir, "
            f"or use the bundled model: --model-name {DEFAULT_MODEL}"
        )
    return place, release.name


def _with_seconds_per_tag(config: ModelConfig, name: str) -> ModelConfig:
    """Published configurations do not tell how long a tag lasts; our table does."""
    for release in registry.RELEASES:
        if release.name == name and not release.bundled:
            return replace(config, seconds_per_tag=release.seconds_per_tag)
    return config


def choose_device(name: str) -> torch.device:
    """The device called ``name``; 'auto' is cuda, else mps, else cpu."""
    available = ["cpu"]
    if torch.backends.mps.is_available():
        available.insert(0, "mps")
    if torch.cuda.is_available():
        available.insert(0, "cuda")
    if name == "auto":
        return torch.device(available[0])
    kind, _, index = name.partition(":")
    if kind not in available or not (index == "" or (kind == "cuda" and index.isdigit())):
        raise InvalidInput("device", name, f"not available here; choose auto, {', '.join(available)}")
    if kind == "cuda" and index and int(index) >= torch.cuda.device_count():
        raise InvalidInput("device", name, f"there are {torch.cuda.device_count()} CUDA devices, counted from 0")
    return torch.device(name)


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """The dtype called ``name``; 'auto' is bfloat16 on CUDA devices that have it, else float32."""
    if name == "auto":
        bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
        return torch.bfloat16 if bf16 else torch.float32
    if name not in DTYPES:
        raise InvalidInput("dtype", name, f"must be auto, {', '.join(DTYPES)}")
    return DTYPES[name]


class SongBloom:
    """A loaded model. Between songs it keeps nothing but what it knows of the null prefix."""

    def __init__(self, name: str, loaded: LoadedModel, *, eight_bit_cache: bool = False) -> None:
        self.name = name
        self.eight_bit_cache = eight_bit_cache
        self.config, self.net, self.vae = loaded.config, loaded.net, loaded.vae
        self._turns = loaded.turns
        self._null: KVCache | None = None

    @property
    def seconds_per_block(self) -> float:
        return self.config.net.block_size * self.vae.downsampling_ratio / self.vae.sample_rate

    @property
    def profile(self) -> Profile:
        """What weights and cache are kept in."""
        return Profile(self.net.dtype, self.config.quantization, self.eight_bit_cache, self._turns is not None)

    def prepare(self, request: SongRequest) -> Prepared:
        """Check a request against this model and read its clip.

        Raises:
            InvalidInput: names the field at fault.
        """
        config = self.config
        report = config.reader.describe(request.lyrics)
        if report.tokens > config.net.lyrics.max_len:
            remedy = f"{report.tokens} lyric tokens, but {self.name} reads {config.net.lyrics.max_len}; shorten them"
            raise InvalidInput("lyrics", request.lyrics, remedy)
        if not any(token in config.net.lyrics.vocab for token in report.phonemes.split()):
            raise InvalidInput("lyrics", request.lyrics, f"hold nothing that {self.name} can sing or play")
        settings = self._fill_in(request.settings)
        clip = read_style_clip(
            request.prompt_wav,
            sample_rate=self.vae.sample_rate,
            start_s=request.prompt_start,
            seconds=config.prompt_seconds,
        )
        assert settings.max_duration is not None
        longest = math.ceil(settings.max_duration / self.seconds_per_block) * self.seconds_per_block
        expected = min(max(report.seconds, self.seconds_per_block), longest)
        told, sections = tuple(report.warnings), tuple(report.sections)
        return Prepared(request, report.phonemes, torch.from_numpy(clip), settings, expected, told, sections)

    def _fill_in(self, settings: SongSettings) -> SongSettings:
        """The settings with the model's recommendations and a seed in place of None."""
        config, defaults = self.config, self.config.defaults
        recommended: dict[str, Any] = {
            "seed": secrets.randbits(31),
            "cfg_coef": defaults.cfg_coef,
            "steps": defaults.steps,
            "top_k": defaults.top_k,
            "temperature": defaults.temperature,
            "diffusion_temperature": defaults.diffusion_temperature,
            "max_duration": config.max_duration_s,
            "guidance": defaults.guidance,
            "solver": defaults.solver,
        }
        missing = {name: value for name, value in recommended.items() if getattr(settings, name) is None}
        filled = replace(settings, **missing)
        assert filled.steps is not None and filled.max_duration is not None
        if filled.steps < config.min_steps:
            raise InvalidInput("steps", filled.steps, f"{self.name} needs {config.min_steps} to 100")
        longest = max(config.max_duration_s, LONGEST_S)
        if filled.max_duration > longest:
            remedy = f"{self.name} makes songs of up to {longest:g} s"
            raise InvalidInput("max_duration", filled.max_duration, remedy)
        return filled

    def patches(
        self, prepared: Prepared, seeds: Sequence[int] | None = None, *, prior: Sequence[Patch] = ()
    ) -> Iterator[Patch]:
        """The song block by block, as it is composed.

        Args:
            seeds: several make as many songs at once from one reading of the prefix (``Patch.song`` tells which);
                by default the one of the settings.
            prior: the patches a song of one seed already has; it goes on after them as if it had not been stopped.
        """
        seeds = seeds if seeds is not None else [prepared.settings.seed or 0]
        yield from self.compose(self.tasks(prepared, seeds), prior=prior)

    @torch.no_grad()
    def tasks(self, prepared: Prepared, seeds: Sequence[int]) -> list[SongTask]:
        """What the block loop needs for a song of each seed."""
        # One draw of the clip's latents for all seeds, so that songs of one request share their prefix.
        with self._explained(self.config.prompt_seconds):
            style = encode_style(self.vae, prepared.clip.to(self.net.device), SongNoise(0).prompt)
        facts, bar = None, None
        if self.net.facts is not None:
            sound = clip_sound(prepared.clip.numpy(), self.vae.sample_rate)
            facts, bar = self.net.facts.read(style, sound), bar_frames(sound.tempo)
        prefix, timbre = self.net.prefix(style, prepared.phonemes, facts), self.net.timbre(style, facts)
        settings = self._compose_settings(prepared.settings)
        path = None
        if self.config.net.cursor:
            path = LyricPath(self.net.lyrics.tokenizer.items(prepared.phonemes))
        return [SongTask(prefix, SongNoise(seed), settings, timbre, path, bar) for seed in seeds]

    def compose(self, tasks: Sequence[SongTask], *, prior: Sequence[Patch] = ()) -> Iterator[Patch]:
        """The blocks of many songs made together, of one request or of several; each is what it is alone.

        Args:
            prior: as for :meth:`patches`, where there is one task.
        """
        made = None
        if prior:
            made = torch.cat([p.tokens for p in prior])[None], torch.cat([p.latents for p in prior], dim=1)[None]
        if self._null is None and self.config.net.pad_prefix and any(task.settings.needs_null for task in tasks):
            with torch.no_grad():
                self._null = read_prefixes(self.net, [self.net.prefix(None, None)])
        frame_rate = self.vae.sample_rate / self.vae.downsampling_ratio
        longest = max(task.settings.max_frames for task in tasks) / frame_rate
        with self._explained(longest, len(tasks)):
            state = start(
                self.net,
                tasks,
                null=self._null,
                window_frames=self.config.max_duration_s * frame_rate,
                eight_bit_cache=self.eight_bit_cache,
                prior=made,
            )
            yield from compose(self.net, state)

    def _compose_settings(self, settings: SongSettings) -> ComposeSettings:
        defaults = self.config.defaults
        frame_rate = self.vae.sample_rate / self.vae.downsampling_ratio
        return ComposeSettings(
            max_frames=max((settings.max_duration or 0) * frame_rate, 1),
            sampling=TokenSampling(
                temperature=settings.temperature or 0.0,
                top_k=settings.top_k or 0,
                top_p=settings.top_p,
                min_p=settings.min_p,
                penalty_repeat=defaults.penalty_repeat,
                penalty_window=defaults.penalty_window,
            ),
            lm_cfg=settings.cfg_coef if settings.cfg_coef is not None else 1.0,
            refiner_cfg=settings.cfg_coef if settings.cfg_coef is not None else 1.0,
            steps=settings.steps or 1,
            diffusion_temperature=settings.diffusion_temperature or 0.0,
            guidance=settings.guidance or "h",
            guidance_from=settings.guidance_from,
            guidance_to=settings.guidance_to,
            solver=settings.solver or "euler",
        )

    def stream(
        self, request: SongRequest | Prepared, *, cancelled: Callable[[], bool] | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """The song's audio [channels, n] in pieces, each as soon as it is final; together they are the whole song.

        Raises:
            InvalidInput: before any work is done.
            Cancelled: when asked to, between two blocks.
        """
        prepared = request if isinstance(request, Prepared) else self.prepare(request)
        decoder = self.stream_decoder()
        for patch in self.patches(prepared):
            if cancelled is not None and cancelled():
                raise Cancelled(f"{prepared.request.idx}: cancelled after {patch.block + 1} blocks")
            yield decoder.push(patch.latents.to(self.net.device)).numpy()
        yield decoder.finish().numpy()

    def stream_decoder(self) -> StreamDecoder:
        return StreamDecoder(self.vae)

    def decode(self, latents: Tensor) -> Tensor:
        """Audio [channels, n] of a song's latents [L, n], on the CPU."""
        with self._explained(latents.shape[1] * self.vae.downsampling_ratio / self.vae.sample_rate):
            audio = decode_chunked(self.vae, latents[None].to(self.net.device), overlap=2 * self.vae.context)
            return audio[0].cpu()

    def _explained(self, seconds: float, songs: int = 1) -> AbstractContextManager[None]:
        return explained(self.config, self.net.device, self.profile, seconds=seconds, songs=songs)

    def generate(
        self,
        request: SongRequest | Prepared,
        *,
        progress: Callable[[Progress], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Song:
        """Make one song.

        Args:
            progress: called after every block.
            cancelled: asked after every block; True ends the work with :class:`songbloom.errors.Cancelled`.

        Raises:
            InvalidInput: before any work is done.
            Cancelled: when asked to.
        """
        return self.generate_samples(request, 1, progress=progress, cancelled=cancelled)[0]

    def generate_samples(
        self,
        request: SongRequest | Prepared,
        count: int,
        *,
        progress: Callable[[Progress], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> list[Song]:
        """``count`` different songs of one request, composed side by side.

        Their seeds count up from the request's, and after the largest go on from 0.
        """
        return self.generate_batch([request], count, progress=progress, cancelled=cancelled)[0]

    def generate_batch(
        self,
        requests: Sequence[SongRequest | Prepared],
        samples: int = 1,
        *,
        progress: Callable[[Progress], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> list[list[Song]]:
        """``samples`` songs of each request, all composed side by side; each is what it is alone, within rounding.

        Args:
            progress: called after every block; where several requests are made it tells of the longest.
            cancelled: as for :meth:`generate`.
        """
        prepared = [r if isinstance(r, Prepared) else self.prepare(r) for r in requests]
        owners = [p for p in prepared for _ in range(samples)]
        seeds = [p.settings.seed_of(i) for p in prepared for i in range(samples)]
        tasks = [t for n, p in enumerate(prepared) for t in self.tasks(p, seeds[n * samples : (n + 1) * samples])]
        expected_s = max(p.expected_s for p in prepared)
        made: list[list[Patch]] = [[] for _ in tasks]
        began = time.monotonic()
        for patch in self.compose(tasks):
            made[patch.song].append(patch)
            if cancelled is not None and cancelled():
                names = ", ".join(p.request.idx for p in prepared)
                raise Cancelled(f"{names}: cancelled after {patch.block + 1} blocks")
            if progress is not None:
                progress(self.progress_at(patch.block + 1, expected_s, time.monotonic() - began))
        songs = [self.song_of(*song) for song in zip(owners, seeds, made, strict=True)]
        return [songs[n * samples : (n + 1) * samples] for n in range(len(prepared))]

    def progress_at(self, blocks: int, expected_s: float, elapsed_s: float, *, composed: int | None = None) -> Progress:
        """Where a song of ``blocks`` finished blocks is, of which ``composed`` (by default all) took ``elapsed_s``."""
        song_s = blocks * self.seconds_per_block
        pace = elapsed_s / ((composed or blocks) * self.seconds_per_block)
        left_s = pace * (expected_s - song_s) if song_s <= expected_s else None
        return Progress(song_s, max(expected_s, song_s), elapsed_s, left_s)

    def song_of(self, prepared: Prepared, seed: int, patches: Sequence[Patch]) -> Song:
        """The song of its patches; without any, one block of zero latents, as the published system returns."""
        block = self.config.net.block_size
        if patches:
            tokens = torch.cat([p.tokens for p in patches])
            latents = torch.cat([p.latents for p in patches], dim=1)
        else:
            tokens = torch.zeros(0, dtype=torch.long)
            latents = torch.zeros(self.config.net.latent_dim, block)
        request, lines = prepared.request, None
        if self.config.net.cursor:
            items_of, frame_s = self.net.lyrics.tokenizer.items, self.vae.downsampling_ratio / self.vae.sample_rate
            lines = line_times(
                prepared.sections, prepared.phonemes, tokens.numpy(), items_of=items_of, frame_s=frame_s
            )
        return Song(
            audio=self.decode(latents).numpy(),
            sample_rate=self.vae.sample_rate,
            tokens=tokens.numpy(),
            latents=latents.numpy(),
            idx=request.idx,
            lyrics=request.lyrics,
            phonemes=prepared.phonemes,
            prompt_name=os.fsencode(Path(request.prompt_wav).name).decode("utf-8", "replace"),
            model=self.name,
            settings=replace(prepared.settings, seed=seed),
            ended=has_room(self._compose_settings(prepared.settings).max_frames, block, len(patches)),
            lines=lines,
        )
