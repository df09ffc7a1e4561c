"""Rectified flow: x_t = (1 - t) * data + t * noise, integrated from t = 1 (noise) to t = 0 (data)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Velocity = Callable[[Tensor, float], Tensor]


def denoise(
    velocity: Velocity, noise: Tensor, *, steps: int, temperature: float = 1.0, solver: str = "euler"
) -> Tensor:
    """From ``noise`` to data, both [B, bs, L], in ``steps`` evaluations of the velocity at t = 1, ..., 1 / steps.

    * euler: the published sampler, a step an evaluation.
    * midpoint: a step every two evaluations, along the velocity halfway (an odd last one is Euler's).
    * adams: Adams-Bashforth of order two, along 3/2 of this velocity less 1/2 of the one before.

    Below temperature 1 the published sampler starts from zeros; the noise enters, scaled by its time, at the
    step that crosses the temperature, on top of the data estimate x - v. (The estimate uses v unscaled: x is
    still the mean of the flow there, not a point at time a.) That step is Euler's with every solver.

    Args:
        velocity: (x [B, bs, L], time) -> noise - data, [B, bs, L]. Times are numbers, so that no device is asked.
    """
    times = torch.linspace(1, 0, steps + 1).tolist()
    x = noise if temperature >= 1 else torch.zeros_like(noise)
    before: Tensor | None = None  # the velocity one step ago, of the same flow
    step = 0
    while step < steps:
        now, then = times[step], times[step + 1]
        v = velocity(x, now)
        step += 1
        if now > temperature >= then:
            x, before = (1 - then) * (x - v) + then * noise, None
        elif solver == "midpoint" and step < steps and not then > temperature >= times[step + 1]:
            x = x + (times[step + 1] - now) * velocity(x + (then - now) * v, then)
            step += 1
        elif solver == "adams" and before is not None:
            x, before = x + (then - now) * (1.5 * v - 0.5 * before), v
        else:
            x, before = x + (then - now) * v, v
    return x
