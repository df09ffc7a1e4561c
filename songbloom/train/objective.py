"""The training loss of the network: next sketch token, and the flow of each block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from songbloom.model.network import SongBloomNet
from songbloom.model.predictive_refiner import PredictiveRefiner


@dataclass
class TrainingOutput:
    """Predictions and targets of a batch; ``blocks`` counts the valid blocks of all songs, song 0's first."""

    token_logits: Tensor  # [B, n, V]
    token_targets: Tensor  # [B, n] int64, ``config.ignore`` where there is no loss
    velocity: Tensor  # [blocks, bs, L]
    velocity_target: Tensor  # [blocks, bs, L]
    token_loss: Tensor
    flow_loss: Tensor
    prediction_loss: Tensor  # of a predictive refiner, else zero


def training_forward(
    net: SongBloomNet,
    prefixes: Sequence[Tensor],
    tokens: Tensor,
    latents: Tensor,
    lengths: Tensor,
    *,
    flow_times: Tensor,
    flow_noise: Tensor,
    flow_blocks: Tensor | None = None,
    flow_null: Tensor | None = None,
    history_noise: Tensor | None = None,
    flow_first: Tensor | None = None,
    timbre: Tensor | None = None,
    cues: Tensor | None = None,
    beats: Tensor | None = None,
) -> TrainingOutput:
    """One teacher-forced pass.

    Args:
        prefixes: each song's prefix [n, D].
        tokens: [B, k*bs], anything beyond ``lengths``.
        latents: [B, L, k*bs].
        lengths: frames of each song, whole blocks, [B].
        flow_times: t of each valid block [blocks], or [m * blocks] for m draws of each, the first draws first.
        flow_noise: [blocks, bs, L], or m times as many.
        flow_blocks: which blocks the flow is trained on, [B, k] bool; all valid ones if None. There may be none.
        flow_null: blocks whose h and s are dropped for guidance, [blocks] bool.
        history_noise: added to the latents the models read (not to those they learn to paint), [B, L, k*bs]: at
            inference they are the model's own.
        flow_first: blocks that are painted as if they were a song's first, [blocks] bool.
        timbre: of each song's clip, added to h, [B, D].
        cues: what bos and each token are told (:meth:`songbloom.generate.cues.Cues.along`), [B, 1 + k*bs, D].
        beats: what the refiner is told of each frame (:meth:`songbloom.generate.cues.Cues.sounding`), [B, k*bs, D].
    """
    config = net.config
    block, batch = config.block_size, tokens.shape[0]
    read = latents if history_noise is None else latents + history_noise
    if cues is None:
        cues = torch.zeros(batch, 1 + tokens.shape[1], config.dim, dtype=net.dtype, device=tokens.device)
    sequence = net.sequence(tokens, read, cues)
    hidden = _run_lm(net, prefixes, sequence)

    # bos and each latent embedding predict the next block's first token, each token but the last its successor.
    in_blocks = hidden[:, 1:].unflatten(1, (-1, block + 1))
    predicting = torch.cat([in_blocks[:, :, : block - 1], in_blocks[:, :, block:]], dim=2).flatten(1, 2)
    token_logits = net.classifier(torch.cat([hidden[:, :1], predicting], dim=1))
    frame = torch.arange(tokens.shape[1] + 1, device=tokens.device)
    targets = F.pad(tokens, (0, 1)).where(frame < lengths[:, None], torch.full_like(frame, config.eos))
    targets = targets.where(frame <= lengths[:, None], torch.full_like(frame, config.ignore))

    frames = latents.transpose(1, 2).unflatten(1, (-1, block))
    history = F.pad(read.transpose(1, 2).unflatten(1, (-1, block)), (0, 0, 0, 0, 1, 0))[:, :-1]
    valid = torch.arange(frames.shape[1], device=tokens.device) < (lengths // block)[:, None]
    if flow_blocks is not None:
        valid = valid & flow_blocks
    told = in_blocks[:, :, block - 1]
    h = (told if timbre is None else told + timbre[:, None])[valid]
    sounding = net.token_embedding(tokens) if beats is None else net.token_embedding(tokens) + beats
    s = sounding.unflatten(1, (-1, block))[valid]
    if flow_null is not None:
        h, s = h.masked_fill(flow_null[:, None], 0), s.masked_fill(flow_null[:, None, None], 0)
    before = history[valid]
    if flow_first is not None:
        before = before.masked_fill(flow_first[:, None, None], 0)
    draws = len(flow_times) // max(len(h), 1)
    data, t = frames[valid], flow_times[:, None, None]
    prepared = net.refiner.prepare(h, s, before)
    prediction_loss = data.new_zeros(())
    if isinstance(net.refiner, PredictiveRefiner) and len(data):
        prediction_loss = net.refiner.prediction_loss(prepared, data)
    data = data.repeat(draws, 1, 1)
    velocity = net.refiner((1 - t) * data + t * flow_noise, flow_times, prepared.repeat(draws, 1, 1))
    velocity_target = flow_noise - data
    return TrainingOutput(
        token_logits=token_logits,
        token_targets=targets,
        velocity=velocity,
        velocity_target=velocity_target,
        token_loss=F.cross_entropy(token_logits.flatten(0, 1).float(), targets.flatten(), ignore_index=config.ignore),
        flow_loss=F.mse_loss(velocity.float(), velocity_target.float()) if len(t) else velocity.sum() * 0,
        prediction_loss=prediction_loss,
    )


def _run_lm(net: SongBloomNet, prefixes: Sequence[Tensor], sequence: Tensor) -> Tensor:
    """Hidden states of ``sequence`` [B, n, D] behind prefixes of any length; padding comes last in each row."""
    lengths = [len(p) for p in prefixes]
    longest = max(lengths)
    rows = [
        F.pad(torch.cat([p, row]), (0, 0, 0, longest - len(p)))
        for p, row in zip(prefixes, sequence.to(prefixes[0].dtype), strict=True)
    ]
    hidden = net.lm(torch.stack(rows))
    return torch.stack([row[n : n + sequence.shape[1]] for row, n in zip(hidden, lengths, strict=True)])
