"""Recorded steps make the same songs. CUDA itself is not asked: a function that is run again stands for its recording,
so all but the recording is seen: what a step reads and writes where its position is known to the device alone."""

from __future__ import annotations

import contextlib
import gc
import inspect
import logging
import weakref
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

import songbloom
from songbloom.generate.patches import compose, start
from songbloom.model.kv_cache import NextPosition
from songbloom.optimize.cuda_graphs import CudaRecorder, RecordedFunction, RecordedSteps
from songbloom.optimize.levels import record


class Again:
    """Runs again what it was given, into the same memory, as a replay does; counts what it was given."""

    def __init__(self) -> None:
        self.recordings = 0

    def __call__(self, step):
        self.recordings += 1
        memory = step()

        def replay():
            return memory.copy_(step())

        return replay


@pytest.fixture
def plain(tiny_folder):
    return songbloom.load(str(tiny_folder), device="cpu")


@pytest.fixture
def recorded(tiny_folder):
    model = songbloom.load(str(tiny_folder), device="cpu")
    model.recorder = Again()
    record(model.net, model.recorder)
    return model


def same(songs, others) -> None:
    for song, other in zip(songs, others, strict=True):
        assert song.tokens.tolist() == other.tokens.tolist()
        made, wanted = torch.from_numpy(song.latents), torch.from_numpy(other.latents)
        torch.testing.assert_close(made, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("guidance", "solver", "eight_bit"),
    [("h", "euler", False), ("global", "adams", False), ("none", "midpoint", False), ("h", "adams", True)],
)
def test_a_song_is_the_same(plain, recorded, request_for, eight_bit, guidance, solver):
    plain.eight_bit_cache = recorded.eight_bit_cache = eight_bit
    request = request_for(guidance=guidance, solver=solver)
    same([recorded.generate(request)], [plain.generate(request)])


def test_songs_of_a_batch_are_the_same_though_they_end_one_by_one(plain, recorded, request_for):
    requests = [request_for(max_duration=seconds, seed=seed) for seed, seconds in ((1, 2.0), (2, 6.0), (3, 4.0))]
    requests[1] = replace(requests[1], lyrics="[verse]\nA much longer line is sung here, on and on.")  # another padding
    made, wanted = recorded.generate_batch(requests), plain.generate_batch(requests)
    same([s for own in made for s in own], [s for own in wanted for s in own])


