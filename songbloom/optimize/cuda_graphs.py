"""Steps recorded as CUDA graphs: what is launched kernel by kernel once is launched as a whole from then on.

A step of the language model is some thirty small kernels a layer: a GPU is done with them before a CPU has launched
them. Recorded are the two functions the block loop spends its time in; the rest is launched while they run.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from songbloom.model.kv_cache import AnyCache, KVCache, NextPosition

log = logging.getLogger(__name__)

TOLERANCE = 0.01  # of the largest value: by so much a replay may differ from the step
SPAN = 256  # positions: steps are recorded for so many keys, twice as many, ...
Step = Callable[[], Tensor]


class CudaRecorder:
    """Turns a function without arguments into one that replays what it launched on ``device``.

    The function is run once before it is recorded, so it has to bear being run twice. What it reads has to be kept by
    its caller: a recording knows addresses alone. What it returns is written over by the next replay.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        with torch.cuda.device(device):
            self._pool, self._aside = torch.cuda.graph_pool_handle(), torch.cuda.Stream()
        self._first: torch.cuda.CUDAGraph | None = None  # a pool ends with its last recording

    def __call__(self, step: Step) -> Step:
        with torch.cuda.device(self._device):
            before = torch.cuda.current_stream()
            self._aside.wait_stream(before)
            with torch.cuda.stream(self._aside):
                step()
            before.wait_stream(self._aside)
            graph = torch.cuda.CUDAGraph()
            mode = "thread_local"  # other threads, which decode or load, may go on allocating meanwhile
            try:
                with torch.cuda.graph(graph, pool=self._pool, stream=self._aside, capture_error_mode=mode):
                    result = step()
            finally:
                torch.cuda.set_stream(before)  # a recording that fails leaves its own stream behind
        self._first = self._first or graph

        def replay() -> Tensor:
            graph.replay()
            return result

        return replay


class Recorded:
    """A function some calls of which are recorded. Once recording has failed none is, which is said once.

    Args:
        function: called as it is where gradients are wanted.
        record: a :class:`CudaRecorder`, or what stands for one.
    """

    def __init__(self, function: Callable[..., Tensor], record: Callable[[Step], Step]) -> None:
        self._function, self._record = function, record
        self._fails = False

    @property
    def _plain(self) -> bool:
        return self._fails or torch.is_grad_enabled()

    def _recorded(self, step: Step) -> Step | None:
        """``step`` recorded; None if that failed, or if what is replayed is not what the step gives."""
        try:
            recorded = self._record(step)
            recorded().fill_(torch.nan)  # so that a replay which does nothing is seen
            replayed, wanted = recorded().float(), step().float()
            if not torch.allclose(replayed, wanted, rtol=0, atol=TOLERANCE * float(wanted.abs().max())):
                raise RuntimeError("a replay gave something else")
            return recorded
        except RuntimeError as error:
            self._fails = True
            log.warning("CUDA graphs failed, going on without: %s", str(error).strip().splitlines()[0])
            return None


class RecordedFunction(Recorded):
    """A function of tensors, such as the refiner's evaluation: a recording for every kind of arguments."""

    def __init__(self, function: Callable[..., Tensor], record: Callable[[Step], Step]) -> None:
        super().__init__(function, record)
        self._steps: dict[Any, tuple[Step, list[Tensor]]] = {}

    def __call__(self, *arguments: Tensor) -> Tensor:
        if self._plain:
            return self._function(*arguments)
        kind = tuple((x.shape, x.dtype) for x in arguments)
        if kind not in self._steps:
            own = [x.clone() for x in arguments]
            recorded = self._recorded(lambda: self._function(*own))
            if recorded is None:
                return self._function(*arguments)
            self._steps[kind] = recorded, own
        step, own = self._steps[kind]
        for place, x in zip(own, arguments, strict=True):
            place.copy_(x)
        return step().clone()  # the next replay writes over it


class RecordedSteps(Recorded):
    """The language model's forward, whose steps of one position are recorded for the cache they work on.

    A recording serves every position up to its span. It does not keep the cache's memory, and ends with it: songs that
    are composed in turns by one model are recorded anew at every turn.
    """

    def __init__(self, function: Callable[..., Tensor], record: Callable[[Step], Step]) -> None:
        super().__init__(function, record)
        self._memory: weakref.ref[Tensor] | None = None
        self._steps: dict[int, tuple[Step, Tensor, Tensor]] = {}

    def __call__(self, x: Tensor, cache: AnyCache | None = None) -> Tensor:
        if self._plain or not isinstance(cache, KVCache) or x.shape[1] != 1:
            return self._function(x, cache)
        if self._memory is None or self._memory() is not cache.k.data:
            self._steps.clear()
            self._memory = weakref.ref(cache.k.data)
        span = min((cache.position // SPAN + 1) * SPAN, cache.k.data.shape[-2])
        if span not in self._steps:
            following, own = NextPosition(cache, span), x.clone()
            recorded = self._recorded(lambda: self._function(own, following))
            if recorded is None:
                return self._function(x, cache)
            self._steps[span] = recorded, following.place, own
        step, place, own = self._steps[span]
        place.fill_(cache.position)
        own.copy_(x)
        hidden = step().clone()  # the next replay writes over it
        cache.advance(1)
        return hidden
