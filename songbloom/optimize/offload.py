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
PIECE = 1 << 28  # bytes
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
        sizes = {name: _begins(_tensors(part))[-1] for name, part in parts.items()}
        self._stretch = torch.empty(max(sizes.values()), dtype=torch.uint8, device=device)
        self._waiting = {name: self._packed(_tensors(part)) for name, part in parts.items()}
        self._present: str | None = None
        self._lock = threading.RLock()  # a song may be decoded while the next one is composed

    def _packed(self, tensors: list[Tensor]) -> list[Tensor]:
        """The bytes of a part's tensors in pieces of main memory; the tensors become views of the stretch."""
        *begins, length = _begins(tensors)
        packed = torch.zeros(length, dtype=torch.uint8)
        for tensor, begin in zip(tensors, begins, strict=True):
            span = slice(begin, begin + tensor.nbytes)
            packed[span].copy_(tensor.detach().contiguous().flatten().view(torch.uint8))
            tensor.data = self._stretch[span].view(tensor.dtype).view(tensor.shape)
        pieces = list(packed.split(PIECE))
        # A GPU reads pinned memory by itself. Pieces, because what is pinned is rounded up to a power of two.
        return [piece.pin_memory() for piece in pieces] if self._stretch.is_cuda else pieces

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
                    self._present = None  # should the copy be interrupted
                    begin = 0
                    for piece in self._waiting[name]:
                        self._stretch[begin : begin + len(piece)].copy_(piece, non_blocking=True)
                        begin += len(piece)
                    self._present = name
                return function(*arguments, **options)

        return call


def take_turns(net: Any, vae: nn.Module, device: torch.device) -> Turns:
    """Have the large parts of a model that was loaded on the CPU take turns on ``device``, and move the rest there.

    Main memory holds the model, and while it is arranged its largest part once more.
    """
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