def test_steps_are_recorded_once_a_span(recorded, request_for, monkeypatch):
    monkeypatch.setattr("songbloom.optimize.cuda_graphs.SPAN", 32)
    prepared = recorded.prepare(request_for(max_duration=8.0))
    state = start(recorded.net, recorded.tasks(prepared, [1]))
    first = state.cache.position
    for _ in compose(recorded.net, state):
        pass
    last, room = state.cache.position - 1, state.cache.k.data.shape[-2]
    spans = {min((position // 32 + 1) * 32, room) for position in range(first, last + 1)}
    assert recorded.recorder.recordings == len(spans) + 1 > 2  # and the refiner


def test_a_song_longer_than_the_window_is_the_same(plain, recorded, request_for):
    request = request_for(max_duration=30.0)  # the model remembers 20 s
    same([recorded.generate(request)], [plain.generate(request)])


def test_two_songs_in_turns_do_not_meet(plain, recorded, request_for):
    prepared = [recorded.prepare(request_for(seed=seed, max_duration=3.0)) for seed in (1, 2)]
    both = [recorded.patches(p) for p in prepared]
    made = [[], []]
    for patches in zip(*both, strict=True):
        for own, patch in zip(made, patches, strict=True):
            own.append(patch.tokens)
    for own, p in zip(made, prepared, strict=True):
        assert torch.equal(torch.cat(own), torch.from_numpy(plain.generate(p).tokens))


def test_the_memory_of_a_song_goes_with_it(recorded, request_for):
    """Recorded by CUDA, a step keeps the addresses it reads and no more."""
    kept = []

    def forgetful(step):
        value, memory = step(), step()
        kept.append(len(kept))
        return lambda: memory.copy_(value)

    recorded.net.lm.forward = RecordedSteps(type(recorded.net.lm).forward.__get__(recorded.net.lm), forgetful)
    cache = recorded.net.new_cache(2, 40)
    with torch.no_grad():
        recorded.net.lm(torch.zeros(2, 1, recorded.net.config.dim), cache)
    gone = weakref.ref(cache.k.data)
    del cache
    gc.collect()
    assert kept and gone() is None


def test_a_step_reads_nothing_that_nobody_keeps(plain):
    """The place is kept by whoever records it, the cache by its song; a recording keeps nothing."""
    following = NextPosition(plain.net.new_cache(1, 40), 40)
    held = [value for value in vars(following).values() if isinstance(value, torch.Tensor)]
    assert [id(x) for x in held] == [id(following.place)]


def test_a_replay_that_does_nothing_is_not_used(plain, request_for, tiny_folder):
    model = songbloom.load(str(tiny_folder), device="cpu")

    def frozen(step):
        result = step()
        return lambda: result

    record(model.net, frozen)
    same([model.generate(request_for())], [plain.generate(request_for())])


def test_a_replay_that_gives_something_else_is_not_used(plain, request_for, caplog, tiny_folder):
    model = songbloom.load(str(tiny_folder), device="cpu")
    record(model.net, lambda step: lambda: step() + 1)
    with caplog.at_level(logging.WARNING):
        same([model.generate(request_for())], [plain.generate(request_for())])
    assert [r.getMessage() for r in caplog.records] == 2 * [
        "CUDA graphs failed, going on without: a replay gave something else"
    ]


def test_recording_that_fails_is_told_of_once(plain, recorded, request_for, caplog):
    def broken(step):
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    own = recorded.net
    own.lm.forward = RecordedSteps(type(own.lm).forward.__get__(own.lm), broken)
    own.refiner.forward = type(own.refiner).forward.__get__(own.refiner)
    with caplog.at_level(logging.WARNING):
        same([recorded.generate(request_for())], [plain.generate(request_for())])
    assert [r.getMessage() for r in caplog.records if "CUDA graphs" in r.getMessage()] == [
        "CUDA graphs failed, going on without: operation not permitted when stream is capturing"
    ]


class FakeCuda:
    """Notes in which order CUDA is asked for what; recording runs the step, and replaying runs it again."""

    def __init__(self, monkeypatch, fails: bool = False) -> None:
        self.log, signature = [], inspect.signature(torch.cuda.graph.__init__)

        @contextlib.contextmanager
        def graph(*arguments, **options):
            signature.bind(None, *arguments, **options)
            self.log.append("record")
            yield
            if fails:
                raise RuntimeError("operation not permitted when stream is capturing")

        def stream(name: str) -> SimpleNamespace:
            waits = lambda other: self.log.append(f"{name} waits for {other.name}")  # noqa: E731
            return SimpleNamespace(name=name, wait_stream=waits)

        @contextlib.contextmanager
        def on(chosen):
            self.log.append(f"on {chosen.name}")
            yield

        doubles = {
            "device": lambda chosen: self.log.append(f"at {chosen}") or contextlib.nullcontext(),
            "graph_pool_handle": lambda: (0, 1),
            "current_stream": lambda: stream("main"),
            "Stream": lambda: stream("aside"),
            "stream": on,
            "set_stream": lambda chosen: self.log.append(f"back on {chosen.name}"),
            "CUDAGraph": lambda: SimpleNamespace(replay=lambda: self.log.append("replay")),
            "graph": graph,
        }
        for name, double in doubles.items():
            assert hasattr(torch.cuda, name)
            monkeypatch.setattr(torch.cuda, name, double)


def test_a_step_is_run_aside_then_recorded_then_replayed(monkeypatch):
    cuda, result = FakeCuda(monkeypatch), torch.ones(1)
    recorder = CudaRecorder(torch.device("cuda:1"))
    assert cuda.log.pop() == "at cuda:1"
    replay = recorder(lambda: cuda.log.append("step") or result)
    waits = ["aside waits for main", "on aside", "step", "main waits for aside"]
    recorded = ["at cuda:1", *waits, "record", "step", "back on main"]
    assert cuda.log == recorded
    assert replay() is result and cuda.log == [*recorded, "replay"]


def test_a_recording_that_fails_goes_back_to_its_stream(monkeypatch):
    cuda = FakeCuda(monkeypatch, fails=True)
    with pytest.raises(RuntimeError, match="capturing"):
        CudaRecorder(torch.device("cuda:0"))(lambda: torch.ones(1))
    assert cuda.log[-1] == "back on main"


def test_results_are_not_written_over_and_gradients_are_not_lost(plain):
    double = RecordedFunction(lambda x: 2 * x, Again())
    with torch.no_grad():
        first, second = double(torch.ones(3)), double(torch.zeros(3))
    assert first.tolist() == [2, 2, 2] and second.tolist() == [0, 0, 0]
    lm = plain.net.lm
    steps, cache = RecordedSteps(lm.forward, Again()), plain.net.new_cache(1, 40)
    with torch.no_grad():
        made = [steps(torch.full((1, 1, plain.net.config.dim), 1.0 + n), cache) for n in range(2)]
        torch.testing.assert_close(made[0], lm(torch.ones(1, 1, plain.net.config.dim)), atol=1e-5, rtol=1e-5)
    assert not torch.equal(*made)
    x = torch.ones(3, requires_grad=True)
    double(x).sum().backward()
    assert x.grad.tolist() == [2, 2, 2]
