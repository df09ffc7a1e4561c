"""The beat: told for every frame of a song, wherever the song goes on."""

from __future__ import annotations

import pytest
import torch

from songbloom.corpus.facts import bar_frames, tempo_number
from songbloom.generate.cues import Cues
from songbloom.model.metronome import bar_phases
from songbloom.model.sketch_codes import BEATS, REST, VOICED
from songbloom.train.examples import STAGES, compose_examples
from songbloom.train.mini import FRAME_RATE, new_net


@pytest.fixture(scope="module")
def net():
    made = new_net()
    for projection in (made.metronome.coming, made.metronome.sounding):
        torch.nn.init.normal_(projection.weight)
    return made.eval()


def test_a_songs_beats_are_where_the_metronome_has_them():
    songs = compose_examples(5, len(STAGES) - 1, frame_rate=FRAME_RATE, block_size=16)
    for _, song in zip(range(5), songs, strict=False):
        bar = bar_frames(song.facts[0])
        played = [(frame, code) for frame, code in enumerate(song.tokens) if VOICED <= code < REST]
        assert played
        for frame, code in played:
            assert (code - VOICED) % BEATS == int((frame % bar + 0.5) / bar * BEATS)


@pytest.mark.parametrize(("bpm", "bar"), [(140, 22), (100, 30), (70, 42)])
def test_a_bar_of_a_tempo(bpm, bar):
    assert bar_frames(tempo_number(bpm)) == bar and bar * 0.08 == pytest.approx(240 / bpm, rel=0.04)


def test_no_two_frames_of_a_bar_are_the_same():
    for bar in range(22, 44, 2):
        phases = bar_phases(bar)
        assert torch.cdist(phases, phases).fill_diagonal_(9).min() > 1


@torch.no_grad()
def test_cues_are_the_same_step_by_step_and_at_once(net):
    cues = Cues(net, torch.zeros(3, net.config.dim), None, 22)
    along = cues.along([0] * 50)
    for frame in (0, 1, 21, 22, 49):
        torch.testing.assert_close(cues.at(None, frame), along[frame])
    torch.testing.assert_close(cues.sounding(0, 60)[40:], cues.sounding(40, 20))
    torch.testing.assert_close(cues.sounding(5, 1), cues.sounding(27, 1))
    assert not torch.equal(along[:1], cues.sounding(0, 1))


@torch.no_grad()
def test_without_a_tempo_nothing_is_told(net):
    cues = Cues(net, torch.zeros(3, net.config.dim), None, None)
    assert cues.silent and not cues.along([0] * 20).any() and not cues.sounding(0, 16).any()


def test_a_new_network_is_told_nothing_yet():
    assert not any(parameter.any() for parameter in new_net().metronome.parameters())
