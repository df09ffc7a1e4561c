"""Audio losses: zero for equals, blind to absolute phase, and the textbook values of the measures."""

from __future__ import annotations

import math

import pytest
import torch

from songbloom.model.stft_vae import DecodedSpectrum
from songbloom.train.losses_audio import (
    MultiResolutionMelLoss,
    log_spectral_distance,
    scale_invariant_sdr,
    spectrum_loss,
)


def noise(seed: int, samples: int = 9600) -> torch.Tensor:
    return 0.1 * torch.randn(1, samples, generator=torch.Generator().manual_seed(seed))


def test_mel_loss_is_zero_for_equals_and_grows_with_gain() -> None:
    loss = MultiResolutionMelLoss(48000)
    audio = noise(0)
    assert [float(v) for v in loss(audio, audio)] == [0, 0]
    assert [float(v) for v in loss(-audio, audio)] == [0, 0]
    near, far = loss(audio * 1.1, audio), loss(audio * 2, audio)
    assert 0 < near[0] < far[0] <= math.log(2) and 0 < near[1] < far[1]


def test_mel_loss_has_gradients_in_silence() -> None:
    audio = torch.zeros(1, 9600, requires_grad=True)
    log_mel, root = MultiResolutionMelLoss(48000)(audio, noise(0), [512])
    (log_mel + root).backward()
    assert audio.grad is not None and audio.grad.isfinite().all()


def test_spectrum_loss_compares_magnitudes_and_the_side_phase_only() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(1, 2, 4, 33, dtype=torch.complex64, generator=generator)
    mid, side = target.unbind(1)
    truth = DecodedSpectrum(
        log_mid=(mid.abs() + 1e-3).log(),
        log_side=(side.abs() + 1e-3).log(),
        phase=torch.ones_like(mid),
        side_turn=torch.sgn(side * mid.conj()),
    )
    magnitude, turn = spectrum_loss(truth, target, 1e-3, 48000)
    assert float(magnitude) == pytest.approx(0, abs=1e-5) and float(turn) == pytest.approx(0, abs=1e-4)
    truth.log_mid = truth.log_mid + 0.5
    truth.side_turn = -truth.side_turn
    magnitude, turn = spectrum_loss(truth, target, 1e-3, 48000)
    assert float(magnitude) == pytest.approx(0.5, rel=1e-3)
    assert float(turn) > 5


def test_measures_have_their_textbook_values() -> None:
    audio = noise(0)
    assert float(log_spectral_distance(audio * 100, audio * 10)) == pytest.approx(20, abs=0.1)
    orthogonal = noise(1)
    orthogonal = orthogonal - audio * (orthogonal * audio).sum() / audio.square().sum()
    orthogonal = orthogonal * (audio.norm() / orthogonal.norm())
    assert float(scale_invariant_sdr(3 * (audio + 0.1 * orthogonal), audio)) == pytest.approx(20, abs=0.01)
