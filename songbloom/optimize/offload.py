"""Parts of a model that take turns on a small GPU: one at work lies there, the others wait in main memory.

All parts share one stretch of device memory, as large as the largest of them; a part is brought there by one copy. So
addresses stay what they are, and steps that were recorded too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import wraps
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from songbloom.errors import InvalidInput

ALIGNMENT = 256  # bytes, as CUDA's allocator aligns
# What a part is called by; whoever calls one of these brings it.
CALLED = {"lm": ("forward",), "refiner": ("prepare", "forward"), "autoencoder": ("encode", "decode")}


def check_offload(wanted: bool, device: torch.device) -> None:
    """See that taking turns saves anything on ``device``.

    Raises:
        InvalidInput: it does not.
    """
    if wanted and device.type != "cuda":
        raise InvalidInput("offload", wanted, f"is for CUDA devices; on {device.type} it would save nothing")


class Turns:
    """Parts whose tensors are in place only while that part was the last to be called.

    Args:
        parts: by name, on the CPU. Their tensors become views of ``device``'s memory.
        device: whose memory is small.
    """

    def __init__(self, parts: Mapping[str, nn.Module], device: torch.device) -> None:
        self._parts = parts
        tensors = {name: list(_tensors(part)) for name, part in parts.items()}
        self._waiting = {name: _packed(own, pinned=device.type == "cuda") for name, own in tensors.items()}
        self._stretch = torch.empty(max(map(len, self._waiting.values())), dtype=torch.uint8, device=device)
        for own in tensors.values():
            for tensor, begin in zip(own, _begins(own)[:-1], strict=True):
                flat = self._stretch[begin : begin + tensor.nbytes].view(tensor.dtype)
                tensor.data = flat.view(tensor.shape)
        self._present: str | None = None
        self._lock = threading.RLock()  # a song may be decoded while the next one is composed

    def watch(self) -> None:
        """From now on have every call of a part bring it first; after whatever else wraps these calls."""
        for name, part in self._parts.items():
            for called in CALLED[name]:
                setattr(part, called, self._bringing(name, getattr(part, called)))

    def _bringing(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:
            with self._lock:
                if self._present != name:
                    waiting = self._waiting[name]
                    self._stretch[: len(waiting)].copy_(waiting, non_blocking=True)
                    self._present = name
                return function(*arguments, **options)

        return call


def take_turns(net: Any, vae: nn.Module, device: torch.device) -> Turns:
    """Have the large parts of a model that was loaded on the CPU take turns on ``device``, and move the rest there."""
    turns = Turns({"lm": net.lm, "refiner": net.refiner, "autoencoder": vae}, device)
    for tensor in _tensors(net):
        tensor.data = tensor.data.to(device)  # those of the parts are there
    return turns


def _tensors(module: nn.Module) -> list[Tensor]:
    """Parameters and buffers, each once."""
    return list({id(tensor): tensor for tensor in chain(module.parameters(), module.buffers())}.values())


def _begins(tensors: list[Tensor]) -> list[int]:
    """Where each of them lies in one stretch of bytes; its length comes last."""
    begins = [0]
    for tensor in tensors:
        begins.append(begins[-1] + -(-tensor.nbytes // ALIGNMENT) * ALIGNMENT)
    return begins


def _packed(tensors: list[Tensor], *, pinned: bool) -> Tensor:
    """Their bytes in one stretch of main memory, which a GPU may read by itself where it is pinned."""
    *begins, length = _begins(tensors)
    packed = torch.zeros(length, dtype=torch.uint8, pin_memory=pinned)
    for tensor, begin in zip(tensors, begins, strict=True):
        packed[begin : begin + tensor.nbytes].copy_(tensor.detach().contiguous().flatten().view(torch.uint8))
    return packed
