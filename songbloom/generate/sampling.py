"""From the language model's logits to the next sketch token."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

REPETITION_PENALTY = 1.1
LEAST_TEMPERATURE = 1e-5  # by less a logit could not be divided; it is as good as greedy


@dataclass(frozen=True)
class TokenSampling:
    """How tokens are drawn. ``temperature`` <= 0 means greedy; top_p > 0 takes precedence over top_k.

    ``min_p``, of either, drops what is less likely than this share of the likeliest (arXiv:2407.01082).
    """

    temperature: float = 0.9
    top_k: int = 100
    top_p: float = 0.0
    min_p: float = 0.0
    penalty_repeat: bool = True
    penalty_window: int = 50


def guide(conditional: Tensor, null: Tensor, coef: float | Tensor) -> Tensor:
    """Classifier-free guidance: null + (conditional - null) * coef, one for all or one a row."""
    return null + (conditional - null) * coef


def penalize_repeats(logits: Tensor, pool: Tensor, num_pitch: int) -> Tensor:
    """Divide the logits [B, V] of every id in ``pool`` [B, window] below ``num_pitch`` by 1.1, once per id.

    The published rule ignores the sign: a negative logit becomes larger. Checkpoints are tuned with it.
    """
    seen = torch.zeros_like(logits, dtype=torch.bool).scatter_(1, pool, True)
    seen[:, num_pitch:] = False
    return torch.where(seen, logits / REPETITION_PENALTY, logits)


def filter_probabilities(probs: Tensor, *, top_k: int, top_p: float, min_p: float = 0.0) -> Tensor:
    """Keep the smallest set above ``top_p``, or else every p not below the ``top_k``-th (ties kept); of these, those
    not below ``min_p`` times the largest; renormalise."""
    if min_p > 0:
        probs = probs.masked_fill(probs < min_p * probs.amax(-1, keepdim=True), 0.0)
    if top_p > 0:
        ranked, order = probs.sort(dim=-1, descending=True)
        ranked = ranked.masked_fill(ranked.cumsum(-1) - ranked > top_p, 0.0)
        probs = torch.zeros_like(probs).scatter(-1, order, ranked)
    elif 0 < top_k < probs.shape[-1]:
        threshold = probs.topk(top_k, dim=-1).values[..., -1:]
        probs = probs.masked_fill(probs < threshold, 0.0)
    elif min_p <= 0:
        return probs
    return probs / probs.sum(-1, keepdim=True)


def sample_token(logits: Tensor, sampling: TokenSampling, noise: Tensor) -> Tensor:
    """One token per row, [B], from guided and penalised ``logits`` [B, V].

    Args:
        noise: Exp(1) draws [B, V]: argmax(p / noise) is a draw from the categorical p, so a seed gives the same
            tokens on every device.
    """
    if sampling.temperature <= 0:
        return logits.argmax(-1)
    # In float16 small noise would be 0 and tokens that are excluded, with p = 0, would win as 0 / 0.
    probs = (logits.float() / max(sampling.temperature, LEAST_TEMPERATURE)).softmax(-1)
    probs = filter_probabilities(probs, top_k=sampling.top_k, top_p=sampling.top_p, min_p=sampling.min_p)
    return (probs / noise.float()).argmax(-1)
