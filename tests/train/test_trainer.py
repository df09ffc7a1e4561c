"""Training on composed labels: it learns, resumes, and guides attention to the right lyric item."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import count, cycle, islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from songbloom.checkpoints.tensor_files import write_safetensors, write_shards
from songbloom.corpus.compose import compose
from songbloom.errors import CheckpointError, InvalidInput
from songbloom.files import read_json_lines
from songbloom.model.config import LyricsConfig, NetConfig
from songbloom.model.network import SongBloomNet
from songbloom.model.sketch_codes import NUM_CODES, REST
from songbloom.train.curves import draw_curves
from songbloom.train.examples import Example, SongStore, batches, compose_examples, example_from_score
from songbloom.train.mini import FRAME_RATE, new_net, vocabulary
from songbloom.train.trainer import Trainer, TrainSettings, initialise

SETTINGS = TrainSettings(minutes=0.02, batch_positions=400, warmup_steps=2, checkpoint_minutes=100, flow_blocks=4)


def small_net() -> SongBloomNet:
    config = NetConfig(
        dim=64,
        num_heads=2,
        lm_layers=3,
        diff_layers=1,
        num_pitch=NUM_CODES,
        block_size=16,
        latent_dim=4,
        timestep_features=16,
        rotary_base=10000.0,
        lyrics=LyricsConfig(vocab=vocabulary(), max_len=600, max_sentences=40, context=2),
        prompt_max_len=20,
        pad_prefix=False,
    )
    net = SongBloomNet(config)
    initialise(net)
    return net


def with_latents(example: Example, seed: int = 0) -> Example:
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn(4, len(example.tokens), generator=generator)
    return replace(example, latents=latents, style=torch.randn(4, 10, generator=generator))


@pytest.fixture(scope="module")
def batch() -> list[Example]:
    return next(batches(compose_examples(3, 0, frame_rate=FRAME_RATE, block_size=16), budget=400, pool=4))


def test_examples_are_whole_blocks_and_end_in_rest():
    score = compose(5)
    example = example_from_score(score, FRAME_RATE, 16)
    assert len(example.tokens) % 16 == 0 and len(example.tokens) == len(example.lyric_index)
    extra = len(example.tokens) - round(score.duration_s * FRAME_RATE)
    assert (example.tokens == REST).sum() == extra
    assert example.lyric_index.max() < len(score.lyrics.split(" "))


def test_batches_respect_the_budget():
    stream = batches(compose_examples(3, 1, frame_rate=FRAME_RATE, block_size=16), budget=900, pool=16)
    for group in islice(stream, 8):
        assert len(group) == 1 or len(group) * max(e.cost for e in group) <= 900


def test_every_lyric_item_of_the_corpus_is_in_the_vocabulary():
    for seed in range(20):
        assert set(compose(seed).lyrics.split(" ")) <= set(vocabulary())


def test_steps_lower_the_loss(tmp_path, batch):
    trainer = Trainer(small_net(), tmp_path, replace(SETTINGS, unconditional=0, no_style=0))
    songs = [with_latents(e) for e in batch]
    first = float(trainer.losses(songs)["loss"].detach())
    for _ in range(12):
        trainer.optimizer.zero_grad()
        loss = trainer.losses(songs)["loss"]
        loss.backward()
        trainer.optimizer.step()
    assert float(loss.detach()) < first - 1


def test_a_run_resumes_where_it_was(tmp_path, batch):
    def data(done: float):
        while True:
            yield batch

    trainer = Trainer(small_net(), tmp_path, SETTINGS)
    trainer.train(data)
    steps = trainer.step
    assert steps >= 1 and trainer.seconds >= SETTINGS.minutes * 60
    again = Trainer(small_net(), tmp_path, replace(SETTINGS, minutes=trainer.seconds / 60 + 0.001))
    assert again.step == steps
    for ours, saved in zip(again.net.parameters(), trainer.net.parameters(), strict=True):
        assert torch.equal(ours, saved)
    again.train(data)
    assert again.step > steps
    assert not list(tmp_path.glob("*.part"))


def test_weights_alone_start_a_run(tmp_path, batch):
    first = Trainer(small_net(), tmp_path / "a", SETTINGS)
    first.save()
    second = Trainer(small_net(), tmp_path / "b", SETTINGS)
    with torch.no_grad():
        second.net.bos.add_(1.0)
    second.start_from(tmp_path / "a" / "ema.safetensors")
    assert torch.equal(second.net.bos, first.net.bos)


def test_weights_come_from_a_release_too_and_must_fit(tmp_path, batch):
    first, second = (Trainer(small_net(), tmp_path / name, SETTINGS) for name in "ab")
    with torch.no_grad():
        first.net.bos.add_(1.0)
    (tmp_path / "release").mkdir()
    write_shards(tmp_path / "release" / "model.safetensors", first.net.state_dict(), 100_000)
    assert len(list((tmp_path / "release").glob("*.safetensors"))) > 1
    second.start_from(tmp_path / "release")
    assert torch.equal(second.net.bos, first.net.bos)
    write_safetensors(tmp_path / "other.safetensors", {"x": torch.zeros(3)})
    for wrong in ("other.safetensors", "nowhere", "nowhere.safetensors", "release/no"):
        with pytest.raises(InvalidInput, match="weights="):
            second.start_from(tmp_path / wrong)


def test_a_run_goes_on_with_its_own_settings_alone(tmp_path, batch):
    Trainer(small_net(), tmp_path, SETTINGS).save()
    assert Trainer(small_net(), tmp_path, replace(SETTINGS, weight_decay=0.5)).optimizer.param_groups[0][
        "weight_decay"
    ] == pytest.approx(0.5)
    with pytest.raises(CheckpointError, match=r"state\.pt is not of such a run"):
        Trainer(small_net(), tmp_path, replace(SETTINGS, refiner_only=True))
    (tmp_path / "state.pt").write_bytes((tmp_path / "state.pt").read_bytes()[:5000])
    with pytest.raises(CheckpointError, match="take another folder"):
        Trainer(small_net(), tmp_path, SETTINGS)


def test_what_a_killed_run_wrote_too_much_is_dropped(tmp_path, batch):
    trainer = Trainer(small_net(), tmp_path, SETTINGS)
    trainer.step = 5
    trainer.save()
    rows = [{"step": step, "minutes": step / 10, "loss": 1.0} for step in (3, 5, 8)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 9, "mi')
    (tmp_path / ".songbloom-0123.part").write_bytes(b"half a state")
    Trainer(small_net(), tmp_path, SETTINGS)
    assert list(read_json_lines(tmp_path / "log.jsonl")) == rows[:2]
    assert not list(tmp_path.glob(".*.part"))


def test_the_log_tells_means_of_what_was_measured(tmp_path, batch, monkeypatch):
    """Batches without latents have no flow, and all batches of a step count."""
    songs = [with_latents(e) for e in batch]
    monkeypatch.setattr("songbloom.train.trainer.LOG_S", 0.0)
    trainer = Trainer(small_net(), tmp_path, replace(SETTINGS, gradient_accumulation=3, minutes=1e-5))
    told: list[dict[str, torch.Tensor]] = []
    plain = trainer.losses
    monkeypatch.setattr(trainer, "losses", lambda examples: told.append(plain(examples)) or told[-1])
    trainer.train(lambda done: cycle([songs, songs, batch]))
    (row,) = read_json_lines(tmp_path / "log.jsonl")
    assert [("flow" in losses) for losses in told] == [True, True, False]
    assert row["flow"] == pytest.approx(float(sum(losses["flow"] for losses in told[:2])) / 2, abs=1e-3)
    assert row["tokens"] == pytest.approx(float(sum(losses["tokens"] for losses in told)) / 3, abs=1e-3)


def test_minutes_count_all_of_a_step(tmp_path, batch, monkeypatch):
    """Whatever looks at the clock, the next step's time begins where the last one's ended."""
    seconds = count()
    monkeypatch.setattr("songbloom.train.trainer.time", SimpleNamespace(monotonic=lambda: float(next(seconds))))
    trainer = Trainer(small_net(), tmp_path, replace(SETTINGS, minutes=4 / 60))
    trainer.train(lambda done: cycle([batch]))
    assert trainer.seconds == next(seconds) - 1


def test_a_run_without_gradients_ends(tmp_path, batch, monkeypatch):
    monkeypatch.setattr("songbloom.train.trainer.MOST_LOST", 3)
    trainer = Trainer(small_net(), tmp_path, replace(SETTINGS, minutes=100))
    with torch.no_grad():
        trainer.net.bos.fill_(torch.nan)
    with pytest.raises(InvalidInput, match="3 steps in a row had no finite gradients"):
        trainer.train(lambda done: cycle([batch]))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("minutes", 0.0), ("minutes", float("nan")), ("gradient_accumulation", 0), ("guide_weight", float("nan")),
        ("ema", 2.0), ("unconditional", 7.0), ("flow_blocks", -3), ("dtype", "float16"), ("device", "abacus"),
        ("warmup_steps", 0), ("seed", -1), ("learning_rate", float("inf")),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_named(name, value):
    with pytest.raises(InvalidInput, match=f"^{name}="):
        replace(SETTINGS, **{name: value})


def test_entirely_unconditional_batches_are_finite(tmp_path, batch):
    trainer = Trainer(small_net(), tmp_path, replace(SETTINGS, unconditional=1.0))
    assert torch.isfinite(trainer.losses(batch)["loss"])


def test_guide_targets_follow_the_song(tmp_path):
    trainer = Trainer(small_net(), tmp_path, SETTINGS)
    index = np.repeat(np.arange(8), 4)  # 32 frames, 4 for each lyric item
    example = Example(" ".join(["AH0"] * 8), np.zeros(32, np.int64), index, (0, 0, 0, 0))
    prefix = torch.zeros(13, 64)  # 5 positions of style, 8 of lyrics
    current, following = trainer._guide_targets([example], [prefix], [5], torch.tensor([False]))
    assert (current[0, :13] == -1).all() and (following[0, :13] == -1).all()
    sung = [0, *range(16), 15, *range(16, 32), 31]  # the frame last read: bos, block, latent, block, latent
    to_come = [0, *range(1, 16), 16, 16, *range(17, 32), 31, 31]
    assert current[0, 13:].tolist() == [int(index[f]) + 5 for f in sung]
    assert following[0, 13:].tolist() == [int(index[f]) + 5 for f in to_come]
    dropped, _ = trainer._guide_targets([example], [prefix], [5], torch.tensor([True]))
    assert (dropped == -1).all()


def test_store_pairs_a_song_with_its_twins_clip(tmp_path):
    rows = []
    for number in range(2):
        latents = np.full((4, 64), number, np.float16)
        np.savez(
            tmp_path / f"{number}.npz",
            latents=latents,
            tokens=np.zeros(64, np.int32),
            lyric_index=np.zeros(64, np.int32),
            lyrics=np.array("AH0"),
            clip=latents[:, :30],
            facts=np.array([1, 2, 3, 0]),
        )
        rows.append(json.dumps({"file": f"{number}.npz", "pair": "p"}))
    (tmp_path / "index.jsonl").write_text("\n".join(rows))
    store = SongStore(Path(tmp_path))
    assert len(store) == 2
    for example in islice(store.examples(0, block_size=16, clip_frames=(10, 20)), 6):
        assert example.latents is not None and example.style is not None
        assert 10 <= example.style.shape[1] <= 20
        assert float(example.style.mean()) == 1 - float(example.latents.mean())
        assert example.facts == (1, 2, 3, 0)


def test_the_bundled_networks_size():
    net = new_net()
    parameters = sum(p.numel() for p in net.parameters())
    assert 8e6 < parameters < 25e6


def predictive_net() -> SongBloomNet:
    net = SongBloomNet(replace(small_net().config, predictor=32, timbre=True))
    initialise(net)
    return net


def test_the_refiner_alone_learns_and_leaves_the_rest(tmp_path, batch):
    settings = replace(SETTINGS, refiner_only=True, flow_draws=3, unconditional=0, no_style=0, flow_null=0)
    trainer = Trainer(predictive_net(), tmp_path, settings)
    songs = [with_latents(e) for e in batch]
    before = {n: t.clone() for n, t in trainer.net.state_dict().items()}
    first = None
    for _ in range(12):
        trainer.optimizer.zero_grad()
        losses = trainer.losses(songs)
        first = first or float(losses["loss"].detach())
        losses["loss"].backward()
        trainer.optimizer.step()
    assert float(losses["loss"].detach()) < first and "guide" not in losses
    changed = {n.split(".")[0] for n, t in trainer.net.state_dict().items() if not torch.equal(t, before[n])}
    assert changed == {"refiner", "timbre_projection"}


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_dropped_history_is_not_read(tmp_path, batch, share, monkeypatch):
    """By the refiner; the language model still reads its latents."""
    trainer = Trainer(predictive_net(), tmp_path, replace(SETTINGS, history_drop=share))
    read = []
    prepare = trainer.net.refiner.prepare

    def watched(h, s, history):
        read.append(history)
        return prepare(h, s, history)

    monkeypatch.setattr(trainer.net.refiner, "prepare", watched)
    trainer.losses([replace(with_latents(batch[0]), style=torch.ones(4, 10))])
    assert bool(read[0].any()) == (share == 0.0)


def gradients(trainer: Trainer, songs: list[Example]) -> dict[str, torch.Tensor]:
    trainer.net.train()
    trainer.losses(songs)["loss"].backward()
    return {n: p.grad.clone() for n, p in trainer.net.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(
    ("change", "tolerance"), [({"gradient_checkpointing": True}, 1e-5), ({"dtype": "bfloat16"}, 0.1)]
)
def test_cheaper_ways_have_the_same_gradients(tmp_path, batch, change, tolerance):
    songs = [with_latents(e) for e in batch]
    exact = gradients(Trainer(predictive_net(), tmp_path / "a", SETTINGS), songs)
    cheap = gradients(Trainer(predictive_net(), tmp_path / "b", replace(SETTINGS, **change)), songs)
    assert exact.keys() == cheap.keys()
    norm = torch.stack([g.norm() for g in exact.values()]).norm()
    missed = torch.stack([(exact[n] - cheap[n].float()).norm() for n in exact]).norm()
    assert missed / norm < tolerance


def test_accumulated_steps_see_as_many_batches(tmp_path, batch):
    asked = []

    def data(done: float):
        while True:
            asked.append(done)
            yield batch

    trainer = Trainer(small_net(), tmp_path, replace(SETTINGS, gradient_accumulation=3, flow_blocks=0))
    trainer.train(data)
    assert len(asked) == 3 * trainer.step


def test_curves_are_drawn_from_the_log(tmp_path):
    pytest.importorskip("matplotlib")
    rows = [{"step": i, "minutes": i / 10, "done": i / 100, "loss": 1 / (i + 1)} for i in range(20)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    picture = draw_curves(tmp_path, tmp_path / "curves.svg")
    assert "<svg" in picture.read_text() and "loss" in picture.read_text()
    with pytest.raises(InvalidInput, match=r"no log\.jsonl"):
        draw_curves(tmp_path / "nothing", tmp_path / "x.svg")
