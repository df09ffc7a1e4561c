"""Loading a model from a folder, in the published form or our own, and saving our own.

Our own form is ``config.json``, ``model.safetensors`` and ``vae.safetensors``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from songbloom.checkpoints.published import Recipe, net_recipe, vae_recipe
from songbloom.checkpoints.resolvers import load_config
from songbloom.checkpoints.tensor_files import TensorFile, TorchFile, open_safetensors, write_shards
from songbloom.errors import CheckpointError, InvalidInput, OutputError
from songbloom.files import write_json
from songbloom.model.config import ModelConfig
from songbloom.model.network import SongBloomNet
from songbloom.model.vae import build_vae
from songbloom.optimize.offload import Turns, take_turns
from songbloom.quantize.linear import QuantizedLinear
from songbloom.quantize.network import check, make_ready, quantized_state, replace_layers

CONFIG, NET, VAE = "config.json", "model.safetensors", "vae.safetensors"
WEIGHTS = re.compile(r"(model|vae)(-\d{5}-of-\d{5})?\.safetensors")
# A file is mapped again for every group of tensors, so that the pages of earlier ones do not add to the peak.
GROUPS, SMALLEST_GROUP = 16, 8 << 20  # groups of a module; bytes


@dataclass
class LoadedModel:
    """A configuration with its weights in place."""

    config: ModelConfig
    net: SongBloomNet
    vae: Any
    turns: Turns | None = None  # of its parts on a small GPU


def load_folder(
    folder: Path,
    name: str = "model",
    *,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    quantization: str = "none",
    offload: bool = False,
) -> LoadedModel:
    """Load the model in ``folder``: our own form if it has a ``config.json``, else the published ``NAME.yaml``.

    The network is cast to ``dtype``; the VAE stays float32. Weights are quantized while they are read, so that the
    full ones are never in memory together; a file of quantized weights is taken as it is.

    Args:
        offload: have the parts take turns on ``device`` (:mod:`songbloom.optimize.offload`).

    Raises:
        CheckpointError: files are missing, are not plain tensors, or do not fit the configuration.
        InvalidInput: ``quantization`` is unknown, or is not that of a file of quantized weights.
        NotAvailable: it cannot be computed with here.
    """
    device = torch.device(device)
    check(quantization, device)
    first = torch.device("cpu") if offload else device
    if (folder / CONFIG).is_file():
        loaded = _load_native(folder, dtype, first, quantization)
    elif (folder / f"{name}.yaml").is_file():
        loaded = _load_published(folder, name, dtype, first, quantization)
    else:
        raise CheckpointError(f"{folder} holds no model: neither {CONFIG} nor {name}.yaml is there")
    return settle(loaded, dtype, device, offload=offload)


def settle(loaded: LoadedModel, dtype: torch.dtype, device: torch.device, *, offload: bool) -> LoadedModel:
    """Bring a filled model where it stays; inputs will come in ``dtype``."""
    if offload:
        loaded.turns = take_turns(loaded.net, loaded.vae, device)
    else:
        loaded.vae.to(device)
    make_ready(loaded.net, dtype)
    loaded.net.eval()
    loaded.vae.eval()
    return loaded


def model_name(folder: Path) -> str | None:
    """The name of the model in ``folder``: the folder's own for our form, NAME of ``NAME.yaml`` and ``NAME.pt``."""
    if (folder / CONFIG).is_file():
        return folder.resolve().name
    names = sorted(path.stem for path in folder.glob("*.yaml") if path.with_suffix(".pt").is_file())
    return names[0] if names else None


def read_config(folder: Path, name: str = "model") -> ModelConfig:
    """The configuration of the model in ``folder``, without its weights.

    Raises:
        CheckpointError: it cannot be read or is not one.
    """
    if not (folder / CONFIG).is_file():
        return _published_config(load_config(folder / f"{name}.yaml"))
    try:
        data = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder / CONFIG} cannot be read: {error}") from error
    return ModelConfig.from_dict(data)


def _load_native(folder: Path, dtype: torch.dtype, device: torch.device, quantization: str) -> LoadedModel:
    config = read_config(folder)
    stored = config.quantization
    if stored != "none" and quantization not in ("none", stored):
        raise InvalidInput(
            "quantization", quantization, f"{folder} holds {stored} weights; take {stored}, or its source"
        )
    check(stored, device)
    net, vae = _empty(config)
    if stored != "none":
        replace_layers(net, stored)
    config = replace(config, quantization=stored if stored != "none" else quantization)
    fill(net, open_safetensors(folder / NET), same_name, dtype, device, quantization if stored == "none" else "none")
    fill(vae, open_safetensors(folder / VAE), same_name, torch.float32, device)
    return LoadedModel(config, net, vae)


