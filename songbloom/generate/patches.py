"""The block loop: sketch bs tokens, paint their latents, read both back; the only one in the package."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from songbloom.generate.cues import Cues
from songbloom.generate.flow_solver import denoise
from songbloom.generate.lyric_path import LyricPath, Place, allowed_codes
from songbloom.generate.sampling import TokenSampling, guide, penalize_repeats, sample_token
from songbloom.model.kv_cache import KVCache
from songbloom.model.network import SongBloomNet
from songbloom.model.predictive_refiner import PredictiveRefiner

Key = TypeVar("Key", bound=Hashable)
FORGET = 0.25  # share of the window that goes when it is full


class Noise(Protocol):
    """Where a song's randomness comes from (:class:`songbloom.generate.noise.SongNoise`)."""

    def tokens(self, block: int, shape: tuple[int, ...]) -> Tensor: ...

    def flow(self, block: int, shape: tuple[int, ...]) -> Tensor: ...


@dataclass(frozen=True)
class ComposeSettings:
    """Settings of one song.

    ``max_frames`` bounds the song (:func:`has_room`).
    ``guidance``: 'h' guides the refiner by dropping h and s; 'global' mixes the latents painted from the
    conditional and the null language model; 'none' does not guide it.
    """

    max_frames: float
    sampling: TokenSampling = field(default_factory=TokenSampling)
    lm_cfg: float = 1.5
    refiner_cfg: float = 1.5
    steps: int = 36
    diffusion_temperature: float = 0.95
    guidance: str = "h"
    guidance_from: float = 1.0  # the refiner is guided at flow times between these two
    guidance_to: float = 0.0
    solver: str = "euler"

    @property
    def needs_null(self) -> bool:
        return self.lm_cfg != 1 or self.guidance == "global"


@dataclass(frozen=True, eq=False)
class SongTask:
    """One song of a batch. Songs that share a ``prefix`` tensor share its reading.

    ``prefix`` [n, D]; ``timbre`` of its clip (:meth:`SongBloomNet.timbre`) [D], zeros by default; ``path`` keeps its
    tokens to its lyrics, where tokens say what is sung; ``bar`` is the frames of a bar, where a metronome tells them.
    """

    prefix: Tensor
    noise: Noise
    settings: ComposeSettings
    timbre: Tensor | None = None
    path: LyricPath | None = None
    bar: int | None = None


@dataclass(frozen=True)
class Patch:
    """One finished block of one song: ``tokens`` [bs] int64 and ``latents`` [L, bs] float32, both on the CPU."""

    song: int
    block: int
    tokens: Tensor
    latents: Tensor


@dataclass
class ComposeState:
    """What the loop carries from block to block, for the songs not yet ended.

    Rows of ``cache`` and ``next_input`` are the songs, then their null twins if any song needs them.
    """

    tasks: list[SongTask]
    numbers: list[int]  # their places among the songs asked for
    cache: KVCache
    first: int  # cache position of the first block
    next_input: Tensor  # [rows, 1, D]: bos at first, then a latent embedding
    history: Tensor  # [songs, bs, L]: latents of the previous block
    tokens: Tensor  # [songs, n]: every token so far
    timbre: Tensor  # [songs, D]
    places: list[Place | None]  # in their lyrics, where they have a path
    cues: list[Cues]
    token_noise: Tensor  # [songs, bs, V] of the coming block, drawn while the device was busy with the one before
    block: int = 0

    def keep(self, songs: Sequence[int]) -> None:
        """Go on with these songs alone."""
        count = len(self.tasks)
        if len(songs) == count:
            return
        rows = [*songs, *(count + song for song in songs)] if len(self.next_input) > count else list(songs)
        self.cache.take(rows)
        self.next_input = self.next_input[rows]
        self.tasks, self.numbers = [self.tasks[i] for i in songs], [self.numbers[i] for i in songs]
        self.places, self.cues = [self.places[i] for i in songs], [self.cues[i] for i in songs]
        self.history, self.tokens, self.timbre = (x[list(songs)] for x in (self.history, self.tokens, self.timbre))
        self.token_noise = self.token_noise[list(songs)]

    def write(self, token: Tensor) -> None:
        """Take the next token of each song, [songs]."""
        self.tokens = torch.cat([self.tokens, token[:, None]], dim=1)
        for song, task in enumerate(self.tasks):
            if task.path is not None:
                self.places[song] = task.path.step(self.places[song], int(token[song]))

    def told(self, x: Tensor) -> Tensor:
        """The next input [rows, 1, D] with each song's cues; null twins are told nothing."""
        if all(cues.silent for cues in self.cues):
            return x
        frame = self.tokens.shape[1]
        told = [cues.at(place, frame) for cues, place in zip(self.cues, self.places, strict=True)]
        return x + F.pad(torch.stack(told), (0, 0, 0, len(x) - len(told)))[:, None]


