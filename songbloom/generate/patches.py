"""The block loop: sketch bs tokens, paint their latents, read both back; the only one in the package."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from songbloom.generate.flow_solver import denoise
from songbloom.generate.sampling import TokenSampling, guide, penalize_repeats, sample_token
from songbloom.model.kv_cache import KVCache
from songbloom.model.network import SongBloomNet


class Noise(Protocol):
    """Where a song's randomness comes from (:class:`songbloom.generate.noise.SongNoise`)."""

    def tokens(self, block: int, shape: tuple[int, ...]) -> Tensor: ...

    def flow(self, block: int, shape: tuple[int, ...]) -> Tensor: ...


@dataclass(frozen=True)
class ComposeSettings:
    """Settings of the loop.

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


@dataclass(frozen=True)
class Patch:
    """One finished block of one song: ``tokens`` [bs] int64 and ``latents`` [L, bs] float32, both on the CPU."""

    song: int
    block: int
    tokens: Tensor
    latents: Tensor


@dataclass
class ComposeState:
    """What the loop carries from block to block; rows are the songs, then their null twins if guided."""

    cache: KVCache
    next_input: Tensor  # [rows, n, D]: the prefix and bos at first, then one latent embedding
    history: Tensor  # [songs, bs, L]: latents of the previous block
    tokens: Tensor  # [songs, n]: every token so far
    timbre: Tensor  # [songs, D]: what the refiner reads of the clip beside h
    block: int = 0


def has_room(max_frames: float, block_size: int, blocks: int) -> bool:
    """Whether a song of ``blocks`` blocks may have another one: the published bound, counted in positions."""
    return 1 + blocks * (block_size + 1) <= max_frames / block_size * (block_size + 1)


def capacity_for(net: SongBloomNet, prefix_len: int, max_frames: float) -> int:
    """Cache positions a song needs: the prefix, bos and every block of the bound."""
    block = net.config.block_size
    return prefix_len + 1 + (int(max_frames / block) + 1) * (block + 1)


@torch.no_grad()
def start(
    net: SongBloomNet,
    prefixes: Tensor,
    settings: ComposeSettings,
    *,
    timbre: Tensor | None = None,
    prior_tokens: Tensor | None = None,
    prior_latents: Tensor | None = None,
) -> ComposeState:
    """State before the first block, or after the blocks a resumed song already has.

    Args:
        prefixes: [2, songs, n, D], conditional and null (the null rows are not computed when nothing is guided).
        timbre: of each song's clip (:meth:`SongBloomNet.timbre`) [songs, D], zeros by default.
        prior_tokens: [songs, k*bs] and
        prior_latents: [songs, L, k*bs] of the finished blocks.
    """
    config, songs = net.config, prefixes.shape[1]
    rows = prefixes.flatten(0, 1) if _needs_null(settings) else prefixes[0]
    if prior_tokens is None or prior_latents is None:
        prior_tokens = torch.zeros(songs, 0, dtype=torch.long, device=net.device)
        prior_latents = torch.zeros(songs, config.latent_dim, 0, device=net.device)
    prior_tokens, prior_latents = prior_tokens.to(net.device), prior_latents.to(net.device)
    sequence = [rows, net.bos.expand(len(rows), 1, -1)]
    blocks = prior_tokens.shape[1] // config.block_size
    if blocks:
        sequence.append(net.embed_block(prior_tokens, prior_latents).repeat(len(rows) // songs, 1, 1))
        history = prior_latents[:, :, -config.block_size :].transpose(1, 2)
    else:
        history = torch.zeros(songs, config.block_size, config.latent_dim, device=net.device)
    cache = net.new_cache(len(rows), capacity_for(net, rows.shape[1], settings.max_frames))
    return ComposeState(
        cache=cache,
        next_input=torch.cat(sequence, dim=1),
        history=history.to(net.dtype),
        tokens=prior_tokens,
        timbre=torch.zeros(songs, config.dim, dtype=net.dtype, device=net.device) if timbre is None else timbre,
        block=blocks,
    )


def _needs_null(settings: ComposeSettings) -> bool:
    return settings.lm_cfg != 1 or settings.guidance == "global"


@torch.no_grad()
def sketch(
    net: SongBloomNet, state: ComposeState, settings: ComposeSettings, noises: Sequence[Noise]
) -> tuple[Tensor, Tensor]:
    """Write the next block's tokens [songs, bs] and read them back: what the refiner is told, h [rows, D]."""
    config, songs = net.config, len(noises)
    shape = (config.block_size, config.vocab_size)
    noise = torch.stack([n.tokens(state.block, shape) for n in noises], dim=1).to(net.device)
    eos = torch.full((songs, settings.sampling.penalty_window), config.eos, device=net.device)
    x, block_tokens = state.next_input, []
    for step in range(config.block_size):
        hidden = net.lm(x, state.cache)[:, -1]
        logits = net.classifier(hidden)
        if len(logits) > songs:
            logits = guide(logits[:songs], logits[songs:], settings.lm_cfg)
        if settings.sampling.penalty_repeat and state.block:
            pool = torch.cat([eos, state.tokens], dim=1)[:, -settings.sampling.penalty_window :]
            logits = penalize_repeats(logits, pool, config.num_pitch)
        token = sample_token(logits, settings.sampling, noise[step])
        block_tokens.append(token)
        state.tokens = torch.cat([state.tokens, token[:, None]], dim=1)
        x = net.token_embedding(token)[:, None].repeat(len(hidden) // songs, 1, 1)
    h = net.lm(x, state.cache)[:, -1]
    h[:songs] += state.timbre
    return torch.stack(block_tokens, dim=1), h


@torch.no_grad()
def paint(
    net: SongBloomNet,
    tokens: Tensor,
    h: Tensor,
    history: Tensor,
    noise: Tensor,
    settings: ComposeSettings,
) -> Tensor:
    """The block's latents [songs, bs, L] from its tokens [songs, bs], h [rows, D], history and noise."""
    songs, s = len(tokens), net.token_embedding(tokens)
    coef = settings.refiner_cfg
    solve = partial(denoise, steps=settings.steps, temperature=settings.diffusion_temperature)
    if settings.guidance == "global":
        both = net.refiner.prepare(h, s.repeat(2, 1, 1), history.repeat(2, 1, 1))
        latents = solve(lambda x, t: net.refiner(x, t, both), noise.repeat(2, 1, 1))
        return guide(latents[:songs], latents[songs:], coef)
    h = h[:songs]
    if settings.guidance == "none" or coef == 1:
        alone = net.refiner.prepare(h, s, history)
        return solve(lambda x, t: net.refiner(x, t, alone), noise)
    h2, s2 = torch.cat([h, torch.zeros_like(h)]), torch.cat([s, torch.zeros_like(s)])
    paired = net.refiner.prepare(h2, s2, history.repeat(2, 1, 1))

    def guided(x: Tensor, t: Tensor) -> Tensor:
        v = net.refiner(x.repeat(2, 1, 1), t.repeat(2), paired)
        return guide(v[:songs], v[songs:], coef)

    return solve(guided, noise)


@torch.no_grad()
def compose(
    net: SongBloomNet, state: ComposeState, settings: ComposeSettings, noises: Sequence[Noise]
) -> Iterator[Patch]:
    """Blocks of every song of the batch until each has ended; a song is dropped from the output when it ends.

    A block that contains EOS is not kept and ends its song, as does the first block beyond ``max_frames``.
    """
    config = net.config
    block_size, live = config.block_size, set(range(len(noises)))
    while has_room(settings.max_frames, block_size, state.block):
        tokens, h = sketch(net, state, settings, noises)
        ended = (tokens == config.eos).any(1).tolist()
        live -= {song for song in live if ended[song]}
        if not live:
            return
        shape = (block_size, config.latent_dim)
        noise = torch.stack([n.flow(state.block, shape) for n in noises]).to(net.device, h.dtype)
        latents = paint(net, tokens, h, state.history, noise, settings)
        frames = latents.transpose(1, 2)
        embedded = net.latent_embedding(latents)[:, None]
        state.next_input = embedded.repeat(len(h) // len(noises), 1, 1)
        state.history, block = latents, state.block
        state.block += 1
        tokens_out, frames_out = tokens.cpu(), frames.float().cpu()
        for song in sorted(live):
            yield Patch(song, block, tokens_out[song], frames_out[song])
