"""The refiner around a prediction: its flow is the one of a Gaussian until the transformer adds to it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from songbloom.generate.flow_solver import denoise
from songbloom.generate.patches import ComposeSettings, paint
from songbloom.model.predictive_refiner import PredictiveRefiner

BLOCK, LATENT, DIM = 8, 5, 64


@pytest.fixture
def refiner() -> PredictiveRefiner:
    torch.manual_seed(0)
    refiner = PredictiveRefiner(DIM, 2, 1, LATENT, 16, hidden=32, block_size=BLOCK)
    torch.nn.init.zeros_(refiner.project_out.weight)
    torch.nn.init.zeros_(refiner.project_out.bias)
    with torch.no_grad():
        refiner.deviation.copy_(torch.tensor([0.1, 0.3, 1.0, 2.0, 0.5]).log())
    return refiner.eval()


def conditions(batch: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = ((batch, DIM), (batch, BLOCK, DIM), (batch, BLOCK, LATENT))
    return tuple(torch.randn(shape, generator=generator) for shape in shapes)  # type: ignore[return-value]


@torch.no_grad()
def test_without_its_transformer_it_samples_the_gaussian_around_the_mean(refiner: PredictiveRefiner) -> None:
    prepared = refiner.prepare(*conditions()).repeat(1500, 1, 1)
    noise = torch.randn(1500, BLOCK, LATENT, generator=torch.Generator().manual_seed(2))
    samples = denoise(lambda x, time: refiner(x, x.new_full((len(x),), time), prepared), noise, steps=60)
    error = samples - refiner.mean(prepared)
    assert error.mean().abs() < 0.05
    torch.testing.assert_close(error.std((0, 1)), refiner.deviation.exp(), rtol=0.05, atol=0.01)


@torch.no_grad()
def test_its_velocity_is_the_best_guess_of_noise_minus_data(refiner: PredictiveRefiner) -> None:
    """No linear correction of it lowers the error, at any time."""
    generator = torch.Generator().manual_seed(3)
    prepared = refiner.prepare(*conditions()).repeat(8000, 1, 1)
    for time in (0.1, 0.5, 0.9, 1.0):
        noise = torch.randn(8000, BLOCK, LATENT, generator=generator)
        draw = torch.randn(8000, BLOCK, LATENT, generator=generator)
        data = refiner.mean(prepared) + refiner.deviation.exp() * draw
        x = (1 - time) * data + time * noise
        missed = noise - data - refiner(x, torch.full((8000,), time), prepared)
        assert missed.mean((0, 1)).abs().max() < 0.05
        assert (missed * (x - x.mean(0))).mean((0, 1)).abs().max() < 0.05


def test_the_deviation_learns_what_the_prediction_misses(refiner: PredictiveRefiner) -> None:
    data = torch.randn(64, BLOCK, LATENT, generator=torch.Generator().manual_seed(4)) * 0.7
    prepared = refiner.prepare(*conditions(64)).detach()
    optimizer = torch.optim.Adam([refiner.deviation], lr=0.05)
    for _ in range(600):
        optimizer.zero_grad()
        refiner.prediction_loss(prepared, data).backward()
        optimizer.step()
    wanted = (refiner.mean(prepared) - data).square().mean((0, 1)).sqrt()
    torch.testing.assert_close(refiner.deviation.exp().detach(), wanted, rtol=0.05, atol=0.01)


def test_the_flow_does_not_bend_the_prediction(refiner: PredictiveRefiner) -> None:
    """The mean is learned by regression alone."""
    x = torch.randn(1, BLOCK, LATENT)
    refiner(x, torch.tensor([0.5]), refiner.prepare(*conditions())).square().mean().backward()
    assert refiner.predictor.out.weight.grad is None or not refiner.predictor.out.weight.grad.any()


@torch.no_grad()
def test_temperature_scales_the_deviation_from_the_prediction(refiner: PredictiveRefiner) -> None:
    """The published rule starts from zeros, which are no estimate of anything far from temperature 1."""
    h, s, history = conditions()
    embedding = torch.nn.Embedding.from_pretrained(s[0])
    net = SimpleNamespace(refiner=refiner, token_embedding=embedding)
    noise = torch.randn(1, BLOCK, LATENT, generator=torch.Generator().manual_seed(5))

    def painted(temperature: float) -> torch.Tensor:
        settings = ComposeSettings(100, guidance="none", steps=20, diffusion_temperature=temperature)
        beats = torch.zeros_like(s)
        return paint(net, torch.arange(BLOCK)[None], beats, h, None, history, noise, settings)  # type: ignore[arg-type]

    mean = refiner.mean(refiner.prepare(h, s, history))
    torch.testing.assert_close(painted(0.0), mean, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(painted(0.4) - mean, 0.4 * (painted(1.0) - mean), atol=1e-4, rtol=1e-4)
