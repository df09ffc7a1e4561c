"""Linear layers whose weights stay in 8 or 4 bits while they compute.

8 bits: a scale for every output, and inputs rounded to 8 bits with a scale for every row, so that what a row gives
does not depend on its neighbours in the batch. 4 bits: the NF4 code of Dettmers et al. 2023 (arXiv:2305.14314),
blocks of 64 weights with a scale each, computed by bitsandbytes.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from songbloom.errors import NotAvailable

BLOCK = 64  # weights that share a scale at 4 bits
LEAST_ROWS = 32  # CUDA's int8 product wants more than 16 rows, and a multiple of 8
SMALLEST = 1e-12  # no row is scaled by less, so that zeros stay zeros


class QuantizedLinear(nn.Module):
    """A linear layer without bias. Its state is plain tensors: ``weight`` and ``scale``."""

    weight: Tensor
    scale: Tensor

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        for name, tensor in self.encode(torch.zeros(out_features, in_features, device="meta")).items():
            self.register_buffer(name, tensor)

    @staticmethod
    def encode(weight: Tensor) -> dict[str, Tensor]:
        """The layer's state for a weight [out, in] of any floating dtype; shapes alone on the meta device."""
        raise NotImplementedError

    def ready(self, dtype: torch.dtype) -> None:
        """Called once the state is on its device and will not move again; inputs will come in ``dtype``."""

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}"


class Int8Linear(QuantizedLinear):
    """``weight`` int8 [out, in], ``scale`` float32 [out]: 8 bits a weight.

    On x86 the weights are repacked for FBGEMM, elsewhere ``torch._int_mm`` reads them as they are.
    """

    packed: Any = None
    levels = 127  # steps to either side of zero an input may take

    @staticmethod
    def encode(weight: Tensor) -> dict[str, Tensor]:
        weight = weight.float()
        scale = (weight.abs().amax(1) / 127).clamp(min=SMALLEST)
        return {"weight": (weight / scale[:, None]).round().to(torch.int8), "scale": scale}

    def ready(self, dtype: torch.dtype) -> None:
        if self.weight.device.type != "cpu" or "fbgemm" not in torch.backends.quantized.supported_engines:
            return
        self.packed, self.levels = _pack(self.weight, self.scale), _levels()
        self.weight = self.weight.new_empty(0)  # the packed form holds them now

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.packed is not None:
            destination[prefix + "weight"] = torch.ops.quantized.linear_unpack(self.packed)[0].int_repr()

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, self.in_features).float()
        size = rows.abs().amax(1, keepdim=True).clamp(min=SMALLEST)
        if self.packed is not None:
            multiply = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32
            y = multiply(rows / size, 1 / self.levels, self.levels + 1, self.packed) * size
        else:
            short = max(0, LEAST_ROWS - len(rows)) if rows.is_cuda else 0
            whole = F.pad((rows * (self.levels / size)).round().to(torch.int8), (0, 0, 0, short or -len(rows) % 8))
            y = torch._int_mm(whole, self.weight.t())[: len(rows)] * (size / self.levels) * self.scale
        return y.to(x.dtype).view(*x.shape[:-1], self.out_features)


def _levels() -> int:
    """Without VNNI a CPU's 16-bit sums have room for inputs of 7 bits."""
    return 127 if torch.cpu._is_vnni_supported() else 63


def _pack(weight: Tensor, scale: Tensor) -> Any:
    """FBGEMM's form of a weight. Its makers announce that torch after 2.13 drops it: look at the pin of torch."""
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = "fbgemm"  # others have no product with inputs scaled by the caller
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            zeros = torch.zeros(len(scale), dtype=torch.long)
            whole = torch._make_per_channel_quantized_tensor(weight.contiguous(), scale.double(), zeros, 0)
            return torch.ops.quantized.linear_prepack(whole, None)
    finally:
        torch.backends.quantized.engine = before


class Int4Linear(QuantizedLinear):
    """``weight`` uint8 [out * in / 2, 1], two NF4 codes a byte; ``scale`` float32 [out * in / 64]: 4.5 bits in all."""

    _state: Any = None

    @staticmethod
    def encode(weight: Tensor) -> dict[str, Tensor]:
        if weight.is_meta:
            packed = torch.empty(weight.numel() // 2, 1, dtype=torch.uint8, device="meta")
            return {"weight": packed, "scale": torch.empty(weight.numel() // BLOCK, device="meta")}
        quantize = bitsandbytes().functional.quantize_4bit
        packed, state = quantize(weight.float().contiguous(), blocksize=BLOCK, quant_type="nf4")
        return {"weight": packed, "scale": state.absmax.float()}

    def ready(self, dtype: torch.dtype) -> None:
        functional = bitsandbytes().functional
        self._state = functional.QuantState(
            absmax=self.scale,
            shape=torch.Size((self.out_features, self.in_features)),
            code=functional.get_4bit_type("nf4", device=self.weight.device),
            blocksize=BLOCK,
            quant_type="nf4",
            dtype=dtype,
        )

    def forward(self, x: Tensor) -> Tensor:
        return bitsandbytes().matmul_4bit(x.contiguous(), self.weight.t(), self._state)


@cache
def bitsandbytes() -> ModuleType:
    """The library that computes with 4 bits.

    Raises:
        NotAvailable: it is not installed; the text says how to install it.
    """
    try:
        import bitsandbytes as library
    except ImportError as error:
        raise NotAvailable(
            f"int4 needs bitsandbytes ({error}); install it with: pip install 'songbloom[int4]', or take int8"
        ) from error
    return library


KINDS: Mapping[str, type[QuantizedLinear]] = {"int8": Int8Linear, "int4": Int4Linear}
