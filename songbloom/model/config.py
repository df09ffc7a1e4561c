"""Everything that shapes a network, read from the published YAML form or from our own JSON.

Fields named as in the published configuration keep its meaning. The options after ``# ours`` do not exist in
published checkpoints; their defaults reproduce the published behaviour exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from songbloom.errors import CheckpointError
from songbloom.lyrics.report import Pace, Reader


@dataclass(frozen=True)
class LyricsConfig:
    """Lyrics condition: ``vocab`` maps a token to its index; ``max_len`` positions of the prefix."""

    vocab: tuple[str, ...]
    max_len: int
    max_sentences: int
    context: int = 0  # ours: neighbours on either side added to each lyric embedding


@dataclass(frozen=True)
class NetConfig:
    """Sizes of the sketch LM, the refiner and their conditions."""

    dim: int
    num_heads: int
    lm_layers: int
    diff_layers: int
    num_pitch: int
    block_size: int
    latent_dim: int
    timestep_features: int
    rotary_base: float
    lyrics: LyricsConfig
    prompt_max_len: int
    h_dropout: float = 0.0
    cfg_dropout: float = 0.0
    prompt_dropout: float = 0.0
    lyrics_dropout: float = 0.0
    init_std: float = 0.02
    pad_prefix: bool = True  # ours: False makes the prefix only as long as clip and lyrics are
    predictor: int = 0  # ours: hidden size of the refiner's prediction (predictive_refiner); 0 is the published one
    timbre: bool = False  # ours: mean and deviation of the clip's latents are added to what the refiner reads as h
    cursor: bool = False  # ours: tokens say what is sung, and walk along the lyrics (generate/lyric_path.py)
    metronome: bool = False  # ours: tokens are told where in its bar each frame lies (metronome)
    facts: tuple[int, ...] = ()  # ours: numbers of tempi, keys, styles and voices told apart in a clip (clip_facts)

    def __post_init__(self) -> None:
        for name in ("dim", "num_heads", "lm_layers", "diff_layers", "num_pitch", "block_size", "latent_dim"):
            if getattr(self, name) < 1:
                raise CheckpointError(f"configuration: {name}={getattr(self, name)!r} must be at least 1")
        if self.dim % self.num_heads or self.head_dim % 2 or self.head_dim < 32:
            raise CheckpointError(
                f"configuration: dim={self.dim} over num_heads={self.num_heads} must give an even head size of "
                "at least 32 (the refiner rotates 32 of its dimensions)"
            )

    @property
    def head_dim(self) -> int:
        return self.dim // self.num_heads

    @property
    def vocab_size(self) -> int:
        """Classifier outputs: every sketch token and EOS."""
        return self.num_pitch + 1

    @property
    def eos(self) -> int:
        return self.num_pitch

    @property
    def ignore(self) -> int:
        """The special id of training targets that carry no loss."""
        return self.num_pitch + 1

    @property
    def prefix_len(self) -> int:
        return self.prompt_max_len + self.lyrics.max_len


@dataclass(frozen=True)
class InferenceDefaults:
    """The settings a release recommends; a request overrides any of them."""

    cfg_coef: float = 1.5
    temperature: float = 0.9
    diffusion_temperature: float = 0.95
    top_k: int = 100
    penalty_repeat: bool = True
    penalty_window: int = 50
    steps: int = 36
    guidance: str = "h"
    solver: str = "euler"


@dataclass(frozen=True)
class ModelConfig:
    """A whole release: network, VAE, lyric processing, lengths and recommended settings."""

    net: NetConfig
    vae: Mapping[str, Any]
    sample_rate: int
    max_duration_s: float
    prompt_seconds: float
    lyric_processor: str
    seconds_per_tag: float = 1.0
    seconds_per_syllable: float = 0.3
    seconds_per_line: float = 0.6
    min_steps: int = 10
    quantization: str = "none"  # of the weights as they lie in the file
    defaults: InferenceDefaults = field(default_factory=InferenceDefaults)

    @property
    def reader(self) -> Reader:
        """How this model reads lyrics, and how long it takes for them."""
        pace = Pace(self.seconds_per_tag, self.seconds_per_syllable, self.seconds_per_line)
        return Reader(self.lyric_processor, pace, self.net.lyrics.max_len, self.net.lyrics.vocab)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelConfig:
        """Our own JSON form, as written by :meth:`to_dict`."""
        try:
            data = dict(data)
            net = dict(data.pop("net"))
            lyrics = dict(net.pop("lyrics"))
            lyrics["vocab"] = tuple(lyrics["vocab"])
            defaults = InferenceDefaults(**data.pop("defaults", {}))
            net["facts"] = tuple(net.get("facts", ()))
            return cls(net=NetConfig(lyrics=LyricsConfig(**lyrics), **net), defaults=defaults, **data)
        except (KeyError, TypeError) as error:
            raise CheckpointError(f"configuration: {error}") from error

    @classmethod
    def from_published(cls, data: Mapping[str, Any], *, seconds_per_tag: float = 1.0) -> ModelConfig:
        """The published YAML form, after its interpolations were resolved.

        Raises:
            CheckpointError: a key is missing, or an option asks for something never published.
        """
        try:
            model = data["model"]
            provider = model["condition_provider_cfg"]
            lyrics, prompt = provider["lyrics"], provider["prompt_wav"]
            if lyrics.get("mode", "sum") != "sum":
                raise CheckpointError(f"configuration: lyrics mode {lyrics['mode']!r} is not supported, only 'sum'")
            dropout = model.get("attribute_dropout", {})
            net = NetConfig(
                dim=model["dim"],
                num_heads=model["num_heads"],
                lm_layers=model["lm_layers"],
                diff_layers=model["diff_layers"],
                num_pitch=model["num_pitch"],
                block_size=model["block_size"],
                latent_dim=model["latent_dim"],
                timestep_features=model["timestep_features_dim"],
                rotary_base=float(model["rotary_base_val"]),
                lyrics=LyricsConfig(
                    vocab=tuple(str(item) for item in lyrics["vocab_list"]),
                    max_len=lyrics["max_len"],
                    max_sentences=lyrics["max_sentence_per_structure"],
                ),
                prompt_max_len=prompt["max_len"],
                h_dropout=model.get("h_dropout", 0.0),
                cfg_dropout=model.get("cfg_dropout", 0.0),
                prompt_dropout=dropout.get("wav", {}).get("prompt_wav", 0.0),
                lyrics_dropout=dropout.get("text", {}).get("lyrics", 0.0),
                init_std=model.get("init_std", 0.02),
            )
            inference = data.get("inference", {})
            base = InferenceDefaults()
            return cls(
                net=net,
                vae=data["vae"]["vae_cfg"],
                sample_rate=data["sr"],
                max_duration_s=float(data["max_dur"]),
                prompt_seconds=float(data["train_dataset"]["prompt_len"]),
                lyric_processor=data["train_dataset"]["lyric_processor"],
                seconds_per_tag=seconds_per_tag,
                defaults=InferenceDefaults(
                    cfg_coef=inference.get("cfg_coef", base.cfg_coef),
                    temperature=inference.get("temp", base.temperature),
                    diffusion_temperature=inference.get("diff_temp", base.diffusion_temperature),
                    top_k=inference.get("top_k", base.top_k),
                    penalty_repeat=inference.get("penalty_repeat", base.penalty_repeat),
                    penalty_window=inference.get("penalty_window", base.penalty_window),
                    steps=inference.get("steps", base.steps),
                    guidance=inference.get("dit_cfg_type", base.guidance),
                ),
            )
        except KeyError as error:
            raise CheckpointError(f"configuration: key {error} is missing") from error
