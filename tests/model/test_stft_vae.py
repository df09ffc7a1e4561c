"""The STFT autoencoder: shapes, exact context, transform identities and the fitted encoder."""

from __future__ import annotations

import math

import pytest
import torch

from songbloom.errors import InvalidInput
from songbloom.model.stft_vae import DecodedSpectrum, StftVae, StftVaeConfig, mel_filters

SMALL = {
    "latent_dim": 8,
    "fft_size": 240,
    "hop": 60,
    "frames_per_latent": 8,
    "mid_bands": 12,
    "side_bands": 4,
    "pan_bands": 2,
    "channels": 16,
    "hidden": 24,
    "frame_blocks": 2,
    "side_rank": 4,
    "phase_rounds": 3,
}


def small_vae(**changes: object) -> StftVae:
    torch.manual_seed(0)
    return StftVae(StftVaeConfig.from_dict({**SMALL, **changes})).eval()


def band_limited_noise(samples: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(2, samples, generator=generator) * 0.1
    loudness = torch.rand(2, samples // 97 + 2, generator=generator).repeat_interleave(97, 1)[:, :samples]
    return torch.nn.functional.avg_pool1d(noise * loudness, 3, 1, 1)


def true_spectrum(vae: StftVae, audio: torch.Tensor) -> DecodedSpectrum:
    """What a perfect decoder network would say about `audio`."""
    mid, side = vae.mid_side_spectrum(audio).unbind(1)
    rotation = vae._centre_rotation(mid.shape[1], audio.device)
    return DecodedSpectrum(
        log_mid=(mid.abs() + vae.config.floor).log(),
        log_side=(side.abs() + vae.config.floor).log(),
        phase=torch.sgn(mid) * rotation.conj(),
        side_turn=torch.sgn(side * mid.conj()),
    )


def test_bundled_size_fits_and_context_is_at_most_eight() -> None:
    vae = StftVae(StftVaeConfig())
    assert sum(p.numel() for p in vae.state_dict().values()) <= 5_500_000
    assert (vae.sample_rate, vae.latent_dim, vae.downsampling_ratio, vae.audio_channels) == (48000, 128, 3840, 2)
    assert vae.context <= 8


@torch.no_grad()
def test_encode_pads_to_whole_latents_and_decode_gives_them_back() -> None:
    vae = small_vae()
    ratio = vae.downsampling_ratio
    for samples, frames in ((1, 1), (ratio, 1), (ratio + 1, 2), (5 * ratio, 5)):
        mean, scale = vae.encode(torch.rand(3, 2, samples) - 0.5)
        assert mean.shape == scale.shape == (3, 8, frames)
        std = torch.nn.functional.softplus(scale) + 1e-4
        assert torch.allclose(std, torch.full_like(std, vae.config.posterior_std), rtol=1e-4)
        decoded = vae.decode(mean)
        assert decoded.shape == (3, 2, frames * ratio)
        assert decoded.dtype == torch.float32 and decoded.isfinite().all()


@torch.no_grad()
def test_silence_decodes_without_nan() -> None:
    vae = small_vae()
    assert vae.decode(vae.encode(torch.zeros(1, 2, 1000))[0]).isfinite().all()


def test_wrong_shapes_are_refused() -> None:
    vae = small_vae()
    for audio in (torch.zeros(2, 100), torch.zeros(1, 1, 100), torch.zeros(1, 2, 0)):
        with pytest.raises(InvalidInput, match="audio"):
            vae.encode(audio)
    for latents in (torch.zeros(1, 7, 3), torch.zeros(1, 8, 0), torch.zeros(8, 3)):
        with pytest.raises(InvalidInput, match="latents"):
            vae.decode(latents)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("audio_channels", 1),
        ("fft_size", 200),
        ("frames_per_latent", 5),
        ("latent_dim", 0),
        ("frame_kernel", 4),
        ("hopp", 60),
    ],
)
def test_sizes_that_do_not_fit_are_named(key: str, value: int) -> None:
    with pytest.raises(InvalidInput, match=key):
        StftVaeConfig.from_dict({**SMALL, key: value})


def test_config_survives_a_dict() -> None:
    config = StftVaeConfig.from_dict(SMALL)
    assert StftVaeConfig.from_dict(config.to_dict()) == config


@torch.no_grad()
def test_chunks_with_context_equal_the_whole_decode() -> None:
    vae = small_vae()
    latents = torch.randn(1, 8, 5 * vae.context, generator=torch.Generator().manual_seed(1))
    whole = vae.decode(latents)
    ratio, context = vae.downsampling_ratio, vae.context
    start, stop = 2 * context - 1, 3 * context
    chunk = vae.decode(latents[..., start - context : stop + context])[..., context * ratio : -context * ratio]
    expected = whole[..., start * ratio : stop * ratio]
    error = (chunk - expected).square().mean() / expected.square().mean()
    assert 10 * math.log10(float(error) + 1e-30) < -80
    bare = vae.decode(latents[..., start:stop])
    assert (bare - expected).square().mean() / expected.square().mean() > 1e-3


