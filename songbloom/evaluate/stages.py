"""Where words get lost on the way from tokens to sound: the corpus' own songs through more and more of a model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from songbloom.corpus.score import Score
from songbloom.generate.cues import Cues
from songbloom.generate.patches import SongTask, paint
from songbloom.model.network import SongBloomNet
from songbloom.model.sketch_codes import NUM_CODES
from songbloom.pipeline import Prepared, SongBloom
from songbloom.train.examples import example_from_score

# In the order of the way; what each has that the one before it has not may lose words.
STAGES: Mapping[str, str] = {
    "corpus": "the corpus' song",
    "autoencoder": "autoencoder alone",
    "refiner": "true tokens, refiner, autoencoder",
    "song": "the model's song",
}


@torch.no_grad()
def stage_audio(
    model: SongBloom, prepared: Prepared, score: Score, audio: NDArray[np.float32]
) -> dict[str, NDArray[np.float32]]:
    """What is left of a corpus song after the stages between it and the model's song.

    Args:
        prepared: the request with the song's lyrics and clip.
        score: the song.
        audio: its rendering [2, n] at the model's sample rate.

    Returns:
        Audio [2, m] of ``autoencoder`` and, for models with the bundled codes, ``refiner``.
    """
    net, vae = model.net, model.vae
    frame_rate = vae.sample_rate / vae.downsampling_ratio
    tokens = torch.from_numpy(example_from_score(score, frame_rate, net.config.block_size).tokens)
    samples = len(tokens) * vae.downsampling_ratio
    waveform = torch.from_numpy(np.ascontiguousarray(audio[:, :samples], np.float32))
    waveform = F.pad(waveform, (0, samples - waveform.shape[1]))[None].to(net.device)
    latents = vae.encode(waveform)[0][0]
    made = {"autoencoder": model.decode(latents).numpy()}
    if net.config.num_pitch == NUM_CODES:
        task = model.tasks(prepared, [prepared.settings.seed or 0])[0]
        made["refiner"] = model.decode(repaint(net, task, tokens.to(net.device), latents)).numpy()
    return made


@torch.no_grad()
def repaint(net: SongBloomNet, task: SongTask, tokens: Tensor, latents: Tensor) -> Tensor:
    """Latents [L, n] painted as in generation, but told the true song.

    The language model reads true tokens and latents, as in training (:mod:`songbloom.train.objective`); the refiner
    goes on from its own last block, as in generation.

    Args:
        tokens: [n], whole blocks.
        latents: [L, n].
    """
    block, shape = net.config.block_size, (net.config.block_size, net.config.latent_dim)
    cues = Cues(net, task.prefix, task.path, task.bar)
    told = _told(net, task.prefix, cues, tokens, latents)
    if task.timbre is not None:
        told = told + task.timbre
    null = None
    if task.settings.guidance == "global":
        prefix = net.prefix(None, None) if net.config.pad_prefix else torch.zeros_like(task.prefix)
        null = _told(net, prefix, Cues(net, prefix, None, None), tokens, latents)
    history, painted = told.new_zeros(1, *shape), []
    for number, block_tokens in enumerate(tokens.split(block)):
        noise = task.noise.flow(number, shape)[None].to(net.device, told.dtype)
        null_h = None if null is None else null[number : number + 1]
        h, beats = told[number : number + 1], cues.sounding(number * block, block)[None]
        history = paint(net, block_tokens[None], beats, h, null_h, history, noise, task.settings)
        painted.append(history[0].float())
    return torch.cat(painted).T


def _told(net: SongBloomNet, prefix: Tensor, cues: Cues, tokens: Tensor, latents: Tensor) -> Tensor:
    """What the language model tells the refiner of each block, [blocks, D]: its state after the block's last token."""
    block = net.config.block_size
    song = net.sequence(tokens[None], latents[None], cues.along(tokens.tolist())[None])
    hidden = net.lm(torch.cat([prefix[None], song], dim=1))[0, len(prefix) + 1 :]
    return hidden.unflatten(0, (-1, block + 1))[:, block - 1]
