"""Which layers of a network are quantized: the linear ones of the language model's and the refiner's layers.

Norms, embeddings, heads and the small layers around the transformers keep their dtype.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from songbloom.errors import InvalidInput, NotAvailable
from songbloom.quantize.linear import BLOCK, KINDS, QuantizedLinear, bitsandbytes
from songbloom.request import QUANTIZATIONS

PARTS = ("lm.layers.", "refiner.layers.")


def check(kind: str, device: torch.device) -> None:
    """See that ``kind`` ('none', 'int8' or 'int4') can be computed with on ``device``.

    Raises:
        InvalidInput: no such kind.
        NotAvailable: a library is missing, or the device cannot.
    """
    if kind not in QUANTIZATIONS:
        raise InvalidInput("quantization", kind, f"must be one of {', '.join(QUANTIZATIONS)}")
    if kind != "none" and device.type not in ("cpu", "cuda"):
        raise NotAvailable(f"{kind} is computed on cpu and cuda, not on {device.type}; take --dtype bfloat16 there")
    if kind == "int4":
        bitsandbytes()


def chosen_layers(net: nn.Module, kind: str) -> Iterator[tuple[str, nn.Linear]]:
    """Names and layers that ``kind`` quantizes."""
    for name, layer in net.named_modules():
        whole = kind != "int4" or (isinstance(layer, nn.Linear) and layer.weight.numel() % BLOCK == 0)
        if isinstance(layer, nn.Linear) and layer.bias is None and name.startswith(PARTS) and whole:
            yield name, layer


def replace_layers(net: nn.Module, kind: str) -> set[str]:
    """Put empty quantized layers (on the meta device) in the place of those they stand for; names of their weights."""
    layers = dict(chosen_layers(net, kind))
    for name, layer in layers.items():
        parent, _, own = name.rpartition(".")
        setattr(net.get_submodule(parent), own, KINDS[kind](layer.in_features, layer.out_features))
    return {f"{name}.weight" for name in layers}


def quantized_state(kind: str, name: str, weight: Tensor) -> dict[str, Tensor]:
    """State of the quantized layer whose full weight is called ``name`` ('....weight')."""
    layer = name.removesuffix("weight")
    return {layer + part: tensor for part, tensor in KINDS[kind].encode(weight).items()}


def make_ready(net: nn.Module, dtype: torch.dtype) -> None:
    """Tell the quantized layers that they are where they will stay, and that inputs come in ``dtype``."""
    for layer in net.modules():
        if isinstance(layer, QuantizedLinear):
            layer.ready(dtype)


def weight_bytes(net: nn.Module) -> int:
    """Bytes of all weights."""
    return sum(t.numel() * t.element_size() for t in net.state_dict().values())
