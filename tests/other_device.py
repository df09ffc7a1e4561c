"""A device that is not there, to see on a CPU what a GPU would see: tensors left behind on the CPU, and waiting for it.

Tensors "on" it say they are on the meta device, but hold their values, and compute on the CPU what they are asked to.
An operation on tensors of both devices fails as it does with a GPU; every value that is asked of the device is noted,
for that is where a program waits until the GPU has done all its work.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

THERE = torch.device("meta")
ASKED = ("aten._local_scalar_dense", "aten.nonzero", "aten.equal", "aten.masked_select", "aten.is_nonzero")
COPIES = ("aten._to_copy", "aten.copy_")


class OnDevice(Tensor):
    """A tensor of the other device; ``inner`` has its values."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> OnDevice:
        own = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=THERE,
        )
        own.inner = inner
        return own

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} after the other device was left")


class _Operations(TorchDispatchMode):
    def __init__(self, waits: Counter[str]) -> None:
        super().__init__()
        self._waits = waits

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = str(func), dict(kwargs or {})
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        there = any(isinstance(x, OnDevice) for x in tensors)
        if (asked := kwargs.get("device")) is not None:
            to_device = torch.device(asked) == THERE
            kwargs["device"] = torch.device("cpu")
        elif name.startswith("aten.copy_"):
            to_device = isinstance(args[0], OnDevice)
        else:
            to_device = there
        if name.startswith(COPIES):
            if isinstance(args[-1 if name.startswith("aten.copy_") else 0], OnDevice) and not to_device:
                self._waits["copied to the CPU"] += 1
        elif there:
            behind = [tuple(x.shape) for x in tensors if not isinstance(x, OnDevice) and x.ndim]
            if behind and not name.startswith("aten.index"):  # an index may lie on the CPU, but is copied
                raise RuntimeError(f"{name}: tensors of shapes {behind} were left on the CPU")
            if behind or name.startswith(ASKED):
                self._waits[name] += 1
        out = func(*tree_map(_inner, args), **tree_map(_inner, kwargs))
        if func._schema.is_mutable:
            return kwargs.get("out", args[0])
        return tree_map(lambda x: OnDevice(x) if isinstance(x, Tensor) else x, out) if to_device else out


class _Functions(TorchFunctionMode):
    """What gets past the operations: making tensors of Python's values, and the other way round."""

    def __init__(self, waits: Counter[str]) -> None:
        super().__init__()
        self._waits = waits

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in (torch.tensor, torch.as_tensor) and kwargs.get("device") is not None:
            device = kwargs.pop("device")
            return func(*args, **kwargs).to(device)
        if args and isinstance(args[0], OnDevice):
            if func is Tensor.tolist:
                self._waits["tolist"] += 1
                return args[0].inner.tolist()
            if func in (Tensor.__getitem__, Tensor.__setitem__):
                places = args[1] if isinstance(args[1], tuple) else (args[1],)
                places = tuple(torch.tensor(x) if isinstance(x, list) else x for x in places)
                args = (args[0], places, *args[2:])
        return func(*args, **kwargs)


def _inner(x: Any) -> Any:
    return x.inner if isinstance(x, OnDevice) else x


def move(module: nn.Module) -> None:
    """Put a module's tensors on the other device; parameters become buffers, for nobody trains there."""
    for part in module.modules():
        for name, parameter in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, parameter.detach())
        for name, buffer in list(part.named_buffers(recurse=False)):
            part._buffers[name] = OnDevice(buffer)


@contextlib.contextmanager
def other_device(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Within, the other device is there; yields the waits for it, by what waited."""
    waits: Counter[str] = Counter()
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())  # knows no meta device
    with torch.no_grad(), _Functions(waits), _Operations(waits):
        yield waits
