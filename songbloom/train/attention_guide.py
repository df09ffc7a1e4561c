"""Guided attention: a training-only loss that shows two heads where in the lyrics the song is.

One head of an early layer learns to look at the phoneme being sung, one of the next layer at the phoneme of the
frame to come. Without it a small model needs several times longer to follow the lyrics.
"""

from __future__ import annotations

from types import TracebackType

import torch
from torch import Tensor

from songbloom.model.network import SongBloomNet
from songbloom.model.rotary import rotate
from songbloom.model.sketch_lm import CausalAttention, DecoderLayer

CURRENT_LAYER, NEXT_LAYER, HEAD = 1, 2, 0


class AttentionProbe:
    """Records, while open, what the guided heads' attention was given."""

    def __init__(self, net: SongBloomNet) -> None:
        self.net = net
        self.inputs: dict[int, tuple[Tensor, Tensor, Tensor]] = {}

    def __enter__(self) -> AttentionProbe:
        self._handles = [
            self._attention(layer).register_forward_pre_hook(self._recorder(layer))
            for layer in (CURRENT_LAYER, NEXT_LAYER)
        ]
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for handle in self._handles:
            handle.remove()

    def _attention(self, layer: int) -> CausalAttention:
        decoder = self.net.lm.layers[layer]
        assert isinstance(decoder, DecoderLayer)
        return decoder.attn

    def _recorder(self, layer: int):  # type: ignore[no-untyped-def]
        def record(module: torch.nn.Module, args: tuple) -> None:
            self.inputs[layer] = args[:3]

        return record

    def loss(self, layer: int, targets: Tensor) -> Tensor:
        """Mean -log attention of the guided head on ``targets`` [B, n] (positions, -1 where there is none)."""
        x, cos, sin = self.inputs[layer]
        attn = self._attention(layer)
        size = attn.head_dim
        weight = attn.qkv.weight.view(3, attn.num_heads, size, -1)[:2, HEAD].flatten(0, 1)
        q, k = torch.nn.functional.linear(x, weight).chunk(2, dim=-1)
        scores = (rotate(q, cos, sin) @ rotate(k, cos, sin).transpose(1, 2)).float() * size**-0.5
        n = scores.shape[-1]
        causal = torch.ones(n, n, dtype=torch.bool, device=scores.device).tril()
        logp = scores.masked_fill(~causal, float("-inf")).log_softmax(-1)
        known = targets >= 0
        if not known.any():
            return scores.new_zeros(())
        return -logp.gather(2, targets.clamp(min=0)[..., None])[..., 0][known].mean()
