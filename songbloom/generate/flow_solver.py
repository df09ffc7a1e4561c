"""Rectified flow: x_t = (1 - t) * data + t * noise, integrated from t = 1 (noise) to t = 0 (data)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]


def denoise(velocity: Velocity, noise: Tensor, *, steps: int, temperature: float = 1.0) -> Tensor:
    """Euler steps from ``noise`` to data, both [B, bs, L].

    Below temperature 1 the published sampler starts from zeros; the noise enters, scaled by its time, at the
    step that crosses the temperature, on top of the data estimate x - v. (The estimate uses v unscaled: x is
    still the mean of the flow there, not a point at time a.)

    Args:
        velocity: (x [B, bs, L], t [B]) -> noise - data, [B, bs, L].
    """
    times = torch.linspace(1, 0, steps + 1).tolist()
    x = noise if temperature >= 1 else torch.zeros_like(noise)
    for now, then in zip(times[:-1], times[1:], strict=True):
        v = velocity(x, torch.full((x.shape[0],), now, device=x.device, dtype=x.dtype))
        if now > temperature >= then:
            x = (1 - then) * (x - v) + then * noise
        else:
            x = x + (then - now) * v
    return x
