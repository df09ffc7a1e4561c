"""``songbloom bench``: what making a song costs on this machine, stage by stage, and one JSON line at the end."""

from __future__ import annotations

import argparse
import json
from datetime import date
from typing import TYPE_CHECKING, Any

from songbloom.checkpoints.registry import DEFAULT_LOCAL_DIR
from songbloom.cli.model_options import add_model_options, model_options
from songbloom.cli.terminal import DONE, Parser, write_line
from songbloom.errors import InvalidInput
from songbloom.request import QUANTIZATIONS

if TYPE_CHECKING:
    from songbloom.pipeline import SongBloom

RANDOM = ("benchmark", "full")
RANGES = (("steps", 1, 100), ("batch", 1, 64), ("seconds", 1, 300), ("rounds", 1, 100), ("threads", 1, 1024))


def build_parser(prog: str) -> argparse.ArgumentParser:
    parser = Parser(prog, "Measure what making a song costs on this machine. The last line is JSON.")
    add = parser.add_argument
    add("--model", default="songbloom_mini",
        help="a model's name or folder, or, with random weights, 'benchmark' (86 M parameters) or 'full' (1.87 B) "
        "(default: %(default)s)")  # fmt: skip
    add("--local-dir", default=DEFAULT_LOCAL_DIR, help="where downloaded models lie (default: %(default)s)")
    add_model_options(parser)
    add("--threads", type=int, help="of the CPU (default: as many as PyTorch takes)")
    add("--steps", type=int, default=10, help="diffusion steps a block (default: %(default)s)")
    add("--batch", type=int, default=1, help="songs at once (default: %(default)s)")
    add("--seconds", type=float, default=6.4, help="of each song (default: %(default)s)")
    add("--rounds", type=int, default=3, help="runs of each level; the median counts (default: %(default)s)")
    add("--compare", action="store_true", help="run level minimal beside the chosen one, in turns")
    add("--memory", action="store_true", help="do not run, but tell what memory songs of --seconds need, by precision")
    return parser


def run(options: argparse.Namespace) -> int:
    for name, low, high in RANGES:
        value = getattr(options, name)
        if value is not None and not low <= value <= high:
            raise InvalidInput(name, value, f"must be from {low} to {high}")
    import torch

    if options.memory:
        return _memory(options)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    from statistics import median

    from songbloom.benchmark.machine import look_at, peak_memory_bytes
    from songbloom.benchmark.measure import Load, first_audio, parameters, run_stages, run_whole
    from songbloom.optimize.levels import switch

    load = Load(options.seconds, options.steps, options.batch)
    model = _load(options, options.optimization_level)
    levels = {options.optimization_level: model}
    if options.compare and options.optimization_level != "minimal":
        levels["minimal"] = _load(options, "minimal")
    for each in levels.values():  # what compiles, compiles here
        run_whole(each, Load(2 * each.seconds_per_block, options.steps, options.batch))
    runs: dict[str, list[Any]] = {level: [] for level in levels}
    for _ in range(options.rounds):
        for level, each in levels.items():
            switch(each.net.device, level)  # the last model that was loaded has left the process at its own
            runs[level].append(run_whole(each, load))
    switch(model.net.device, options.optimization_level)
    own = runs[options.optimization_level]
    elapsed, composing, seconds = median(r.elapsed for r in own), median(r.composing for r in own), own[0].seconds
    result: dict[str, Any] = {
        "model": model.name,
        "parameters": parameters(model.config.net),
        "device": _device_name(model),
        "dtype": str(model.net.dtype).removeprefix("torch."),
        "quantization": model.config.quantization,
        "optimization_level": options.optimization_level,
        "threads": torch.get_num_threads(),
        "steps": options.steps,
        "batch": options.batch,
        "seconds": seconds,
        "rtf": elapsed / (seconds * options.batch),
        "rtf_without_vae": composing / (seconds * options.batch),
        "first_audio_ms": 1e3 * median(first_audio(model, load) for _ in range(options.rounds)),
    }
    result |= run_stages(model, load, look_at(model.net.device, model.net.dtype))
    if options.compare:
        minimal = median(r.elapsed for r in runs["minimal"])
        result["ratio_to_minimal"] = minimal / elapsed
    result |= {
        "peak_memory_bytes": peak_memory_bytes(model.net.device),
        "torch": torch.__version__,
        "date": date.today().isoformat(),
    }
    write_line("\n".join(_table(result)))
    write_line(json.dumps({k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in result.items()}))
    return DONE


