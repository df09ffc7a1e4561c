"""Optimization levels: what of the machine a loaded model makes use of.

* minimal: plain eager computation, the reference.
* standard: the same results within rounding: cuDNN looks for its fastest convolutions; on a CPU the refiner's weights
  lie column by column.
* aggressive: TF32 for what stays in float32, and the refiner compiled by ``torch.compile``: on a CPU 1.1 to 1.3 times
  as fast. The language model's step is not (its compiled form was slower: it waits for memory), nor are layers of 8 or
  4 bits, whose products the compiler cannot join with anything.

Attention is PyTorch's ``scaled_dot_product_attention``, whose CUDA kernels are FlashAttention 2 themselves, so the
package flash-attn would add nothing. ``DISABLE_FLASH_ATTN=1`` turns those kernels off at every level.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from songbloom.errors import InvalidInput
from songbloom.model.network import SongBloomNet
from songbloom.quantize.linear import QuantizedLinear
from songbloom.request import OPTIMIZATION_LEVELS

log = logging.getLogger(__name__)


def optimize(net: SongBloomNet, level: str) -> list[str]:
    """Bring ``net`` and the process to a level; what is active, one line each.

    Raises:
        InvalidInput: unknown level, or ``DISABLE_FLASH_ATTN`` is neither 0 nor 1.
    """
    if level not in OPTIMIZATION_LEVELS:
        raise InvalidInput("optimization_level", level, f"must be one of {', '.join(OPTIMIZATION_LEVELS)}")
    notes = [_attention(net.device)]
    if net.device.type == "cuda":
        torch.backends.cudnn.benchmark = level != "minimal"
        torch.set_float32_matmul_precision("high" if level == "aggressive" else "highest")
        torch.backends.cudnn.allow_tf32 = level == "aggressive"
        notes.append(
            f"TF32 {'on' if level == 'aggressive' else 'off'}, cuDNN search {'off' if level == 'minimal' else 'on'}"
        )
    if net.device.type == "cpu" and level != "minimal":
        _lay_by_columns(net.refiner)
        notes.append("the refiner's weights lie by columns")
    quantized = any(isinstance(module, QuantizedLinear) for module in net.refiner.modules())
    if level == "aggressive" and not quantized:
        net.refiner.forward = Compiled(net.refiner.forward)  # type: ignore[assignment]
        notes.append("torch.compile on for the refiner")
    else:
        notes.append("torch.compile off" + (": the refiner is quantized" if level == "aggressive" else ""))
    return notes


def _lay_by_columns(module: nn.Module) -> None:
    """The same weights in another order of memory: the CPU's product of 9 to 64 rows, as a block of one song has, is
    up to twice as fast with it. The language model's one or two rows are faster without."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            layer.weight.data = layer.weight.data.t().contiguous().t()


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