def has_room(max_frames: float, block_size: int, blocks: int) -> bool:
    """Whether a song of ``blocks`` blocks may have another one: the published bound, counted in positions."""
    return 1 + blocks * (block_size + 1) <= max_frames / block_size * (block_size + 1)


def capacity_for(net: SongBloomNet, prefix_len: int, max_frames: float) -> int:
    """Cache positions a song needs: the prefix, bos and every block of the bound."""
    block = net.config.block_size
    return prefix_len + 1 + (int(max_frames / block) + 1) * (block + 1)


@torch.no_grad()
def read_prefixes(net: SongBloomNet, prefixes: Sequence[Tensor]) -> KVCache:
    """What the language model knows after each prefix [n, D]; shorter ones are padded at their beginning."""
    longest = max(len(p) for p in prefixes)
    cache = net.new_cache(len(prefixes), longest)
    cache.pad([longest - len(p) for p in prefixes])
    net.lm(torch.stack([F.pad(p, (0, 0, longest - len(p), 0)) for p in prefixes]), cache)
    return cache


@torch.no_grad()
def start(
    net: SongBloomNet,
    tasks: Sequence[SongTask],
    *,
    null: KVCache | None = None,
    window_frames: float | None = None,
    eight_bit_cache: bool = False,
    prior: tuple[Tensor, Tensor] | None = None,
) -> ComposeState:
    """State before the first block, or after the blocks that resumed songs already have.

    Args:
        null: of :func:`read_prefixes` for the null prefix, to read it once a model; where the network does not pad
            its prefix the null one is all zeros, and so is what the language model knows of it.
        window_frames: frames of the song the language model remembers; all by default.
        eight_bit_cache: of keys and values.
        prior: tokens [songs, k*bs] and latents [songs, L, k*bs] of the finished blocks.
    """
    config, songs, device = net.config, len(tasks), net.device
    guided = any(task.settings.needs_null for task in tasks)
    distinct = list({id(task.prefix): task.prefix for task in tasks}.values())
    known = read_prefixes(net, distinct)
    place = {id(prefix): row for row, prefix in enumerate(distinct)}
    source = [place[id(task.prefix)] for task in tasks]
    frames = max(task.settings.max_frames for task in tasks)
    rows, first = (2 if guided else 1) * songs, known.position + 1
    capacity = capacity_for(net, known.position, min(frames, window_frames or frames))
    cache = net.new_cache(rows, capacity, eight_bit=eight_bit_cache)
    cache.copy_rows(range(songs), known, source)
    if guided and config.pad_prefix:
        null = null or read_prefixes(net, [net.prefix(None, None)])
        cache.copy_rows(range(songs, rows), null, [0] * songs)
    cache.pad([known.position - len(task.prefix) for task in tasks] * (rows // songs))

    if prior is None:
        prior = torch.zeros(songs, 0, dtype=torch.long), torch.zeros(songs, config.latent_dim, 0)
    tokens, latents = (x.to(device) for x in prior)
    written = tokens.tolist()
    cues = [Cues(net, task.prefix, task.path, task.bar) for task in tasks]
    zeros = torch.zeros(config.dim, dtype=net.dtype, device=device)
    state = ComposeState(
        tasks=list(tasks),
        numbers=list(range(songs)),
        cache=cache,
        first=first,
        next_input=net.bos.expand(rows, 1, -1),
        history=torch.zeros(songs, config.block_size, config.latent_dim, dtype=net.dtype, device=device),
        tokens=tokens,
        timbre=torch.stack([zeros if task.timbre is None else task.timbre for task in tasks]),
        places=[task.path.trace(own)[1] if task.path else None for task, own in zip(tasks, written, strict=True)],
        cues=cues,
        token_noise=_token_noise(net, tasks, latents.shape[2] // config.block_size),
    )
    told = torch.stack([own.along(row) for own, row in zip(cues, written, strict=True)])
    _read_back(net, state, latents, F.pad(told, (0, 0, 0, 0, 0, rows - songs)))  # null twins are told nothing
    return state


def _read_back(net: SongBloomNet, state: ComposeState, latents: Tensor, told: Tensor) -> None:
    """Bring a state to the end of the finished blocks of its tokens and ``latents`` [songs, L, k*bs], as if it had just
    composed them: what was forgotten on the way is forgotten.

    Args:
        told: cues of bos and each token, [rows, 1 + k*bs, D].
    """
    block, size, both = net.config.block_size, net.config.block_size + 1, len(told) // len(state.tasks)
    sequence = state.next_input + told[:, :1]
    if blocks := latents.shape[2] // block:
        written = net.embed_block(state.tokens.repeat(both, 1), latents.repeat(both, 1, 1), told[:, 1:])
        sequence = torch.cat([sequence, written], dim=1)
        state.history = latents[:, :, -block:].transpose(1, 2).to(net.dtype)
    while state.block < blocks:
        _make_room(net, state)
        fitting = min((state.cache.capacity - state.cache.position) // size, blocks - state.block)
        net.lm(sequence[:, state.block * size : (state.block + fitting) * size], state.cache)
        state.block += fitting
    state.next_input = sequence[:, -1:]


@torch.no_grad()
def sketch(net: SongBloomNet, state: ComposeState) -> tuple[Tensor, Tensor]:
    """Write the next block's tokens [songs, bs] and read them back: h [rows, D] after the last one."""
    config, songs = net.config, len(state.tasks)
    _make_room(net, state)
    noise = state.token_noise.to(net.device)
    coef = _coefficients([task.settings.lm_cfg for task in state.tasks], net.device)
    draw = partial(_draw, net, state, _groups([task.settings.sampling for task in state.tasks]))
    x, block_tokens = state.next_input, []
    for step in range(config.block_size):
        hidden = net.lm(x, state.cache)[:, -1]
        logits = net.classifier(hidden)
        if len(logits) > songs:
            logits = guide(logits[:songs], logits[songs:], coef)
        token = draw(logits, noise[:, step])
        block_tokens.append(token)
        state.write(token)
        x = state.told(net.token_embedding(token)[:, None].repeat(len(hidden) // songs, 1, 1))
    h = net.lm(x, state.cache)[:, -1]
    state.token_noise = _token_noise(net, state.tasks, state.block + 1)
    return torch.stack(block_tokens, dim=1), h


def _token_noise(net: SongBloomNet, tasks: Sequence[SongTask], block: int) -> Tensor:
    """Noise of a block's token draws, [songs, bs, V], on the CPU, which takes a while over it."""
    shape = (net.config.block_size, net.config.vocab_size)
    return torch.stack([task.noise.tokens(block, shape) for task in tasks])


def _make_room(net: SongBloomNet, state: ComposeState) -> None:
    """Forget the oldest blocks where the next one would not fit; prefix and bos stay."""
    size, cache = net.config.block_size + 1, state.cache
    if cache.position + size <= cache.capacity:
        return
    held = (cache.position - state.first) // size
    cache.drop(state.first, max(1, int(held * FORGET)) * size, net.config.rotary_base)


def _groups(keys: Sequence[Key]) -> dict[Key, list[int] | slice]:
    """Places of equal keys; where all are equal a slice, which costs no copy and no transfer to the device."""
    groups: dict[Key, list[int]] = {}
    for place, key in enumerate(keys):
        groups.setdefault(key, []).append(place)
    return {key: places if len(groups) > 1 else slice(None) for key, places in groups.items()}


def _coefficients(values: Sequence[float], device: torch.device) -> float | Tensor:
    """One number where all are equal, else [songs, 1]."""
    return values[0] if len(set(values)) == 1 else torch.tensor(values, device=device)[:, None]


def _draw(
    net: SongBloomNet,
    state: ComposeState,
    groups: dict[TokenSampling, list[int] | slice],
    logits: Tensor,
    noise: Tensor,
) -> Tensor:
    """One token a song, [songs]; songs of equal sampling are drawn together."""
    tokens = torch.empty(len(logits), dtype=torch.long, device=logits.device)
    allowed = allowed_codes([task.path for task in state.tasks], state.places)
    if allowed is not None:
        logits = logits.masked_fill(~allowed.to(logits.device), -torch.inf)
    for sampling, songs in groups.items():
        own = logits[songs]
        if sampling.penalty_repeat and state.block:
            pool = state.tokens[songs, -sampling.penalty_window :]
            pool = F.pad(pool, (max(0, sampling.penalty_window - pool.shape[1]), 0), value=net.config.eos)
            own = penalize_repeats(own, pool, net.config.num_pitch)
        tokens[songs] = sample_token(own, sampling, noise[songs])
    return tokens


@torch.no_grad()
def paint(
    net: SongBloomNet,
    tokens: Tensor,
    beats: Tensor,
    h: Tensor,
    null_h: Tensor | None,
    history: Tensor,
    noise: Tensor,
    settings: ComposeSettings,
) -> Tensor:
    """The block's latents [songs, bs, L] of songs with equal settings.

    Args:
        tokens: [songs, bs].
        beats: what the refiner is told of each frame (:meth:`Cues.sounding`), [songs, bs, D].
        h: what the language model tells, [songs, D].
        null_h: what its null twin tells, for 'global' guidance.
        history: [songs, bs, L].
        noise: [songs, bs, L].
    """
    songs, s = len(tokens), net.token_embedding(tokens) + beats
    coef, temperature = settings.refiner_cfg, settings.diffusion_temperature
    if isinstance(net.refiner, PredictiveRefiner):  # around a predicted mean less noise is less deviation from it
        noise, temperature = temperature * noise, 1.0
    solve = partial(denoise, steps=settings.steps, temperature=temperature, solver=settings.solver)

    def velocity(prepared: Tensor, x: Tensor, time: float) -> Tensor:
        return net.refiner(x, x.new_full((len(x),), time), prepared)

    if settings.guidance == "global" and null_h is not None:
        both = net.refiner.prepare(torch.cat([h, null_h]), s.repeat(2, 1, 1), history.repeat(2, 1, 1))
        latents = solve(partial(velocity, both), noise.repeat(2, 1, 1))
        return guide(latents[:songs], latents[songs:], coef)
    if settings.guidance == "none" or coef == 1:
        return solve(partial(velocity, net.refiner.prepare(h, s, history)), noise)
    h2, s2 = torch.cat([h, torch.zeros_like(h)]), torch.cat([s, torch.zeros_like(s)])
    paired = net.refiner.prepare(h2, s2, history.repeat(2, 1, 1))

    def guided(x: Tensor, time: float) -> Tensor:
        if not settings.guidance_to <= time <= settings.guidance_from:
            return velocity(paired[:songs], x, time)
        v = velocity(paired, x.repeat(2, 1, 1), time)
        return guide(v[:songs], v[songs:], coef)

    return solve(guided, noise)


def _painting(settings: ComposeSettings) -> ComposeSettings:
    """What of the settings :func:`paint` reads, the rest the same for all."""
    return replace(settings, max_frames=0, sampling=TokenSampling(), lm_cfg=1.0)


@torch.no_grad()
def compose(net: SongBloomNet, state: ComposeState) -> Iterator[Patch]:
    """Blocks of every song of the batch until each has ended; a song leaves the batch when it ends.

    A block that contains EOS is not kept and ends its song, as does the first block beyond ``max_frames``.
    """
    config, block_size = net.config, net.config.block_size
    while True:
        bounds = [task.settings.max_frames for task in state.tasks]
        going_on = [i for i, bound in enumerate(bounds) if has_room(bound, block_size, state.block)]
        if not going_on:
            return
        state.keep(going_on)
        tokens, h = sketch(net, state)
        count = len(state.tasks)
        going_on = [i for i, ended in enumerate((tokens == config.eos).any(1).tolist()) if not ended]
        if not going_on:
            return
        h, null_h = h[:count], h[count:] if len(h) > count else None
        if len(going_on) < count:
            tokens, h, null_h = tokens[going_on], h[going_on], None if null_h is None else null_h[going_on]
            state.keep(going_on)
        h = h + state.timbre
        shape = (block_size, config.latent_dim)
        noise = torch.stack([task.noise.flow(state.block, shape) for task in state.tasks]).to(net.device, h.dtype)
        beats = torch.stack([cues.sounding(state.block * block_size, block_size) for cues in state.cues])
        latents = torch.empty_like(noise)
        for painting, songs in _groups([_painting(task.settings) for task in state.tasks]).items():
            own_null = None if null_h is None else null_h[songs]
            told = (tokens[songs], beats[songs], h[songs], own_null, state.history[songs])
            latents[songs] = paint(net, *told, noise[songs], painting)
        frames = latents.transpose(1, 2)
        rows = len(state.next_input) // len(state.tasks)
        state.next_input = state.told(net.latent_embedding(latents)[:, None].repeat(rows, 1, 1))
        state.history, block = latents, state.block
        state.block += 1
        tokens_out, frames_out = tokens.cpu(), frames.float().cpu()
        for place, song in enumerate(list(state.numbers)):
            yield Patch(song, block, tokens_out[place], frames_out[place])