def _memory(options: argparse.Namespace) -> int:
    """The parts of what a model needs, reckoned from its configuration."""
    import torch

    from songbloom.benchmark.models import random_config
    from songbloom.memory import Profile, needs
    from songbloom.pipeline import read_model_config

    random = options.model in RANDOM
    config = random_config(options.model) if random else read_model_config(options.model, local_dir=options.local_dir)
    rows, answer = [], []
    for dtype, kind in ((torch.float32, "none"), *((torch.bfloat16, kind) for kind in QUANTIZATIONS)):
        for eight_bit in (False, True):
            profile, turns = Profile(dtype, kind, eight_bit), Profile(dtype, kind, eight_bit, offload=True)
            found, less = (needs(config, p, seconds=options.seconds, songs=options.batch) for p in (profile, turns))
            parts = {"weights": found.weights, "vae": found.autoencoder, "kv_cache": found.cache, "total": found.total}
            parts["offload_total"] = less.total
            rows.append(f"  {profile!s:<46}" + "".join(f"{size / 1e9:>10.2f}" for size in parts.values()))
            answer.append({"profile": str(profile)} | {f"{name}_bytes": size for name, size in parts.items()})
    head = f"{options.model}, {options.batch} x {options.seconds:g} s of song with guidance, GB"
    names = "".join(f"{name:>10}" for name in ("weights", "vae", "cache", "in all", "offload"))
    write_line("\n".join([head, f"  {'':<46}{names}", *rows]))
    write_line(json.dumps(answer))
    return DONE


def _load(options: argparse.Namespace, level: str) -> SongBloom:
    from songbloom.optimize.offload import check_offload
    from songbloom.pipeline import assemble, choose_device, choose_dtype, load

    if options.model not in RANDOM:
        chosen = model_options(options) | {"optimization_level": level}
        return load(options.model, local_dir=options.local_dir, **chosen)
    from songbloom.benchmark.models import random_model

    device = choose_device(options.device)
    check_offload(options.offload, device)
    dtype = choose_dtype(options.dtype, device)
    loaded = random_model(options.model, dtype, device, options.quantization, offload=options.offload)
    return assemble(options.model, loaded, level, eight_bit_cache=options.eight_bit_cache)


def _device_name(model: SongBloom) -> str:
    import platform

    import torch

    device = model.net.device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type} {platform.machine()}"


def _table(result: dict[str, Any]) -> list[str]:
    """The result for people."""
    megabytes = {k: v / 1e6 for k, v in result.items() if k.endswith("_bytes") and v is not None}
    kind = f"{result['dtype']}, quantization {result['quantization']}, level {result['optimization_level']}"
    asked = f"{result['batch']} x {result['seconds']:.1f} s of song, {result['steps']} steps, guidance on"
    rows = [
        ("seconds of computing a second of song",
         f"{result['rtf']:.3f}, without the autoencoder {result['rtf_without_vae']:.3f}"),
        ("first audio", f"{result['first_audio_ms']:.0f} ms"),
        ("reading clip and lyrics", f"{result['prefill_ms']:.0f} ms"),
        ("language model, a step", f"{result['lm_ms_per_step']:.2f} ms, {result['lm_roofline']:.0%} of the roofline"),
        ("refiner, an evaluation",
         f"{result['dit_ms_per_evaluation']:.2f} ms, {result['dit_roofline']:.0%} of the roofline"),
        ("autoencoder, a second of song", f"{1e3 * result['vae_rtf']:.0f} ms"),
        ("weights", f"{megabytes['weight_bytes']:.0f} MB, autoencoder {megabytes['vae_bytes']:.0f} MB"),
        ("keys and values", f"{megabytes['kv_cache_bytes']:.0f} MB"),
        ("most memory at once", f"{megabytes.get('peak_memory_bytes', float('nan')):.0f} MB"),
    ]  # fmt: skip
    if "ratio_to_minimal" in result:
        rows.append(("times as fast as level minimal", f"{result['ratio_to_minimal']:.2f}"))
    width = max(len(name) for name, _ in rows)
    head = f"{result['model']} ({result['parameters'] / 1e6:.0f} M) on {result['device']}, {kind}; {asked}"
    return [head, *(f"  {name:<{width}}  {value}" for name, value in rows)]
