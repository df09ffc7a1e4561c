"""Solvers on a flow whose end is known: data N(m, s^2), so the velocity is linear in x."""

from __future__ import annotations

import pytest
import torch

from songbloom.generate.flow_solver import denoise

MEAN, DEVIATION = 0.7, 0.3


def gaussian(x: torch.Tensor, time: float) -> torch.Tensor:
    variance = ((1 - time) * DEVIATION) ** 2 + time**2
    return (time - (1 - time) * DEVIATION**2) / variance * (x - (1 - time) * MEAN) - MEAN


def missed(solver: str, steps: int) -> float:
    noise = torch.randn(4, 8, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    exact = MEAN + DEVIATION * noise
    return float((denoise(gaussian, noise, steps=steps, solver=solver) - exact).square().mean().sqrt())


@pytest.mark.parametrize("solver", ["euler", "midpoint", "adams"])
def test_each_ends_at_the_data_with_enough_steps(solver: str) -> None:
    assert missed(solver, 400) < 2e-3


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("midpoint", 2), ("adams", 2)])
def test_the_error_falls_with_the_order(solver: str, order: int) -> None:
    assert missed(solver, 64) / missed(solver, 128) > 0.7 * 2**order


@pytest.mark.parametrize("steps", [1, 2, 7, 10])
@pytest.mark.parametrize("temperature", [0.0, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("solver", ["euler", "midpoint", "adams"])
def test_the_cost_is_what_was_asked_for(solver: str, steps: int, temperature: float) -> None:
    times: list[float] = []

    def counted(x: torch.Tensor, time: float) -> torch.Tensor:
        times.append(time)
        return gaussian(x, time)

    out = denoise(counted, torch.zeros(1, 2, 2), steps=steps, temperature=temperature, solver=solver)
    assert torch.isfinite(out).all()
    assert times == pytest.approx([1 - k / steps for k in range(steps)])
