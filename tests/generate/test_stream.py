"""Streaming: pieces put together are the whole song."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from songbloom import SongRequest, SongSettings, load
from songbloom.generate.stream import StreamDecoder
from songbloom.pipeline import SongBloom

CLIP = "example/clips/folk.flac"


@pytest.fixture(scope="module")
def model() -> SongBloom:
    return load("songbloom_mini")


@pytest.mark.parametrize("block", [1, 7, 16])
def test_pieces_are_the_decoding_of_the_whole(model: SongBloom, block: int) -> None:
    latents = torch.randn(model.config.net.latent_dim, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = model.vae.decode(latents[None])[0]
    decoder = StreamDecoder(model.vae)
    pieces = [decoder.push(part) for part in latents.split(block, dim=1)] + [decoder.finish()]
    joined = torch.cat(pieces, dim=1)
    assert joined.shape == whole.shape
    error = (joined - whole).square().mean() / whole.square().mean()
    assert 10 * torch.log10(error) < -60
    assert decoder.finish().shape[1] == 0


@pytest.mark.parametrize("block", [1, 7, 16])
@pytest.mark.parametrize("earlier", [1, 3])
def test_what_is_remembered_is_as_if_it_had_been_pushed(model: SongBloom, block: int, earlier: int) -> None:
    latents = torch.randn(model.config.net.latent_dim, 48, generator=torch.Generator().manual_seed(0))
    parts = latents.split(block, dim=1)
    pushed, remembering = StreamDecoder(model.vae), StreamDecoder(model.vae)
    for part in parts[:earlier]:
        pushed.push(part)
        remembering.remember(part)
    for part in parts[earlier:]:
        torch.testing.assert_close(remembering.push(part), pushed.push(part))
    torch.testing.assert_close(remembering.finish(), pushed.finish())


def test_too_little_context_is_heard(model: SongBloom) -> None:
    """The test above can fail: without context the seams are audible."""
    latents = torch.randn(model.config.net.latent_dim, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = model.vae.decode(latents[None])[0]
    decoder = StreamDecoder(model.vae, context=0)
    joined = torch.cat([decoder.push(part) for part in latents.split(8, dim=1)], dim=1)
    assert 10 * torch.log10((joined - whole).square().mean() / whole.square().mean()) > -60


def test_a_streamed_song_is_the_song(model: SongBloom) -> None:
    settings = SongSettings(seed=3, steps=4, max_duration=4.0)
    request = SongRequest(lyrics="[verse]\nStreaming is hearing it sooner", prompt_wav=CLIP, settings=settings)
    pieces = list(model.stream(request))
    song = model.generate(request)
    joined = np.concatenate(pieces, axis=1)
    assert len(pieces) > 2 and joined.shape == song.audio.shape
    assert np.abs(joined - song.audio).max() < 1e-3 * np.abs(song.audio).max()


def test_a_song_goes_on_after_the_patches_it_has(model: SongBloom) -> None:
    settings = SongSettings(seed=5, steps=4, max_duration=5.0)
    prepared = model.prepare(SongRequest(lyrics="[verse]\nOn and on we go", prompt_wav=CLIP, settings=settings))
    whole = list(model.patches(prepared))
    resumed = whole[:2] + list(model.patches(prepared, prior=whole[:2]))
    assert [p.block for p in resumed] == [p.block for p in whole]
    assert all(torch.equal(a.tokens, b.tokens) for a, b in zip(whole, resumed, strict=True))
    assert max((a.latents - b.latents).abs().max() for a, b in zip(whole, resumed, strict=True)) < 1e-3
