"""How much memory a model and a song need, how much there is, and what fits into it."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch

from songbloom.errors import NotAvailable, OutOfMemory
from songbloom.generate.patches import capacity_for
from songbloom.model.config import ModelConfig
from songbloom.model.kv_cache import KVCache
from songbloom.model.network import SongBloomNet
from songbloom.model.vae import build_vae
from songbloom.quantize.network import check, replace_layers, weight_bytes

SPARE = 1.15  # activations, the allocator's rounding
SPARE_BYTES = 300_000_000  # PyTorch itself, the audio
REMEDIES = (
    "make it smaller with --quantization int8 or int4, --dtype bfloat16, --eight-bit-cache, --offload (CUDA), fewer "
    "--n-samples or --batch-size, or a shorter --max-duration"
)


@dataclass(frozen=True)
class Profile:
    """What the weights and what is remembered of a song are kept in."""

    dtype: torch.dtype
    quantization: str = "none"
    eight_bit_cache: bool = False
    offload: bool = False  # parts of the model take turns on the device

    def __str__(self) -> str:
        cache = ", cache of 8 bits" if self.eight_bit_cache else ""
        turns = ", parts in turns" if self.offload else ""
        return f"{str(self.dtype).removeprefix('torch.')}, quantization {self.quantization}{cache}{turns}"


@dataclass(frozen=True)
class Needs:
    """Bytes of a loaded model and of what it remembers of the songs in the making."""

    weights: int
    autoencoder: int
    cache: int
    waiting: int = 0  # of weights and autoencoder, in main memory

    @property
    def total(self) -> int:
        """On the device, with what computing takes beside them."""
        return int(SPARE * (self.weights + self.autoencoder + self.cache - self.waiting)) + SPARE_BYTES


def needs(config: ModelConfig, profile: Profile, *, seconds: float, songs: int = 1) -> Needs:
    """Memory of the loaded model with ``songs`` songs of ``seconds`` and their guidance in the making."""
    with torch.device("meta"):
        net = SongBloomNet(config.net).to(profile.dtype)
    if profile.quantization != "none":
        replace_layers(net, profile.quantization)
    vae = build_vae(config.vae)
    frames = seconds * vae.sample_rate / vae.downsampling_ratio
    cache = cache_bytes(net, profile, prefix_len=config.net.prefix_len, frames=frames, songs=songs)
    parts = [weight_bytes(part) for part in (net.lm, net.refiner, vae)]
    return Needs(weight_bytes(net), weight_bytes(vae), cache, sum(parts) - max(parts) if profile.offload else 0)


def cache_bytes(net: SongBloomNet, profile: Profile, *, prefix_len: int, frames: float, songs: int) -> int:
    """Keys and values of ``songs`` songs of ``frames`` behind a prefix, and of their null twins."""
    config = net.config
    shape = (config.lm_layers, 2 * songs, config.num_heads, capacity_for(net, prefix_len, frames), config.head_dim)
    meta = torch.device("meta")
    return KVCache(*shape, dtype=profile.dtype, device=meta, eight_bit=profile.eight_bit_cache).bytes


def free_bytes(device: torch.device) -> int | None:
    """Memory of ``device`` that is free now; None where the system does not tell."""
    if device.type == "cuda":
        with contextlib.suppress(RuntimeError):  # of a recording of CUDA's that failed
            torch.cuda.empty_cache()  # what PyTorch keeps for itself is free too
        return torch.cuda.mem_get_info(device)[0]
    try:
        told = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return None
    found = re.search(r"MemAvailable:\s+(\d+) kB", told)
    return int(found[1]) * 1024 if found else None


def process_peak_bytes() -> int | None:
    """Most memory this process has held at once; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def choices(
    device: torch.device, *, dtype: torch.dtype | None, quantization: str, eight_bit_cache: bool, offload: bool
) -> Iterator[Profile]:
    """Profiles from the best to the smallest that ``device`` can compute with. What is chosen already stays: a dtype
    that is not None, a quantization that is not 'none', a cache of 8 bits, parts in turns."""
    if dtype is None:
        half = torch.bfloat16 if device.type != "cuda" or torch.cuda.is_bf16_supported() else torch.float16
        # A CPU without bfloat16 arithmetic is slower with it than with float32, and fastest with int8.
        dtype = half if device.type != "cpu" else torch.float32
    kinds = []
    for kind in ("none", "int8", "int4") if quantization == "none" else (quantization,):
        try:
            check(kind, device)
            kinds.append(kind)
        except NotAvailable:
            if kind == quantization:
                raise
    caches = (True,) if eight_bit_cache else (False, True)
    turns = (True,) if offload else (False, True) if device.type == "cuda" else (False,)  # the slowest means
    for taken, kind, small in product(turns, kinds, caches):
        yield Profile(dtype, kind, small, taken)


def fitting(
    config: ModelConfig,
    device: torch.device,
    *,
    free: int | None,
    dtype: torch.dtype | None = None,
    quantization: str = "none",
    eight_bit_cache: bool = False,
    offload: bool = False,
) -> Profile:
    """The best of :func:`choices` with which the model's longest song fits into ``free`` bytes; the best one if nobody
    knows.

    Raises:
        OutOfMemory: not even the smallest fits.
        NotAvailable: the quantization that is chosen cannot be computed with.
    """
    for profile in choices(
        device, dtype=dtype, quantization=quantization, eight_bit_cache=eight_bit_cache, offload=offload
    ):
        needed = needs(config, profile, seconds=config.max_duration_s).total
        if free is None or needed <= free:
            return profile
    raise OutOfMemory(
        f"out of memory: {profile} needs {needed / 1e9:.1f} GB for {config.max_duration_s:g} s of song, and "
        f"{(free or 0) / 1e9:.1f} GB of {device} are free; close other programs or take a smaller model"
    )


@contextlib.contextmanager
def explained(
    config: ModelConfig, device: torch.device, profile: Profile, *, seconds: float, songs: int
) -> Iterator[None]:
    """Turn the allocator's failure into an error that says what was needed, what is free, and what to do."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        needed, free = needs(config, profile, seconds=seconds, songs=songs).total, free_bytes(device)
        there = "" if free is None else f", {free / 1e9:.1f} GB of {device} are free"
        raise OutOfMemory(
            f"out of memory: {songs} x {seconds:g} s of song in {profile} need about {needed / 1e9:.1f} GB in all"
            f"{there}; {REMEDIES}"
        ) from error


def _is_out_of_memory(error: MemoryError | RuntimeError) -> bool:
    """Only some of the allocators' errors have a type of their own."""
    told = str(error)
    known = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    return known or "can't allocate memory" in told or "out of memory" in told  # CPU; CUDA and MPS
