"""Files of named tensors, read without running code and without keeping mapped pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from songbloom.errors import CheckpointError, OutputError
from songbloom.files import written_aside


class TensorFile(Protocol):
    """A file of named tensors. ``read`` maps the file, copies the wanted tensors and unmaps it again."""

    path: Path
    names: frozenset[str]

    def read(self, names: Iterable[str]) -> dict[str, Tensor]: ...


class SafetensorsFile:
    """A ``.safetensors`` file.

    Raises:
        CheckpointError: the file is missing or is not safetensors.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with safe_open(path, "pt") as file:
                self.names = frozenset(file.keys())
        except FileNotFoundError as error:
            raise CheckpointError(f"{path.name} is missing from {path.parent}") from error
        except SafetensorError as error:
            raise CheckpointError(f"{path} is no readable safetensors file: {error}") from error

    def read(self, names: Iterable[str]) -> dict[str, Tensor]:
        with safe_open(self.path, "pt") as file:
            return {name: file.get_tensor(name) for name in names}


class ShardedFile:
    """Several ``.safetensors`` files ``NAME-00001-of-00002.safetensors`` read as the one ``NAME.safetensors``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files = [
            SafetensorsFile(part) for part in sorted(path.parent.glob(f"{path.stem}-[0-9]*-of-[0-9]*{path.suffix}"))
        ]
        if not self.files:
            raise CheckpointError(f"{path.name} is missing from {path.parent}")
        count = int(self.files[0].path.stem.rpartition("-")[2])
        if len(self.files) != count:
            raise CheckpointError(f"{path.parent} has {len(self.files)} of the {count} parts of {path.name}")
        self.names = frozenset().union(*(file.names for file in self.files))

    def read(self, names: Iterable[str]) -> dict[str, Tensor]:
        wanted = set(names)
        return {name: t for file in self.files for name, t in file.read(wanted & file.names).items()}


def open_safetensors(path: Path) -> TensorFile:
    """The file, or its parts; raises CheckpointError."""
    return SafetensorsFile(path) if path.is_file() else ShardedFile(path)


def write_shards(path: Path, tensors: Mapping[str, Tensor], most_bytes: int) -> None:
    """Write ``tensors`` in as many parts as keep each below ``most_bytes`` (one, named ``path``, if that is enough).

    A single tensor above the limit gets a part of its own.
    """
    parts: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in tensors.items():
        bytes_ = tensor.numel() * tensor.element_size()
        if parts[-1] and size + bytes_ > most_bytes:
            parts.append({})
            size = 0
        parts[-1][name] = tensor
        size += bytes_
    if len(parts) == 1:
        write_safetensors(path, tensors)
        return
    for number, part in enumerate(parts, start=1):
        write_safetensors(path.with_stem(f"{path.stem}-{number:05d}-of-{len(parts):05d}"), part)


class TorchFile:
    """A ``.pt``/``.ckpt`` file of a flat dict of tensors, or one under ``state_dict``.

    Raises:
        CheckpointError: the file is missing, is no checkpoint, or holds anything but tensors (code is never run).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.names = frozenset(self._map())

    def _map(self) -> Mapping[str, Tensor]:
        try:
            data = torch.load(self.path, map_location="cpu", mmap=True, weights_only=True)
        except FileNotFoundError as error:
            raise CheckpointError(f"{self.path.name} is missing from {self.path.parent}") from error
        except Exception as error:  # torch raises many kinds for files it cannot or must not load
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise CheckpointError(f"{self.path} cannot be read as a file of plain tensors: {reason}") from error
        if isinstance(data, dict) and isinstance(data.get("state_dict"), dict):
            data = data["state_dict"]
        if not isinstance(data, dict) or not all(isinstance(t, Tensor) for t in data.values()):
            raise CheckpointError(f"{self.path} does not hold a flat dictionary of tensors")
        return data

    def read(self, names: Iterable[str]) -> dict[str, Tensor]:
        data = self._map()
        return {name: data[name].clone() for name in names}


def write_safetensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write ``tensors``, so that a reader never sees half a file; raises OutputError."""
    with written_aside(path) as aside:
        try:
            mode = aside.stat().st_mode
            save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, aside)
            aside.chmod(mode)  # the library makes files only their owner can read
        except SafetensorError as error:  # the library's own word for what the disk refused
            raise OutputError(f"{path} cannot be written: {error}") from error