def _load_published(
    folder: Path, name: str, dtype: torch.dtype, device: torch.device, quantization: str
) -> LoadedModel:
    data = load_config(folder / f"{name}.yaml")
    config = replace(_published_config(data), quantization=quantization)
    net, vae = _empty(config)
    weights = Path(data.get("pretrained_path") or "")
    source = TorchFile(weights if weights.is_file() else folder / f"{name}.pt")
    in_model = sorted(n for n in source.names if n.startswith("vae."))
    fill(net, source, net_recipe, dtype, device, quantization, ignore=in_model)
    if in_model:
        others = source.names - set(in_model)
        fill(vae, source, lambda n: vae_recipe(n, "vae.vae."), torch.float32, device, ignore=others)
    else:
        fill(vae, TorchFile(Path(data["vae"]["vae_ckpt"])), vae_recipe, torch.float32, device)
    return LoadedModel(config, net, vae)


def _published_config(data: dict[str, Any]) -> ModelConfig:
    """The configuration, with the contents of the VAE's JSON file in place of its path."""
    try:
        path = Path(data["vae"]["vae_cfg"])
        vae = data["vae"] | {"vae_cfg": json.loads(path.read_text(encoding="utf-8"))}
        return ModelConfig.from_published(data | {"vae": vae})
    except (OSError, ValueError) as error:
        raise CheckpointError(f"VAE configuration {path} cannot be read: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:  # a value of another kind than published
        raise CheckpointError(f"configuration: {error}") from error


def _empty(config: ModelConfig) -> tuple[SongBloomNet, Any]:
    """The modules, the large ones without storage; :func:`fill` gives them tensors."""
    with torch.device("meta"):
        net = SongBloomNet(config.net)
    return net, build_vae(config.vae)


def same_name(name: str) -> Recipe:
    return Recipe((name,), lambda tensors: tensors[0])


def fill(
    module: nn.Module,
    source: TensorFile,
    recipe: Callable[[str], Recipe],
    dtype: torch.dtype,
    device: torch.device,
    quantization: str = "none",
    ignore: Iterable[str] = (),
) -> None:
    """Give ``module`` its tensors from ``source``, few at a time; integers stay what they are."""
    recipes = {name: recipe(name) for name in module.state_dict()}
    expected = {part for r in recipes.values() for part in r.parts}
    _report_mismatch(source.path, expected - source.names, source.names - expected - set(ignore))
    as_stored = {f"{name}.{part}" for name, m in module.named_modules() if isinstance(m, QuantizedLinear)
                 for part in m.state_dict()}  # fmt: skip
    groups = list(_groups(module))
    to_quantize = replace_layers(module, quantization) if quantization != "none" else set()
    state: dict[str, Tensor] = {}
    for group in groups:
        tensors = source.read(part for name in group for part in recipes[name].parts)
        for name in group:
            tensor = recipes[name].combine([tensors[part] for part in recipes[name].parts]).to(device)
            if name in to_quantize:
                state |= quantized_state(quantization, name, tensor)
            else:
                state[name] = tensor if name in as_stored else tensor.to(dtype)
        del tensors
    try:
        module.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise CheckpointError(f"{source.path} does not fit its configuration: {error}") from error


def _groups(module: nn.Module) -> Iterator[list[str]]:
    """Names of the module's tensors in groups of about equal size in memory."""
    sizes = {name: t.numel() * t.element_size() for name, t in module.state_dict().items()}
    limit = max(SMALLEST_GROUP, sum(sizes.values()) // GROUPS)
    group: list[str] = []
    held = 0
    for name, size in sizes.items():
        if group and held + size > limit:
            yield group
            group, held = [], 0
        group.append(name)
        held += size
    if group:
        yield group


def _report_mismatch(path: Path, missing: Iterable[str], unexpected: Iterable[str]) -> None:
    lists = [(sorted(missing), "missing"), (sorted(unexpected), "unexpected")]
    parts = [f"{len(names)} {what}: {', '.join(names)}" for names, what in lists if names]
    if parts:
        raise CheckpointError(f"{path} does not fit its configuration; tensors {'; '.join(parts)}")


def save_native(folder: Path, model: LoadedModel, most_bytes: int = 2**62) -> None:
    """Write our own form into ``folder``. All of it is written aside before anything is renamed, so that a model that
    was there stays or is replaced as a whole.

    Args:
        most_bytes: of one file of weights; larger ones come in parts.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".songbloom-", dir=folder) as made:
            aside = Path(made)
            write_shards(aside / NET, model.net.state_dict(), most_bytes)
            write_shards(aside / VAE, model.vae.state_dict(), most_bytes)
            write_json(aside / CONFIG, model.config.to_dict())
            written = {path.name for path in aside.iterdir()}
            for name in written - {CONFIG}:
                (aside / name).replace(folder / name)
            for old in folder.iterdir():  # weights in more or fewer parts than these would be taken for them
                if WEIGHTS.fullmatch(old.name) and old.name not in written:
                    old.unlink()
            (aside / CONFIG).replace(folder / CONFIG)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error}") from error
