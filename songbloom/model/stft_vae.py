"""STFT-domain variational autoencoder: the small, CPU-friendly codec of the bundled model.

Encoder: a fixed linear map. Every 10 ms frame becomes log-mel bands of mid and side and their correlation;
`frames_per_latent` frames become one latent by a partially whitened PCA, fitted once by `fit_analysis`.
Decoder: the inverse PCA gives a smooth spectral envelope, a ConvNeXt stack (Liu et al. 2022, used for
vocoding by Siuzdak 2023, "Vocos") sharpens it to a magnitude and first phases per bin, a few rounds of fast
Griffin-Lim (Perraudin et al. 2013) make the phases consistent, and an inverse STFT gives audio.
The side channel is stored as level and phase relative to mid, so that panned sounds stay where they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from songbloom.errors import InvalidInput


@dataclass(frozen=True)
class StftVaeConfig:
    """Sizes of a `StftVae`; every filter bank and window follows from them."""

    sample_rate: int = 48_000
    audio_channels: int = 2
    latent_dim: int = 128
    fft_size: int = 1920
    hop: int = 480
    frames_per_latent: int = 8
    mid_bands: int = 104
    side_bands: int = 16
    pan_bands: int = 8
    floor: float = 3e-3  # of the orthonormal magnitude: what lies below counts as silence
    posterior_std: float = 0.05  # latents have an overall RMS of 1
    channels: int = 256
    hidden: int = 768
    latent_blocks: int = 2
    latent_kernel: int = 3
    frame_blocks: int = 6
    frame_kernel: int = 7
    side_rank: int = 64
    phase_rounds: int = 8
    phase_momentum: float = 0.99

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StftVaeConfig:
        """Build from a plain dict. Raises `InvalidInput` for an unknown key or sizes that do not fit."""
        known = {field.name for field in fields(cls)}
        for key in values:
            if key not in known:
                raise InvalidInput(key, values[key], "unknown StftVae option; one of " + ", ".join(sorted(known)))
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __post_init__(self) -> None:
        if self.audio_channels != 2:
            raise InvalidInput("audio_channels", self.audio_channels, "StftVae codes mid and side: use 2.")
        if self.hop < 1 or self.fft_size % (2 * self.hop):
            raise InvalidInput("fft_size", self.fft_size, "must be an even multiple of hop.")
        if (self.frames_per_latent * self.hop) % self.fft_size:
            raise InvalidInput(
                "frames_per_latent", self.frames_per_latent, "a latent must span a whole number of FFT sizes."
            )
        if not 1 <= self.latent_dim <= self.frames_per_latent * self.bands:
            raise InvalidInput("latent_dim", self.latent_dim, "must be between 1 and a patch's features.")
        for name in ("latent_kernel", "frame_kernel"):
            if getattr(self, name) % 2 == 0:
                raise InvalidInput(name, getattr(self, name), "must be odd.")

    @property
    def bands(self) -> int:
        return self.mid_bands + self.side_bands + self.pan_bands

    @property
    def bins(self) -> int:
        return self.fft_size // 2 + 1

    @property
    def downsampling_ratio(self) -> int:
        return self.frames_per_latent * self.hop


def mel_filters(bands: int, bins: int, sample_rate: int) -> tuple[Tensor, Tensor]:
    """Mel band averaging and its inverse by interpolation between band centres.

    Returns:
        analysis [bins, bands], whose columns sum to 1, and interpolation [bands, bins]; float32.
        The mel scale is 2595 log10(1 + f/700); a band narrower than one bin takes its nearest bin.
    """
    top = 2595 * math.log10(1 + sample_rate / 2 / 700)
    edges = 700 * (10 ** (torch.linspace(0, top, bands + 2, dtype=torch.float64) / 2595) - 1)
    frequency = torch.linspace(0, sample_rate / 2, bins, dtype=torch.float64)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (frequency[:, None] - low) / (centre - low)
    falling = (high - frequency[:, None]) / (high - centre)
    analysis = torch.minimum(rising, falling).clamp_min(0)
    nearest = (frequency[:, None] - centre).abs().argmin(0)
    analysis[nearest, torch.arange(bands)] += 1e-9
    right = torch.searchsorted(centre, frequency).clamp(1, bands - 1)
    weight = ((frequency - centre[right - 1]) / (centre[right] - centre[right - 1])).clamp(0, 1)
    interpolation = torch.zeros(bands, bins, dtype=torch.float64)
    index = torch.arange(bins)
    interpolation[right - 1, index] = 1 - weight
    interpolation[right, index] += weight
    return (analysis / analysis.sum(0)).float(), interpolation.float()


class ConvNextBlock(nn.Module):
    """Depthwise convolution over time, then a two-layer perceptron per step, added to the input [B, T, C]."""

    def __init__(self, channels: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.expand = nn.Linear(channels, hidden)
        self.project = nn.Linear(hidden, channels)
        self.gain = nn.Parameter(torch.full((channels,), 0.3))

    def forward(self, x: Tensor) -> Tensor:
        y = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        y = self.project(F.gelu(self.expand(self.norm(y)), approximate="tanh"))
        return x + self.gain * y


@dataclass
class DecodedSpectrum:
    """What the decoder's network says about each STFT bin, all [B, T, bins] float32.

    `log_mid`, `log_side`: log(orthonormal magnitude + floor). `phase`: unit complex phases of mid, less the
    rotation of the bin's centre frequency. `side_turn`: unit complex phase of side relative to mid.
    """

    log_mid: Tensor
    log_side: Tensor
    phase: Tensor
    side_turn: Tensor


class StftVae(nn.Module):
    """See the module's text. Audio is [B, 2, n] in -1..1 at `sample_rate`, latents are [B, latent_dim, F]."""

    window: Tensor
    mid_filters: Tensor
    mid_interpolation: Tensor
    side_filters: Tensor
    side_interpolation: Tensor
    pan_filters: Tensor
    patch_mean: Tensor
    analysis: Tensor
    synthesis: Tensor

    def __init__(self, config: StftVaeConfig) -> None:
        super().__init__()
        self.config = config
        size, patch = config.channels, config.frames_per_latent * config.bands
        self.register_buffer("window", torch.hann_window(config.fft_size), persistent=False)
        for name, bands in (
            ("mid", config.mid_bands),
            ("side", config.side_bands),
            ("pan", config.pan_bands),
        ):
            filters, interpolation = mel_filters(bands, config.bins, config.sample_rate)
            self.register_buffer(f"{name}_filters", filters, persistent=False)
            if name != "pan":
                self.register_buffer(f"{name}_interpolation", interpolation, persistent=False)
        self.register_buffer("patch_mean", torch.zeros(patch))
        self.register_buffer("analysis", torch.eye(patch, config.latent_dim))
        self.register_buffer("synthesis", torch.eye(config.latent_dim, patch))

        self.latent_in = nn.Linear(config.latent_dim, size)
        self.latent_blocks = nn.Sequential(
            *[ConvNextBlock(size, config.hidden, config.latent_kernel) for _ in range(config.latent_blocks)]
        )
        self.upsample = nn.Linear(size, size * config.frames_per_latent)
        self.envelope_in = nn.Linear(config.bands, size)
        self.frame_blocks = nn.Sequential(
            *[ConvNextBlock(size, config.hidden, config.frame_kernel) for _ in range(config.frame_blocks)]
        )
        self.frame_norm = nn.LayerNorm(size)
        self.mid_head = nn.Linear(size, 3 * config.bins)
        side_out = nn.Linear(config.side_rank, 3 * config.bins)
        self.side_head = nn.Sequential(nn.Linear(size, config.side_rank), side_out)
        with torch.no_grad():
            for head in (self.mid_head, side_out):
                head.weight[: config.bins] *= 0.1
                head.bias.zero_()
            side_out.bias[config.bins : 2 * config.bins] = 1.0  # side starts in phase with mid

    sample_rate = property(lambda self: self.config.sample_rate)
    audio_channels = property(lambda self: self.config.audio_channels)
    latent_dim = property(lambda self: self.config.latent_dim)
    downsampling_ratio = property(lambda self: self.config.downsampling_ratio)

    @property
    def context(self) -> int:
        """Latents on either side that decoding one latent can depend on; exact, not an approximation."""
        c = self.config
        overlap = c.fft_size // c.hop - 1
        frames = c.frame_blocks * (c.frame_kernel // 2) + overlap * c.phase_rounds + c.fft_size // c.hop // 2
        return c.latent_blocks * (c.latent_kernel // 2) + math.ceil(frames / c.frames_per_latent)

    # spectra

    def _stft(self, audio: Tensor) -> Tensor:
        """Orthonormal-scaled STFT [..., T, bins] of audio that holds (T - 1) hop + fft_size samples."""
        frames = audio.unfold(-1, self.config.fft_size, self.config.hop)
        return torch.fft.rfft(frames * self.window, norm="ortho")

    def _overlap_add(self, frames: Tensor) -> Tensor:
        """Sum frames [..., T, fft_size] at hop distance -> [..., (T - 1) hop + fft_size]."""
        hop = self.config.hop
        parts = self.config.fft_size // hop
        steps = frames.shape[-2]
        pieces = frames.unflatten(-1, (parts, hop))
        out = frames.new_zeros(*frames.shape[:-2], steps + parts - 1, hop)
        for i in range(parts):
            out[..., i : i + steps, :] += pieces[..., i, :]
        return out.flatten(-2)

    def _istft(self, spectrum: Tensor) -> Tensor:
        """Least-squares inverse of `_stft`."""
        frames = torch.fft.irfft(spectrum, n=self.config.fft_size, norm="ortho") * self.window
        weight = self._overlap_add(self.window.square().expand(spectrum.shape[-2], -1))
        return self._overlap_add(frames) / weight.clamp_min(1e-3)

    @property
    def _margin(self) -> int:
        """Samples of the first and last window outside the audio, which make frame centres symmetric."""
        return (self.config.fft_size - self.config.hop) // 2

    def mid_side_spectrum(self, audio: Tensor) -> Tensor:
        """Orthonormal STFT [B, 2 (mid, side), T, bins] complex64 of stereo audio [B, 2, T hop]."""
        left, right = audio.float().unbind(1)
        mid_side = torch.stack([(left + right) / 2, (left - right) / 2], 1)
        return self._stft(F.pad(mid_side, (self._margin, self._margin)))

    def _centre_rotation(self, frames: int, device: torch.device) -> Tensor:
        """Unit phases [T, bins] of a sinusoid at each bin's centre; every latent starts them anew."""
        c = self.config
        bin_index = torch.arange(c.bins, device=device)
        sample = torch.arange(frames, device=device)[:, None] * c.hop + c.fft_size // 2
        turn = (bin_index * sample % c.fft_size) * (2 * math.pi / c.fft_size)
        return torch.polar(torch.ones_like(turn, dtype=torch.float32), turn.float())

    # encoder

    def patches(self, spectrum: Tensor) -> Tensor:
        """Each latent's frames as one vector [B, F, frames_per_latent * bands], from a mid/side STFT."""
        floor = self.config.floor
        mid, side = spectrum.unbind(1)
        mid_power, side_power = power(mid), power(side)
        log_mid = (mid_power.sqrt() @ self.mid_filters + floor).log()
        log_side = (side_power.sqrt() @ self.side_filters + floor).log()
        product = mid.real * side.real + mid.imag * side.imag
        size = ((mid_power @ self.pan_filters) * (side_power @ self.pan_filters)).sqrt()
        correlation = (product @ self.pan_filters) / (size + floor**2)
        frames = torch.cat([log_mid, log_side, correlation], -1)
        return frames.unflatten(1, (-1, self.config.frames_per_latent)).flatten(2)

    def encode(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Latent mean and scale of audio [B, 2, n], padded with silence to F = ceil(n / ratio) latents.

        Returns:
            mean and scale, both [B, latent_dim, F] float32; the posterior's standard deviation is
            softplus(scale) + 1e-4. Use the mean for a deterministic code.
        Raises:
            InvalidInput: if audio is not [B, 2, n] with n > 0.
        """
        if audio.dim() != 3 or audio.shape[1] != 2 or audio.shape[2] == 0:
            raise InvalidInput("audio", tuple(audio.shape), "expected audio of shape [batch, 2, samples].")
        with torch.autocast(audio.device.type, enabled=False):
            padded = F.pad(audio.float(), (0, -audio.shape[2] % self.downsampling_ratio))
            mean = self.encode_spectrum(self.mid_side_spectrum(padded))
        std = self.config.posterior_std - 1e-4
        return mean, torch.full_like(mean, math.log(math.expm1(std)))

    def encode_spectrum(self, spectrum: Tensor) -> Tensor:
        """Latent mean [B, latent_dim, F] of a `mid_side_spectrum` with whole latents."""
        return ((self.patches(spectrum) - self.patch_mean) @ self.analysis).transpose(1, 2)

    # decoder

    def decode(self, latents: Tensor) -> Tensor:
        """Audio [B, 2, F * downsampling_ratio] float32 of latents [B, latent_dim, F >= 1]."""
        spectrum = self.decode_spectrum(latents)
        with torch.autocast(latents.device.type, enabled=False):
            return self.waveform(spectrum, self.config.phase_rounds)

    def decode_spectrum(self, latents: Tensor) -> DecodedSpectrum:
        """The network's part of `decode`: magnitudes and first phases."""
        c = self.config
        if latents.dim() != 3 or latents.shape[1] != c.latent_dim or latents.shape[2] == 0:
            raise InvalidInput("latents", tuple(latents.shape), f"expected shape [batch, {c.latent_dim}, frames].")
        z = latents.float().transpose(1, 2)
        with torch.autocast(z.device.type, enabled=False):
            envelope = (z @ self.synthesis + self.patch_mean).unflatten(2, (-1, c.bands)).flatten(1, 2)
            base_mid = envelope[..., : c.mid_bands] @ self.mid_interpolation
            base_side = envelope[..., c.mid_bands : c.mid_bands + c.side_bands] @ self.side_interpolation
        x = self.upsample(self.latent_blocks(self.latent_in(z)))
        x = x.unflatten(2, (-1, c.channels)).flatten(1, 2) + self.envelope_in(0.4 * envelope)
        x = self.frame_norm(self.frame_blocks(x))
        mid, mid_real, mid_imag = self.mid_head(x).float().chunk(3, -1)
        side, side_real, side_imag = self.side_head(x).float().chunk(3, -1)
        return DecodedSpectrum(
            log_mid=base_mid + mid,
            log_side=base_side + side,
            phase=unit_phase(mid_real, mid_imag),
            side_turn=unit_phase(side_real, side_imag),
        )

    def waveform(self, spectrum: DecodedSpectrum, phase_rounds: int) -> Tensor:
        """Audio [B, 2, T hop] of a decoded spectrum after `phase_rounds` rounds of fast Griffin-Lim."""
        c = self.config
        mid, side = ((x.clamp(max=6).exp() - c.floor).clamp_min(0) for x in (spectrum.log_mid, spectrum.log_side))
        phase = spectrum.phase * self._centre_rotation(mid.shape[1], mid.device)
        phase = self._consistent_phase(mid, phase, phase_rounds)
        stereo = torch.stack([mid * phase, side * phase * spectrum.side_turn], 1)
        mid_side = self._istft(stereo)[..., self._margin : self._margin + mid.shape[1] * c.hop]
        return torch.stack([mid_side[:, 0] + mid_side[:, 1], mid_side[:, 0] - mid_side[:, 1]], 1)

    def _consistent_phase(self, magnitude: Tensor, phase: Tensor, rounds: int) -> Tensor:
        previous = magnitude * phase
        for _ in range(rounds):
            projected = self._stft(self._istft(magnitude * phase))
            ahead = projected + self.config.phase_momentum * (projected - previous)
            phase = ahead / (power(ahead) + 1e-18).sqrt()
            previous = projected
        return phase

    # fitting the encoder

    def feature_weights(self) -> Tensor:
        """Importance [bands] of each feature in the PCA: mid up to 8 kHz counts most."""
        c = self.config
        mel_top = math.log10(1 + c.sample_rate / 2 / 700)
        mel = torch.linspace(0, mel_top, c.mid_bands)
        mid = torch.where(mel < math.log10(1 + 8000 / 700), 1.0, 0.5)
        side = torch.full((c.side_bands,), 0.5)
        return torch.cat([mid, side, torch.full((c.pan_bands,), 0.5)])

    @torch.no_grad()
    def fit_analysis(self, audio: Iterable[Tensor], whitening: float = 0.3) -> Tensor:
        """Fit the encoder to a corpus: weighted PCA of the patches, partly whitened, overall latent RMS 1.

        Args:
            audio: pieces [2, n] float, each at least one latent long.
            whitening: 0 leaves each latent dimension its PCA deviation, 1 gives all the same; dimension i
                gets a deviation proportional to eigenvalue_i ** ((1 - whitening) / 2).
        Returns:
            The latents' standard deviations [latent_dim], falling.
        Raises:
            InvalidInput: if the corpus holds fewer patches than a patch has features.
        """
        c = self.config
        count, total, outer = 0, torch.zeros(0), torch.zeros(0)
        for piece in audio:
            whole = piece.shape[-1] // self.downsampling_ratio * self.downsampling_ratio
            if whole == 0:
                continue
            spectrum = self.mid_side_spectrum(piece[None, :, :whole].to(self.patch_mean.device))
            x = self.patches(spectrum)[0].double()
            if count == 0:
                total, outer = x.new_zeros(x.shape[1]), x.new_zeros(x.shape[1], x.shape[1])
            count += len(x)
            total += x.sum(0)
            outer += x.T @ x
        if count <= len(self.patch_mean):
            raise InvalidInput("audio", count, f"too few latents to fit {len(self.patch_mean)} features.")
        mean = total / count
        weights = self.feature_weights().to(mean).repeat(c.frames_per_latent)
        covariance = (outer / count - mean[:, None] * mean) * weights[:, None] * weights
        eigenvalues, vectors = torch.linalg.eigh(covariance)
        eigenvalues = eigenvalues.flip(0)[: c.latent_dim].clamp_min(1e-8)
        vectors = vectors.flip(1)[:, : c.latent_dim]
        std = eigenvalues ** ((1 - whitening) / 2)
        std = std / std.square().mean().sqrt()
        self.patch_mean.copy_(mean)
        self.analysis.copy_(weights[:, None] * vectors * (std / eigenvalues.sqrt()))
        self.synthesis.copy_((eigenvalues.sqrt() / std)[:, None] * vectors.T / weights)
        return std.float()


def power(spectrum: Tensor) -> Tensor:
    """Squared magnitude; several times faster than ``abs`` of a complex tensor on a CPU."""
    return spectrum.real.square() + spectrum.imag.square()


def unit_phase(real: Tensor, imag: Tensor) -> Tensor:
    """Complex numbers of length (almost) 1; smooth at 0, where the direction is undefined."""
    length = (real.square() + imag.square() + 1e-4).sqrt()
    return torch.complex(real / length, imag / length)
