"""Optimization levels: what of the machine a loaded model makes use of.

* minimal: plain eager computation, the reference.
* standard: the same results within rounding: CUDA replays recorded steps (:mod:`songbloom.optimize.cuda_graphs`) and
  cuDNN looks for its fastest convolutions; a CPU without bfloat16 arithmetic multiplies in float32 what is kept so.
* aggressive: TF32 for what stays in float32, and the refiner compiled by ``torch.compile``: on a CPU 1.1 to 1.3 times
  as fast. The language model's step is not (its compiled form was slower: it waits for memory), nor are layers of 8 or
  4 bits, whose products the compiler cannot join with anything.

Attention is PyTorch's ``scaled_dot_product_attention``, whose CUDA kernels are FlashAttention 2 themselves, so the
package flash-attn would add nothing. ``DISABLE_FLASH_ATTN=1`` turns those kernels off at every level.
"""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from songbloom.errors import InvalidInput
from songbloom.model.network import SongBloomNet
from songbloom.model.sketch_lm import CausalAttention
from songbloom.optimize.cuda_graphs import CudaRecorder, RecordedFunction, RecordedSteps, Step
from songbloom.quantize.linear import QuantizedLinear
from songbloom.request import OPTIMIZATION_LEVELS

log = logging.getLogger(__name__)

MANY_ROWS = 40  # from so many on a weight's conversion to float32 pays


def optimize(net: SongBloomNet, level: str) -> list[str]:
    """Bring ``net`` and the process to a level; what is active, one line each.

    Raises:
        InvalidInput: unknown level, or ``DISABLE_FLASH_ATTN`` is neither 0 nor 1.
    """
    if level not in OPTIMIZATION_LEVELS:
        raise InvalidInput("optimization_level", level, f"must be one of {', '.join(OPTIMIZATION_LEVELS)}")
    notes = switch(net.device, level)
    if net.device.type == "cpu" and level != "minimal" and net.dtype == torch.bfloat16 and not _has_bfloat16():
        _multiply_in_float32(net)
        notes.append("this CPU has no bfloat16 arithmetic: larger products are computed in float32")
    quantized = any(isinstance(module, QuantizedLinear) for module in net.refiner.modules())
    if level == "aggressive" and not quantized:
        net.refiner.forward = Compiled(net.refiner.forward)  # type: ignore[assignment]
        notes.append("torch.compile on for the refiner")
    else:
        notes.append("torch.compile off" + (": the refiner is quantized" if level == "aggressive" else ""))
    if net.device.type == "cuda" and level != "minimal":
        record(net, CudaRecorder(net.device))
        notes.append("CUDA graphs on for the language model's steps and the refiner")
    return notes


def record(net: SongBloomNet, recorder: Callable[[Step], Step]) -> None:
    """Have the block loop's two functions replay what they launched once."""
    net.lm.forward = RecordedSteps(net.lm.forward, recorder)  # type: ignore[method-assign]
    net.refiner.forward = RecordedFunction(net.refiner.forward, recorder)  # type: ignore[assignment]


def switch(device: torch.device, level: str) -> list[str]:
    """What a level is for the whole process, so that it counts for all models; what is active, one line each.

    Raises:
        InvalidInput: ``DISABLE_FLASH_ATTN`` is neither 0 nor 1.
    """
    notes = [_attention(device)]
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = level != "minimal"
        torch.set_float32_matmul_precision("high" if level == "aggressive" else "highest")
        torch.backends.cudnn.allow_tf32 = level == "aggressive"
        notes.append(
            f"TF32 {'on' if level == 'aggressive' else 'off'}, cuDNN search {'off' if level == 'minimal' else 'on'}"
        )
    return notes


def _has_bfloat16() -> bool:
    """Whether the CPU multiplies in bfloat16; x86 processors alone are asked."""
    return platform.machine().lower() not in ("x86_64", "amd64") or torch.cpu._is_avx512_bf16_supported()


def _multiply_in_float32(module: nn.Module) -> None:
    """Keep weights, keys and values in bfloat16 but multiply by them in float32, two to four times as fast where
    bfloat16 products are imitated. With few rows a weight's conversion would cost more than it saves."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            layer.forward = partial(_float32_product, layer)  # type: ignore[method-assign]
        if isinstance(layer, CausalAttention):
            layer.attend = _float32_attention  # type: ignore[assignment]


def _float32_attention(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
    return F.scaled_dot_product_attention(q.float(), k.float(), v.float(), **options).to(q.dtype)


def _float32_product(layer: nn.Linear, x: Tensor) -> Tensor:
    if x.numel() < MANY_ROWS * x.shape[-1]:
        return F.linear(x, layer.weight, layer.bias)
    bias = None if layer.bias is None else layer.bias.float()
    return F.linear(x.float(), layer.weight.float(), bias).to(x.dtype)


def _attention(device: torch.device) -> str:
    wish = os.environ.get("DISABLE_FLASH_ATTN", "0")
    if wish not in ("0", "1"):
        raise InvalidInput("DISABLE_FLASH_ATTN", wish, "must be 0 or 1")
    torch.backends.cuda.enable_flash_sdp(wish == "0")
    if wish == "1":
        return "flash attention off: DISABLE_FLASH_ATTN=1"
    return f"attention of PyTorch on {device.type}" + (", FlashAttention 2" if device.type == "cuda" else "")


class Compiled:
    """A function compiled at its first call; if that fails it runs as it is, and says so once."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._plain = function
        self._run = torch.compile(function)

    def __call__(self, *arguments: Any) -> Any:
        try:
            return self._run(*arguments)
        except torch._dynamo.exc.BackendCompilerFailed as error:
            log.warning("torch.compile failed, going on without it: %s", str(error).strip().splitlines()[0])
            self._run = self._plain
            return self._run(*arguments)
