"""Losses between two waveforms or spectra that forgive what the ear forgives: phase most of all."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from songbloom.model.stft_vae import DecodedSpectrum, mel_filters, power


class MultiResolutionMelLoss(nn.Module):
    """L1 distances of log-mel and of compressed magnitudes, averaged over STFTs of several window lengths.

    Several resolutions together punish phases that do not fit each other, although no phase is compared
    (after Yamamoto et al. 2020, "Parallel WaveGAN").

    Args:
        sample_rate: of both signals, in Hz.
        resolutions: (window length in samples, mel bands) of each STFT; the hop is a quarter window.
        floor: of the orthonormal magnitude, as in `StftVaeConfig.floor`.
    """

    def __init__(
        self,
        sample_rate: int,
        resolutions: tuple[tuple[int, int], ...] = (
            (256, 24),
            (512, 48),
            (1024, 96),
            (2048, 160),
            (4096, 256),
        ),
        floor: float = 3e-3,
    ) -> None:
        super().__init__()
        self.windows = [window for window, _ in resolutions]
        self.floor = floor
        for window, bands in resolutions:
            filters, _ = mel_filters(bands, window // 2 + 1, sample_rate)
            self.register_buffer(f"filters_{window}", filters, persistent=False)
            self.register_buffer(f"window_{window}", torch.hann_window(window), persistent=False)

    def _magnitude(self, audio: Tensor, window: int) -> Tensor:
        frames = audio.unfold(-1, window, window // 4) * self.get_buffer(f"window_{window}")
        spectrum = torch.fft.rfft(frames, norm="ortho")
        # The root of a small number keeps the gradient finite where the signal is silent.
        return (power(spectrum) + 1e-9).sqrt()

    def forward(self, decoded: Tensor, target: Tensor, windows: list[int] | None = None) -> tuple[Tensor, Tensor]:
        """(log-mel distance in nats, distance of root magnitudes) of audio [..., n] over `windows` (all)."""
        chosen = self.windows if windows is None else windows
        log_distance, root_distance = decoded.new_zeros(()), decoded.new_zeros(())
        for window in chosen:
            a, b = self._magnitude(decoded, window), self._magnitude(target, window)
            filters = self.get_buffer(f"filters_{window}")
            log_a, log_b = ((x @ filters + self.floor).log() for x in (a, b))
            log_distance = log_distance + (log_a - log_b).abs().mean()
            root_distance = root_distance + ((a + 1e-5).sqrt() - (b + 1e-5).sqrt()).abs().mean()
        return log_distance / len(chosen), root_distance / len(chosen)


def spectrum_loss(decoded: DecodedSpectrum, target: Tensor, floor: float, sample_rate: int) -> tuple[Tensor, Tensor]:
    """Distances of what the decoder's network says about each bin from the true spectrum.

    Args:
        decoded: the network's statement.
        target: STFT [B, 2 (mid, side), T, bins] of the original.
        floor: below this magnitude all is silence.
        sample_rate: sets the weight of each bin, which falls with frequency as the mel scale does.
    Returns:
        (L1 distance of log-magnitudes in nats, mid plus half of side; distance of side's phase to mid).
    """
    mid, side = target.unbind(1)
    frequency = torch.linspace(0, sample_rate / 2, target.shape[-1], device=target.device)
    weight = 1 / (1 + frequency / 700)
    weight = weight / weight.mean()
    mid_size, side_size = power(mid).sqrt(), power(side).sqrt()
    log_side = (side_size + floor).log()
    magnitude = (decoded.log_mid - (mid_size + floor).log()).abs()
    magnitude = magnitude + 0.5 * (decoded.log_side - log_side).abs()
    true_turn = side * mid.conj() / (mid_size * side_size + 1e-12)
    audible = log_side - math.log(floor)
    turn = decoded.side_turn
    turn_distance = (1 - turn.real * true_turn.real - turn.imag * true_turn.imag) * audible
    return (magnitude * weight).mean(), (turn_distance * weight).mean()


def log_spectral_distance(decoded: Tensor, target: Tensor, window: int = 2048) -> Tensor:
    """Log-spectral distance in dB of audio [..., n]: RMS over bins, mean over frames, floor -80 dB."""
    hann = torch.hann_window(window, device=decoded.device)

    def level(audio: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(audio.unfold(-1, window, window // 4) * hann)
        return 20 * torch.log10(spectrum.abs() * (2 / window) + 1e-4)

    return (level(decoded) - level(target)).square().mean(-1).sqrt().mean()


def scale_invariant_sdr(decoded: Tensor, target: Tensor) -> Tensor:
    """Scale-invariant signal-to-distortion ratio in dB of audio [..., n], averaged (Le Roux et al. 2019)."""
    gain = (decoded * target).sum(-1, keepdim=True) / target.square().sum(-1, keepdim=True).clamp_min(1e-9)
    image = gain * target
    ratio = image.square().sum(-1) / (decoded - image).square().sum(-1).clamp_min(1e-9)
    return (10 * torch.log10(ratio.clamp_min(1e-9))).mean()
