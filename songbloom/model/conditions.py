"""What the song is conditioned on: lyrics as token embeddings, the style clip as projected latents."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from songbloom.model.config import LyricsConfig


class LyricTokenizer:
    """Published tokenisation: split on single spaces, first index in the vocabulary, unknown items dropped."""

    def __init__(self, vocab: Sequence[str]) -> None:
        self.index: dict[str, int] = {}
        for position, item in enumerate(vocab):
            self.index.setdefault(item, position)
        self.structures = {
            i
            for item, i in self.index.items()
            if len(item) > 1 and item.startswith("[") and item.endswith("]")
        }

    def encode(self, phonemes: str | None) -> list[int]:
        """Token ids. An empty item (null lyrics, a double space) counts where the vocabulary has ``""``."""
        return [self.index[item] for item in self.items(phonemes)]

    def items(self, phonemes: str | None) -> list[str]:
        """The items of the lyrics that have a token, one each."""
        return [item for item in (phonemes or "").split(" ") if item in self.index]


class LyricsCondition(nn.Module):
    """E[content] + E[special] + S[sentence] for each lyric token.

    ``special`` is the running section tag; tags and separators stand for themselves, so they count twice, as in
    the published network. ``sentence`` counts sentences within a section, 0 for tags and separators.
    """

    def __init__(self, config: LyricsConfig, dim: int) -> None:
        super().__init__()
        self.config = config
        self.tokenizer = LyricTokenizer(config.vocab)
        self.comma = self.tokenizer.index.get(",", -1)
        self.period = self.tokenizer.index.get(".", -1)
        self.embedding = nn.Embedding(len(config.vocab), dim, padding_idx=0)
        self.sentence = nn.Embedding(config.max_sentences, dim, padding_idx=0)
        self.blank: Tensor
        self.register_buffer("blank", torch.zeros(1, dim))
        self.neighbours = nn.ModuleList(
            nn.Embedding(len(config.vocab), dim) for _ in range(2 * config.context)
        )

    def annotate(self, ids: Sequence[int]) -> tuple[list[int], list[int]]:
        """The special id and the sentence number of each token."""
        special, sentence = [], []
        structure, count = 0, 1
        for token in ids:
            if token in self.tokenizer.structures:
                structure, count = token, 1
                special.append(token)
                sentence.append(0)
            elif token in (self.period, self.comma):
                special.append(token)
                sentence.append(0)
                count += token == self.period
            else:
                special.append(structure)
                sentence.append(min(count, self.config.max_sentences - 1))
        return special, sentence

    def forward(self, ids: Sequence[int], *, pad: bool) -> Tensor:
        """Embeddings of one lyric, [n, D]: cut at ``max_len``; ``pad`` fills up to ``max_len`` with the blank."""
        special, sentence = self.annotate(ids)
        device = self.embedding.weight.device

        def column(values: Sequence[int]) -> Tensor:
            return torch.tensor(list(values)[: self.config.max_len], dtype=torch.long, device=device)

        content = column(ids)
        x = self.embedding(content) + self.embedding(column(special)) + self.sentence(column(sentence))
        for table, offset in zip(self.neighbours, self._offsets(), strict=True):
            shifted = F.pad(content, (max(-offset, 0), max(offset, 0)))[max(offset, 0) :][: len(content)]
            x = x + table(shifted)
        missing = self.config.max_len - len(x) if pad else 0
        return torch.cat([x, self.blank.to(x.dtype).expand(missing, -1)]) if missing else x

    def _offsets(self) -> list[int]:
        reach = range(1, self.config.context + 1)
        return [-k for k in reach] + list(reach)


class StyleCondition(nn.Module):
    """Projects the style clip's latents into the prefix."""

    def __init__(self, latent_dim: int, dim: int, max_len: int) -> None:
        super().__init__()
        self.max_len = max_len
        self.proj = nn.Linear(latent_dim, dim, bias=False)

    def forward(self, latents: Tensor, lengths: Sequence[int] | None = None, *, pad: bool = True) -> Tensor:
        """Style embeddings [B, n, D] of ``latents`` [B, L, F].

        Args:
            lengths: samples of each clip within a collated batch. A clip shorter than the batch's longest keeps
                ``round(length * max_len / longest)`` positions, the others are zero, as in the published collation.
            pad: fill up to ``max_len`` with zeros.
        """
        x = self.proj(latents.transpose(1, 2).to(self.proj.weight.dtype))[:, : self.max_len]
        if pad:
            x = F.pad(x, (0, 0, 0, self.max_len - x.shape[1]))
        if lengths is None:
            return x
        return x * self.mask(lengths, x.shape[1], x.device)[..., None].to(x.dtype)

    def mask(self, lengths: Sequence[int], positions: int, device: torch.device) -> Tensor:
        """1 where a clip of the batch reaches, [B, positions] int32."""
        longest = max(max(lengths), 1)
        kept = torch.tensor([round(n * self.max_len / longest) for n in lengths], device=device)
        return (torch.arange(positions, device=device)[None] < kept[:, None]).to(torch.int32)
