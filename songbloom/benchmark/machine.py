"""What the machine itself can do: the roof that measured times are held against."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from songbloom.memory import process_peak_bytes

TRIES = 5


@dataclass(frozen=True)
class Machine:
    """``bandwidth`` in bytes a second (reading), ``flops`` a second of a large matrix product in one dtype."""

    bandwidth: float
    flops: float


def look_at(device: torch.device, dtype: torch.dtype) -> Machine:
    """Measure memory and arithmetic of ``device``, the best of a few tries."""
    large = torch.ones((1 << 30 if device.type == "cuda" else 1 << 28) // 4, device=device)
    read = fastest(large.sum, device)
    size = 8192 if device.type == "cuda" else 1024
    matrix = torch.ones(size, size, dtype=dtype, device=device)
    product = fastest(lambda: matrix @ matrix, device)
    return Machine(large.numel() * 4 / read, 2 * size**3 / product)


def fastest(run: Callable[[], object], device: torch.device) -> float:
    """Seconds of the quickest of a few runs, after one that does not count."""
    run()
    times = []
    for _ in range(TRIES):
        synchronise(device)
        began = time.perf_counter()
        run()
        synchronise(device)
        times.append(time.perf_counter() - began)
    return min(times)


def synchronise(device: torch.device) -> None:
    """Wait until ``device`` has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def peak_memory_bytes(device: torch.device) -> int | None:
    """Most memory held at once: of the GPU where there is one, else of this process; None where nobody tells."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return process_peak_bytes()
