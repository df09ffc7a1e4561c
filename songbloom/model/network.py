"""The whole SongBloom network without the VAE: conditions, sketch LM, refiner and the embeddings between them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from songbloom.model.clip_facts import ClipFacts
from songbloom.model.conditions import LyricsCondition, StyleCondition
from songbloom.model.config import NetConfig
from songbloom.model.kv_cache import KVCache
from songbloom.model.metronome import Metronome
from songbloom.model.predictive_refiner import PredictiveRefiner
from songbloom.model.refiner import Refiner
from songbloom.model.sketch_lm import SketchLM


class SongBloomNet(nn.Module):
    """One sequence for both models: bos, then per block ``bs`` token embeddings and one latent embedding."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.dim
        self.lyrics = LyricsCondition(config.lyrics, dim)
        self.style = StyleCondition(config.latent_dim, dim, config.prompt_max_len)
        self.bos = nn.Parameter(torch.zeros(dim))
        self.token_embedding = nn.Embedding(config.num_pitch + 2, dim)
        self.lm = SketchLM(dim, config.num_heads, config.lm_layers, config.rotary_base)
        self.classifier = nn.Sequential(nn.Linear(dim, dim, bias=False), nn.SiLU(), nn.Linear(dim, config.vocab_size))
        self.latent_embedding = nn.Sequential(
            nn.Flatten(),
            nn.Linear(config.block_size * config.latent_dim, dim),
            nn.SiLU(),
            nn.Linear(dim, dim),
        )
        sizes = (dim, config.num_heads, config.diff_layers, config.latent_dim, config.timestep_features)
        self.refiner: Refiner | PredictiveRefiner
        if config.predictor:
            self.refiner = PredictiveRefiner(*sizes, hidden=config.predictor, block_size=config.block_size)
        else:
            self.refiner = Refiner(*sizes)
        self.timbre_projection = nn.Linear(2 * config.latent_dim, dim) if config.timbre else None
        self.facts = ClipFacts(config.facts, config.latent_dim, dim) if config.facts else None
        self.cursor = nn.Linear(dim, dim, bias=False) if config.cursor else None
        self.metronome = Metronome(dim) if config.metronome else None

    @property
    def dtype(self) -> torch.dtype:
        return self.bos.dtype

    @property
    def device(self) -> torch.device:
        return self.bos.device

    def prefix(self, style_latents: Tensor | None, phonemes: str | None, facts: Tensor | None = None) -> Tensor:
        """The prefix of one row [n, D]: style first, then, where the configuration has them, facts, then lyrics.

        Args:
            style_latents: [L, F], or None for the null style (zeros).
            phonemes: the published phoneme string, or None for null lyrics.
            facts: of the clip (:meth:`ClipFacts.read`), or None for unknown ones (zeros).
        """
        pad = self.config.pad_prefix
        lyrics = self.lyrics(self.lyrics.tokenizer.encode(phonemes), pad=pad)
        if style_latents is None:
            style = lyrics.new_zeros(self.config.prompt_max_len, lyrics.shape[-1])
        else:
            style = self.style(style_latents[None], pad=pad)[0]
        known = lyrics[:0]
        if self.facts is not None:
            known = lyrics.new_zeros(1, lyrics.shape[1]) if facts is None else self.facts(facts)[None]
        return torch.cat([style.to(lyrics.dtype), known, lyrics])

    def timbre(self, style_latents: Tensor, facts: Tensor | None = None) -> Tensor:
        """What the refiner reads of the clip [L, F] beside h, [D]: zeros where the configuration has none of it."""
        timbre = torch.zeros(self.config.dim, dtype=self.dtype, device=self.device)
        if self.timbre_projection is not None:
            latents = style_latents.to(self.device, self.dtype)
            timbre = timbre + self.timbre_projection(torch.cat([latents.mean(1), latents.std(1)]))
        if self.facts is not None and facts is not None:
            timbre = timbre + self.facts.timbre(facts)
        return timbre

    def sung(self, prefix: Tensor, items: int) -> Tensor | None:
        """What a position is told of the lyric item being sung, [items + 1, D]; the last row, of none, is zero.

        Args:
            prefix: of :meth:`prefix`, not padded; the lyrics are its last ``items``.
        """
        if self.cursor is None:
            return None
        return F.pad(self.cursor(prefix[len(prefix) - items :]), (0, 0, 0, 1))

    def embed_block(self, tokens: Tensor, latents: Tensor, cues: Tensor | None = None) -> Tensor:
        """The sequence of whole blocks [B, k*(bs+1), D] from tokens [B, k*bs] and latents [B, L, k*bs].

        Args:
            cues: what each token is told (:class:`songbloom.generate.cues.Cues`), [B, k*bs, D].
        """
        block, batch = self.config.block_size, tokens.shape[0]
        embedded = self.token_embedding(tokens).unflatten(1, (-1, block))
        frames = latents.transpose(1, 2).reshape(-1, block, self.config.latent_dim)
        latent = self.latent_embedding(frames.to(embedded.dtype)).view(batch, -1, 1, self.config.dim)
        sequence = torch.cat([embedded, latent], dim=2)
        if cues is not None:
            told = cues.unflatten(1, (-1, block))
            sequence = sequence + torch.cat([told, told[:, :, -1:]], dim=2)
        return sequence.flatten(1, 2)

    def sequence(self, tokens: Tensor, latents: Tensor, cues: Tensor) -> Tensor:
        """A whole song as the language model reads it: bos and :meth:`embed_block`, [B, 1 + k*(bs+1), D].

        Args:
            cues: what bos and each token are told, [B, 1 + k*bs, D].
        """
        return torch.cat([self.bos + cues[:, :1], self.embed_block(tokens, latents, cues[:, 1:])], dim=1)

    def new_cache(self, batch: int, capacity: int, *, eight_bit: bool = False) -> KVCache:
        config = self.config
        return KVCache(
            config.lm_layers,
            batch,
            config.num_heads,
            capacity,
            config.head_dim,
            dtype=self.dtype,
            device=self.device,
            eight_bit=eight_bit,
        )
