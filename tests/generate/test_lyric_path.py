"""The walk through the lyrics: what may follow, and that a network keeps to it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from songbloom.corpus.compose import compose as compose_score
from songbloom.corpus.phones import PHONE_INDEX
from songbloom.corpus.settings import CorpusSettings
from songbloom.evaluate.measures import runs
from songbloom.generate.cues import Cues
from songbloom.generate.lyric_path import FIRST_PAUSE, LONGEST_VOWEL, LyricPath
from songbloom.generate.noise import SongNoise
from songbloom.generate.patches import ComposeSettings, Patch, SongTask, compose, start
from songbloom.generate.sampling import TokenSampling
from songbloom.model.config import NetConfig
from songbloom.model.network import SongBloomNet
from songbloom.model.sketch_codes import NUM_CODES, PITCHES, REST, VOICED, phones_of
from songbloom.train.examples import example_from_score
from songbloom.train.mini import net_config, new_net

LYRICS = "[intro] [intro] , [verse] K AH0 AH1 T . , [outro]"
PAUSE = VOICED + 5


def sing(phone: str, pitch: int = 3) -> int:
    return PHONE_INDEX[phone] * PITCHES + pitch


def path_of(lyrics: str = LYRICS) -> LyricPath:
    return LyricPath(lyrics.split())


def allowed_after(path: LyricPath, tokens: list[int]) -> set[str]:
    mask = path.allowed(path.trace(tokens)[1])
    names = {phone for phone, index in PHONE_INDEX.items() if mask[index * PITCHES]}
    return names | {name for name, code in {"pause": PAUSE, "end": REST, "eos": NUM_CODES}.items() if mask[code]}


def test_only_the_lyrics_can_be_sung():
    path = path_of()
    intro = [PAUSE] * (FIRST_PAUSE + 1)
    assert allowed_after(path, []) == {"pause"}
    assert allowed_after(path, [PAUSE]) == {"pause"}, "the first of two seconds"
    assert allowed_after(path, intro) == {"pause", "K"}
    assert allowed_after(path, [*intro, sing("K")]) == {"AH"}, "a consonant has one frame"
    assert allowed_after(path, [*intro, sing("K"), sing("AH")]) == {"AH"}, "there are two"
    assert allowed_after(path, [*intro, sing("K"), sing("AH"), sing("AH", 4)]) == {"AH", "T"}
    long = [*intro, sing("K"), *[sing("AH")] * 2 * LONGEST_VOWEL]
    assert allowed_after(path, long) == {"T"}, "no vowel lasts for ever"
    sung = [*long, sing("T")]
    assert allowed_after(path, sung) == {"pause"}
    assert allowed_after(path, [*sung, *[PAUSE] * (FIRST_PAUSE + 1)]) == {"pause", "end", "eos"}
    assert allowed_after(path, [*sung, *[PAUSE] * (FIRST_PAUSE + 1), REST]) == {"end", "eos"}


def test_places_are_those_of_the_lyrics():
    items, place = path_of().trace([*[PAUSE] * FIRST_PAUSE, PAUSE, sing("K"), sing("AH"), sing("AH"), sing("T"), PAUSE])
    assert items.tolist() == [0] * (FIRST_PAUSE + 1) + [1, 4, 5, 5, 7, 8]
    assert place is not None


def test_off_the_path_everything_is_allowed():
    path = path_of()
    items, place = path.trace([sing("ZH"), PAUSE])
    assert place is None and items.tolist() == [0, -1, -1]
    assert path.allowed(place).all()


@pytest.mark.parametrize("seed", range(5))
def test_composed_songs_keep_to_their_path(seed):
    """The rules of the walk are those the corpus is made by: no song leaves it, and places are the true ones."""
    example = example_from_score(compose_score(seed, CorpusSettings(duration_s=(16.0, 40.0))), 12.5, 16)
    path = path_of(example.lyrics)
    place, blocked = path.begin(), 0
    for token in example.tokens.tolist():
        blocked += not bool(path.allowed(place)[token])
        place = path.step(place, token)
    assert place is not None and blocked <= 2
    items = path.trace(example.tokens.tolist())[0][1:]
    voiced = phones_of(example.tokens) >= 0
    assert np.mean(np.abs(items - example.lyric_index)[voiced] > 1) < 0.01


@pytest.fixture(scope="module")
def net() -> SongBloomNet:
    small = replace(net_config(), dim=64, num_heads=2, lm_layers=2, diff_layers=1, latent_dim=8, predictor=16)
    net = SongBloomNet(small)
    net.load_state_dict(random_state(small))
    return net.eval()


def random_state(config: NetConfig) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    net = SongBloomNet(config)
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return net.state_dict()


def task_for(net: SongBloomNet, seed: int) -> SongTask:
    style = torch.randn(8, 30, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        prefix = net.prefix(style, LYRICS, torch.tensor([1, 2, 3, 0]))
    settings = ComposeSettings(max_frames=160, sampling=TokenSampling(top_k=0, penalty_repeat=False), steps=2)
    return SongTask(prefix, SongNoise(seed), settings, path=path_of())


def made(net: SongBloomNet, tasks: list[SongTask], **prior) -> list[list[Patch]]:
    songs: list[list[Patch]] = [[] for _ in tasks]
    for patch in compose(net, start(net, tasks, **prior)):
        songs[patch.song].append(patch)
    return songs


def tokens_of(patches: list[Patch]) -> list[int]:
    return torch.cat([p.tokens for p in patches]).tolist()


def test_a_network_that_knows_nothing_sings_every_phone_once(net):
    (song,) = made(net, [task_for(net, 4)])
    codes = np.array(tokens_of(song))
    names = {index: phone for phone, index in PHONE_INDEX.items()}
    assert [names[phone] for phone in runs([int(p) for p in phones_of(codes) if p >= 0])] == ["K", "AH", "T"]


def test_alone_batched_or_resumed_it_is_the_same_song(net):
    alone = [made(net, [task_for(net, seed)])[0] for seed in (4, 5)]
    together = made(net, [task_for(net, seed) for seed in (4, 5)])
    assert [tokens_of(song) for song in together] == [tokens_of(song) for song in alone]
    first = alone[0][:1]
    prior = torch.cat([p.tokens for p in first])[None], torch.cat([p.latents for p in first], dim=1)[None]
    (rest,) = made(net, [task_for(net, 4)], prior=prior)
    assert tokens_of(rest) == tokens_of(alone[0][1:])
    assert torch.allclose(rest[-1].latents, alone[0][-1].latents, atol=1e-4)


def test_the_cursor_is_heard_and_nothing_without_a_path(net):
    task = task_for(net, 4)
    with torch.no_grad():
        told = Cues(net, task.prefix, task.path, None).along([PAUSE] * 3)
        assert told.shape == (4, 64) and told.abs().sum() > 0
        assert torch.allclose(told[0], net.cursor(task.prefix[-len(LYRICS.split())]), atol=1e-4)
        assert not Cues(net, task.prefix, None, None).along([PAUSE] * 3).any()


def test_the_bundled_recipe_has_it():
    assert new_net().cursor is not None
