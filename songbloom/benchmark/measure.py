"""Times and memory of making songs, whole and by stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from songbloom.benchmark.machine import Machine, synchronise
from songbloom.checkpoints.load import LoadedModel
from songbloom.generate.noise import SongNoise
from songbloom.generate.patches import ComposeSettings, SongTask
from songbloom.generate.sampling import TokenSampling
from songbloom.memory import cache_bytes
from songbloom.model.config import NetConfig
from songbloom.model.network import SongBloomNet
from songbloom.pipeline import SongBloom
from songbloom.quantize.network import weight_bytes

LYRIC_TOKENS = 300  # of a song of about half a minute, where a model reads no more than there are
NEVER = -1e9


@dataclass(frozen=True)
class Load:
    """What is asked of the model: songs of ``seconds``, ``batch`` of them at once, with guidance."""

    seconds: float
    steps: int
    batch: int = 1


@dataclass(frozen=True)
class Whole:
    """One run from lyrics and clip that are already encoded: times of composing and of decoding ``batch`` songs of
    ``seconds`` each."""

    composing: float
    decoding: float
    seconds: float

    @property
    def elapsed(self) -> float:
        return self.composing + self.decoding


def parameters(config: NetConfig, part: str = "") -> int:
    """How many the network, or a part of it, has, in whatever they are kept."""
    with torch.device("meta"):
        return sum(p.numel() for p in SongBloomNet(config).get_submodule(part).parameters())


def tasks_for(model: SongBloom, load: Load) -> list[SongTask]:
    """Songs of exactly the asked length: the model cannot end them."""
    net, config = model.net, model.config
    with torch.no_grad():
        net.get_parameter("classifier.2.bias")[config.net.eos] = NEVER
        generator = torch.Generator().manual_seed(0)
        clip = torch.randn(config.net.latent_dim, config.net.prompt_max_len, generator=generator)
        words = [w for w in config.net.lyrics.vocab if w][: config.net.lyrics.max_len]
        count = config.net.lyrics.max_len if config.net.pad_prefix else min(LYRIC_TOKENS, config.net.lyrics.max_len)
        prefix = net.prefix(clip.to(net.device, net.dtype), " ".join(words[i % len(words)] for i in range(count)))
        timbre = net.timbre(clip)
    settings = ComposeSettings(
        max_frames=load.seconds * model.vae.sample_rate / model.vae.downsampling_ratio,
        sampling=TokenSampling(top_k=100),
        steps=load.steps,
        diffusion_temperature=1.0,
    )
    return [SongTask(prefix, SongNoise(seed), settings, timbre) for seed in range(load.batch)]


def run_whole(model: SongBloom, load: Load) -> Whole:
    """Make the songs."""
    tasks = tasks_for(model, load)
    made: list[list[Tensor]] = [[] for _ in tasks]
    synchronise(model.net.device)
    began = time.perf_counter()
    for patch in model.compose(tasks):
        made[patch.song].append(patch.latents)
    composed = time.perf_counter()
    for latents in made:
        model.decode(torch.cat(latents, dim=1))
    decoded = time.perf_counter()
    return Whole(composed - began, decoded - composed, len(made[0]) * model.seconds_per_block)


def first_audio(model: SongBloom, load: Load) -> float:
    """Seconds until the first sound of a song, from lyrics and clip that are already encoded."""
    task, decoder, device = tasks_for(model, load)[0], model.stream_decoder(), model.net.device
    synchronise(device)
    began = time.perf_counter()
    for patch in model.compose([task]):
        if decoder.push(patch.latents.to(device)).numel():
            break
    return time.perf_counter() - began


@contextmanager
def timed(module: nn.Module, device: torch.device, told: Callable[[Any, float], None]) -> Iterator[None]:
    """Tell of every call of ``module``: its first argument and its seconds."""
    began = 0.0

    def before(*_: object) -> None:
        nonlocal began
        synchronise(device)
        began = time.perf_counter()

    def after(_: nn.Module, arguments: tuple[Any, ...], __: object) -> None:
        synchronise(device)
        told(arguments[0], time.perf_counter() - began)

    hooks = [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def run_stages(model: SongBloom, load: Load, machine: Machine) -> dict[str, float]:
    """Medians of every stage, and how near the machine's limits they come."""
    prefill: list[float] = []
    steps: list[float] = []
    evaluations: list[float] = []
    net, device = model.net, model.net.device
    new = SongBloom(model.name, LoadedModel(model.config, net, model.vae))  # has read no null prefix yet
    block = net.config.block_size

    def lm_called(x: Tensor, seconds: float) -> None:
        (prefill if x.shape[1] > block else steps).append(seconds)

    with timed(net.lm, device, lm_called), timed(net.refiner, device, lambda _, s: evaluations.append(s)):
        whole = run_whole(new, load)
    task = tasks_for(model, load)[0]
    weights = {part: weight_bytes(net.get_submodule(part)) for part in ("lm.layers", "refiner.layers")}
    cache = cache_bytes(
        net, model.profile, prefix_len=len(task.prefix), frames=task.settings.max_frames, songs=load.batch
    )
    lm_floor = (weights["lm.layers"] + cache / 2) / machine.bandwidth  # half of it is filled, on average
    rows = 2 * load.batch
    multiplied = 2 * rows * (1 + 3 * block) * parameters(net.config, "refiner.layers")
    dit_floor = max(weights["refiner.layers"] / machine.bandwidth, multiplied / machine.flops)
    return {
        "prefill_ms": 1e3 * sum(prefill),
        "lm_ms_per_step": 1e3 * median(steps),
        "dit_ms_per_evaluation": 1e3 * median(evaluations),
        "vae_rtf": whole.decoding / (whole.seconds * load.batch),
        "lm_roofline": lm_floor / median(steps),
        "dit_roofline": dit_floor / median(evaluations),
        "weight_bytes": weight_bytes(net),
        "vae_bytes": weight_bytes(model.vae),
        "kv_cache_bytes": cache,
    }
