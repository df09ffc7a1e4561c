"""Published checkpoints: names and shapes of the released files, and their translation into our layout."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# (published name, our name); N stands for a layer number. Two or three published tensors may fill one of ours.
_RENAME = [
    ("bos_token", "bos"),
    ("condition_provider.conditioners.prompt_wav.output_proj.weight", "style.proj.weight"),
    ("condition_provider.conditioners.lyrics.blank_emb", "lyrics.blank"),
    ("condition_provider.conditioners.lyrics.output_proj.weight", "lyrics.embedding.weight"),
    ("condition_provider.conditioners.lyrics.sentence_idx_in_structure_emb.weight", "lyrics.sentence.weight"),
    ("skeleton_emb.weight", "token_embedding.weight"),
    ("skeleton_classifier.0.weight", "classifier.0.weight"),
    ("skeleton_classifier.2.weight", "classifier.2.weight"),
    ("skeleton_classifier.2.bias", "classifier.2.bias"),
    ("block_conv.1.weight", "latent_embedding.1.weight"),
    ("block_conv.1.bias", "latent_embedding.1.bias"),
    ("block_conv.3.weight", "latent_embedding.3.weight"),
    ("block_conv.3.bias", "latent_embedding.3.bias"),
    ("project_in.weight", "refiner.project_in.weight"),
    ("project_in.bias", "refiner.project_in.bias"),
    ("project_out.weight", "refiner.project_out.weight"),
    ("project_out.bias", "refiner.project_out.bias"),
    ("timestep_features.weight", "refiner.timestep.frequencies"),
    ("to_timestep_embed.0.weight", "refiner.timestep.fc1.weight"),
    ("to_timestep_embed.2.weight", "refiner.timestep.fc2.weight"),
    ("to_timestep_embed.2.bias", "refiner.timestep.fc2.bias"),
    ("ar_transformer.norm.weight", "lm.norm.weight"),
    ("ar_transformer.layers.N.self_attn.q_proj.weight", "lm.layers.N.attn.qkv.weight"),
    ("ar_transformer.layers.N.self_attn.k_proj.weight", "lm.layers.N.attn.qkv.weight"),
    ("ar_transformer.layers.N.self_attn.v_proj.weight", "lm.layers.N.attn.qkv.weight"),
    ("ar_transformer.layers.N.self_attn.o_proj.weight", "lm.layers.N.attn.out.weight"),
    ("ar_transformer.layers.N.mlp.gate_proj.weight", "lm.layers.N.mlp.gate_up.weight"),
    ("ar_transformer.layers.N.mlp.up_proj.weight", "lm.layers.N.mlp.gate_up.weight"),
    ("ar_transformer.layers.N.mlp.down_proj.weight", "lm.layers.N.mlp.down.weight"),
    ("ar_transformer.layers.N.input_layernorm.weight", "lm.layers.N.attn_norm.weight"),
    ("ar_transformer.layers.N.post_attention_layernorm.weight", "lm.layers.N.mlp_norm.weight"),
    ("nar_dit.layers.N.pre_norm.gamma", "refiner.layers.N.attn_norm.gamma"),
    ("nar_dit.layers.N.pre_norm.beta", "refiner.layers.N.attn_norm.beta"),
    ("nar_dit.layers.N.self_attn.to_qkv.weight", "refiner.layers.N.attn.qkv.weight"),
    ("nar_dit.layers.N.self_attn.to_out.weight", "refiner.layers.N.attn.out.weight"),
    ("nar_dit.layers.N.ff_norm.gamma", "refiner.layers.N.mlp_norm.gamma"),
    ("nar_dit.layers.N.ff_norm.beta", "refiner.layers.N.mlp_norm.beta"),
    ("nar_dit.layers.N.ff.ff.0.gate_proj.weight", "refiner.layers.N.mlp.gate_up.weight"),
    ("nar_dit.layers.N.ff.ff.0.up_proj.weight", "refiner.layers.N.mlp.gate_up.weight"),
    ("nar_dit.layers.N.ff.ff.2.weight", "refiner.layers.N.mlp.down.weight"),
]
_PARTS: dict[str, list[str]] = {}
for _published, _ours in _RENAME:
    _PARTS.setdefault(_ours, []).append(_published)


@dataclass(frozen=True)
class Recipe:
    """How one of our tensors is made of published ones."""

    parts: tuple[str, ...]
    combine: Callable[[Sequence[Tensor]], Tensor]


def net_recipe(ours: str) -> Recipe:
    """Our network tensor ``ours``: the published tensors under ``model.``, stacked along dim 0."""
    match = re.search(r"(?<=\.layers\.)\d+(?=\.)", ours)
    pattern = ours[: match.start()] + "N" + ours[match.end() :] if match else ours
    layer = match.group() if match else ""
    parts = tuple("model." + part.replace(".layers.N.", f".layers.{layer}.") for part in _PARTS[pattern])
    return Recipe(parts, lambda tensors: tensors[0] if len(tensors) == 1 else torch.cat(list(tensors)))


def vae_recipe(ours: str, prefix: str = "") -> Recipe:
    """Our Oobleck tensor ``ours``: a convolution's weight is its published weight norm folded."""
    published = prefix + re.sub(r"(?<=\.)(\d+)(?=\.)", r"layers.\1", ours)
    if published.endswith(".weight"):
        return Recipe((published + "_g", published + "_v"), lambda tensors: fold_weight_norm(*tensors))
    return Recipe((published,), lambda tensors: tensors[0])


def fold_weight_norm(gain: Tensor, direction: Tensor) -> Tensor:
    """g * v / ||v||, the norm over all dimensions but the first."""
    norm = direction.float().flatten(1).norm(dim=1).view_as(gain)
    return gain * direction / norm


def split_like_published(ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our network tensors (weights or gradients) under their published names."""
    split: dict[str, Tensor] = {}
    for name, tensor in ours.items():
        parts = net_recipe(name).parts
        split.update(zip(parts, tensor.chunk(len(parts)), strict=True))
    return split