@torch.no_grad()
def test_context_is_tight_to_one_latent() -> None:
    vae = small_vae()
    latents = torch.randn(1, 8, 6 * vae.context, generator=torch.Generator().manual_seed(1))
    changed = latents.clone()
    changed[..., 3 * vae.context] += 1
    difference = (vae.decode(latents) - vae.decode(changed)).abs().amax(1)[0].unflatten(0, (-1, vae.downsampling_ratio))
    touched = (difference.amax(1) > 0).nonzero().squeeze(1) - 3 * vae.context
    assert touched.abs().max() <= vae.context
    assert touched.abs().max() >= vae.context - 1


def test_inverse_stft_restores_audio() -> None:
    vae = small_vae()
    audio = band_limited_noise(1920)[None]
    spectrum = vae.mid_side_spectrum(audio)
    assert spectrum.shape == (1, 2, 1920 // 60, 121)
    restored = vae._istft(spectrum)[..., vae._margin : vae._margin + 1920]
    assert torch.allclose(restored[:, 0] + restored[:, 1], audio[:, 0], atol=1e-5)


def test_true_spectrum_gives_the_stereo_audio_back() -> None:
    vae = small_vae(floor=1e-7)
    audio = band_limited_noise(1920)[None]
    restored = vae.waveform(true_spectrum(vae, audio), 0)
    assert torch.allclose(restored, audio, atol=1e-4)


def test_panned_sound_stays_on_its_side_whatever_the_phases() -> None:
    vae = small_vae(floor=1e-6)
    sound = band_limited_noise(4800)[:1]
    audio = torch.cat([sound, 0.25 * sound])[None]
    spectrum = true_spectrum(vae, audio)
    spectrum.phase = torch.ones_like(spectrum.phase)
    left, right = vae.waveform(spectrum, 3)[0]
    assert float(left.square().mean() / right.square().mean()) == pytest.approx(16, rel=0.05)


def test_phase_rounds_make_the_spectrum_consistent() -> None:
    vae = small_vae()
    sound = band_limited_noise(9600)[:1].repeat(2, 1)[None]
    spectrum = true_spectrum(vae, sound)
    spectrum.phase = torch.ones_like(spectrum.phase)
    target = vae.mid_side_spectrum(sound)[:, 0].abs()

    def inconsistency(rounds: int) -> float:
        decoded = vae.mid_side_spectrum(vae.waveform(spectrum, rounds))[:, 0].abs()
        return float((decoded - target).square().sum() / target.square().sum())

    assert inconsistency(8) < 0.5 * inconsistency(0)


def test_mel_filters_average_and_interpolate() -> None:
    analysis, interpolation = mel_filters(104, 961, 48000)
    assert analysis.shape == (961, 104) and interpolation.shape == (104, 961)
    assert torch.allclose(analysis.sum(0), torch.ones(104))
    assert torch.allclose(interpolation.sum(0), torch.ones(961))
    slope = torch.linspace(0, 1, 961)
    error = (slope @ analysis @ interpolation - slope).abs()
    assert error[:920].max() < 0.005  # above the last band's centre the value stays


def test_fitted_latents_are_centred_with_rms_one_and_partly_whitened() -> None:
    vae = small_vae()
    pieces = [band_limited_noise(48_000, seed) for seed in range(4)]
    std = vae.fit_analysis(pieces, whitening=0.3)
    latents = torch.cat([vae.encode(piece[None])[0][0] for piece in pieces], 1)
    assert latents.mean(1).abs().max() < 0.01
    assert float(latents.square().mean()) == pytest.approx(1, rel=0.01)
    assert torch.allclose(latents.std(1), std, rtol=0.02)
    assert bool((std.diff() <= 1e-6).all())
    # decoding undoes encoding within the kept subspace
    assert torch.allclose(vae.synthesis @ vae.analysis, torch.eye(8), atol=1e-3)

    flat = small_vae().fit_analysis(pieces, whitening=1.0)
    assert torch.allclose(flat, torch.ones(8), atol=1e-4)
    plain = small_vae().fit_analysis(pieces, whitening=0.0)
    # the exponent scales linearly on a log scale: (1 - 0.3) of the unwhitened spread
    spread, partial = (plain[0] / plain[-1]).log(), (std[0] / std[-1]).log()
    assert float(partial / spread) == pytest.approx(0.7, abs=0.01)


def test_fitting_needs_enough_audio() -> None:
    with pytest.raises(InvalidInput, match="audio"):
        small_vae().fit_analysis([band_limited_noise(4800)])


def test_encoding_ignores_phase_but_not_panning() -> None:
    vae = small_vae()
    vae.fit_analysis([band_limited_noise(48_000, seed) for seed in range(4)])
    audio = band_limited_noise(4800, 9)[None]
    assert torch.allclose(vae.encode(-audio)[0], vae.encode(audio)[0], atol=1e-4)
    left_only, right_only = audio.clone(), audio.flip(1)
    left_only[:, 1] = 0
    right_only[:, 0] = 0
    features = [vae.patches(vae.mid_side_spectrum(x)) for x in (left_only, right_only)]
    assert not torch.allclose(features[0], features[1], atol=0.1)
