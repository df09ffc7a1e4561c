"""Loading of both forms, what is refused, and what it costs; the full-size model without its weights."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from songbloom.checkpoints import load
from songbloom.checkpoints.load import load_folder, model_name, read_config, save_native
from songbloom.checkpoints.published import split_like_published
from songbloom.errors import CheckpointError, OutputError
from songbloom.model.config import LyricsConfig, NetConfig
from songbloom.model.network import SongBloomNet

GOLDENS = Path(__file__).parents[1] / "goldens" / "set_a"
PUBLISHED = ("model.yaml", "model.pt", "vae.json", "vae.ckpt", "vocab.yaml")

# Shapes of the published layout: D dim, F 4 x dim, L latents, B block, P tokens, V lyric tokens, S sentences, T time.
LAYOUT = {
    "bos_token": "D",
    "condition_provider.conditioners.prompt_wav.output_proj.weight": "D L",
    "condition_provider.conditioners.lyrics.blank_emb": "1 D",
    "condition_provider.conditioners.lyrics.output_proj.weight": "V D",
    "condition_provider.conditioners.lyrics.sentence_idx_in_structure_emb.weight": "S D",
    "skeleton_emb.weight": "P+2 D",
    "ar_transformer.norm.weight": "D",
    "ar_transformer.layers.N.self_attn.q_proj.weight": "D D",
    "ar_transformer.layers.N.self_attn.k_proj.weight": "D D",
    "ar_transformer.layers.N.self_attn.v_proj.weight": "D D",
    "ar_transformer.layers.N.self_attn.o_proj.weight": "D D",
    "ar_transformer.layers.N.mlp.gate_proj.weight": "F D",
    "ar_transformer.layers.N.mlp.up_proj.weight": "F D",
    "ar_transformer.layers.N.mlp.down_proj.weight": "D F",
    "ar_transformer.layers.N.input_layernorm.weight": "D",
    "ar_transformer.layers.N.post_attention_layernorm.weight": "D",
    "skeleton_classifier.0.weight": "D D",
    "skeleton_classifier.2.weight": "P+1 D",
    "skeleton_classifier.2.bias": "P+1",
    "block_conv.1.weight": "D L*B",
    "block_conv.1.bias": "D",
    "block_conv.3.weight": "D D",
    "block_conv.3.bias": "D",
    "project_in.weight": "D L",
    "project_in.bias": "D",
    "project_out.weight": "L D",
    "project_out.bias": "L",
    "timestep_features.weight": "T/2 1",
    "to_timestep_embed.0.weight": "D T",
    "to_timestep_embed.2.weight": "D D",
    "to_timestep_embed.2.bias": "D",
    "nar_dit.layers.N.pre_norm.gamma": "D",
    "nar_dit.layers.N.pre_norm.beta": "D",
    "nar_dit.layers.N.self_attn.to_qkv.weight": "3*D D",
    "nar_dit.layers.N.self_attn.to_out.weight": "D D",
    "nar_dit.layers.N.ff_norm.gamma": "D",
    "nar_dit.layers.N.ff_norm.beta": "D",
    "nar_dit.layers.N.ff.ff.0.gate_proj.weight": "F D",
    "nar_dit.layers.N.ff.ff.0.up_proj.weight": "F D",
    "nar_dit.layers.N.ff.ff.2.weight": "D F",
}


def size(symbol: str, config: NetConfig) -> int:
    """'P+1' or '3*D' as a number."""
    values = {
        "D": config.dim, "F": 4 * config.dim, "L": config.latent_dim, "B": config.block_size, "P": config.num_pitch,
        "V": len(config.lyrics.vocab), "S": config.lyrics.max_sentences, "T": config.timestep_features,
    }  # fmt: skip
    first, operation, second = (re.split(r"([+*/])", symbol) + ["*", "1"])[:3]
    a, b = (values[part] if part in values else int(part) for part in (first, second))
    return {"+": a + b, "*": a * b, "/": a // b}[operation]


def layout(config: NetConfig) -> dict[str, list[int]]:
    """Name and shape of every tensor of a published checkpoint of this size, without its VAE."""
    found = {}
    for name, symbols in LAYOUT.items():
        layers = config.lm_layers if name.startswith("ar_") else config.diff_layers if name.startswith("nar_") else 1
        for layer in range(layers):
            shape = [size(symbol, config) for symbol in symbols.split()]
            found["model." + name.replace(".N.", f".{layer}.")] = shape
    return found


def shapes(net: SongBloomNet) -> dict[str, list[int]]:
    return {name: list(t.shape) for name, t in split_like_published(net.state_dict()).items()}


def test_the_layout_is_the_published_one():
    keys = json.loads((GOLDENS / "state_dict_keys.json").read_text(encoding="utf-8"))
    published = {name: shape for name, (shape, _) in keys.items() if not name.startswith("vae.")}
    assert layout(read_config(GOLDENS).net) == published


def test_full_size_model_has_every_published_name_and_shape():
    config = NetConfig(
        dim=1536, num_heads=24, lm_layers=36, diff_layers=12, num_pitch=16384, block_size=16, latent_dim=64,
        timestep_features=256, rotary_base=20000.0, prompt_max_len=250,
        lyrics=LyricsConfig(vocab=read_config(GOLDENS).net.lyrics.vocab, max_len=600, max_sentences=50),
    )  # fmt: skip
    with torch.device("meta"):
        net = SongBloomNet(config)
    assert all(t.is_meta for t in net.state_dict().values())
    assert shapes(net) == layout(config)
    assert 1.8e9 < sum(t.numel() for t in net.state_dict().values()) < 1.9e9


@pytest.fixture
def published(tmp_path) -> Path:
    folder = tmp_path / "published"
    folder.mkdir()
    for name in PUBLISHED:
        shutil.copy(GOLDENS / name, folder / name)
    return folder


def rewrite(folder: Path, change) -> None:
    """Save ``model.pt`` again after ``change`` of its tensors by name."""
    tensors = torch.load(folder / "model.pt", weights_only=True)
    tensors = tensors.get("state_dict", tensors)
    change(tensors)
    torch.save(tensors, folder / "model.pt")


def test_own_form_holds_the_same_tensors(published, tmp_path):
    loaded = load_folder(published)
    save_native(tmp_path / "own", loaded)
    again = load_folder(tmp_path / "own")
    assert again.config == loaded.config
    assert sorted(p.name for p in (tmp_path / "own").iterdir()) == [
        "config.json", "model.safetensors", "vae.safetensors",
    ]  # fmt: skip
    for ours, theirs in ((again.net, loaded.net), (again.vae, loaded.vae)):
        for name, tensor in theirs.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[name], tensor, rtol=0, atol=0)


def test_vae_file_is_used_where_the_model_has_none(published):
    whole = load_folder(published)
    rewrite(published, lambda t: [t.pop(name) for name in list(t) if name.startswith("vae.")])
    apart = load_folder(published)
    for name, tensor in whole.vae.state_dict().items():
        torch.testing.assert_close(apart.vae.state_dict()[name], tensor, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_dtype_is_of_the_network_alone(published, dtype):
    loaded = load_folder(published, dtype=dtype)
    assert {p.dtype for p in loaded.net.parameters()} == {dtype}
    assert {p.dtype for p in loaded.vae.parameters()} == {torch.float32}


def test_missing_and_unexpected_tensors_are_listed(published):
    def change(tensors):
        del tensors["model.project_in.bias"]
        del tensors["model.ar_transformer.layers.1.self_attn.k_proj.weight"]
        tensors["model.surprise"] = torch.zeros(1)

    rewrite(published, change)
    with pytest.raises(CheckpointError) as caught:
        load_folder(published)
    text = str(caught.value)
    assert "2 missing: model.ar_transformer.layers.1.self_attn.k_proj.weight, model.project_in.bias" in text
    assert "1 unexpected: model.surprise" in text


def test_wrong_vocabulary_size(published):
    vocab = yaml.safe_load((published / "vocab.yaml").read_text(encoding="utf-8"))
    (published / "vocab.yaml").write_text(yaml.safe_dump(vocab[:-5], allow_unicode=True), encoding="utf-8")
    with pytest.raises(CheckpointError, match="lyrics.embedding.weight"):
        load_folder(published)


def test_wrong_tensor_in_own_form(tiny_folder, tmp_path):
    folder = tmp_path / "own"
    shutil.copytree(tiny_folder, folder)
    tensors = load_file(folder / "model.safetensors")
    tensors["extra"] = tensors.pop("bos")
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"1 missing: bos; 1 unexpected: extra"):
        load_folder(folder)


class Malicious:
    """Unpickled by a careless loader, it creates a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return open, (str(self.target), "w")


@pytest.mark.parametrize("file", ["model.pt", "vae.ckpt"])
@pytest.mark.parametrize(
    "save", [torch.save, lambda obj, path: path.write_bytes(pickle.dumps(obj))], ids=["zip", "raw"]
)
def test_code_in_a_checkpoint_is_never_run(published, tmp_path, file, save):
    target = tmp_path / "created"
    if file == "vae.ckpt":
        rewrite(published, lambda t: [t.pop(name) for name in list(t) if name.startswith("vae.")])
    save({"model.bos_token": Malicious(target)}, published / file)
    with pytest.raises(CheckpointError, match="cannot be read as a file of plain tensors"):
        load_folder(published)
    assert not target.exists()


@pytest.mark.parametrize("damage", ["empty", "text", "cut"])
@pytest.mark.parametrize("file", ["model.pt", "vae.json", "model.yaml", "vocab.yaml"])
def test_damaged_published_files(published, file, damage):
    path = published / file
    data = path.read_bytes()
    path.write_bytes({"empty": b"", "text": b"]not[ a: file", "cut": data[: len(data) // 2]}[damage])
    with pytest.raises(CheckpointError):
        load_folder(published)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "vae.safetensors"])
def test_damaged_own_files(tiny_folder, tmp_path, file):
    folder = tmp_path / "own"
    shutil.copytree(tiny_folder, folder)
    (folder / file).write_bytes((folder / file).read_bytes()[:100])
    with pytest.raises(CheckpointError, match=re.escape(file)):
        load_folder(folder)


def test_folder_without_a_model(tmp_path):
    with pytest.raises(CheckpointError, match="holds no model"):
        load_folder(tmp_path)
    assert model_name(tmp_path) is None


def test_name_of_a_folders_model(published, tiny_folder):
    assert model_name(published) == "model"
    assert model_name(tiny_folder) == "tiny"


def test_unwritable_output(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        save_native(tmp_path / "file", load_folder(GOLDENS))


MEASURE = """
import sys, torch
from pathlib import Path
from songbloom.checkpoints.load import load_folder
def memory(field):
    line = next(l for l in open("/proc/self/status") if l.startswith(field))
    return int(line.split()[1]) * 1024
load_folder(Path(sys.argv[1]))  # what the first load imports and sets up does not grow with the weights
before = memory("VmRSS")
Path("/proc/self/clear_refs").write_text("5")
loaded = load_folder(Path(sys.argv[2]))
weights = sum(t.numel() * t.element_size() for m in (loaded.net, loaded.vae) for t in m.state_dict().values())
sys.stdout.write(f"{(memory('VmHWM') - before) / weights} {weights}")
"""


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="peak memory is measured on Linux")
def test_peak_memory_of_loading_is_near_the_weights(published, tmp_path):
    large = tmp_path / "large"
    shutil.copytree(published, large)
    settings = yaml.safe_load((large / "model.yaml").read_text(encoding="utf-8"))
    settings["model"] |= {"dim": 768, "num_heads": 12, "lm_layers": 3, "diff_layers": 2, "num_pitch": 1024}
    (large / "model.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    tensors = {name: torch.rand(shape) for name, shape in layout(read_config(large).net).items()}
    torch.save(tensors, large / "model.pt")
    command = [sys.executable, "-c", MEASURE, str(published), str(large)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    ratio, weights = map(float, done.stdout.split())
    assert weights > 190e6
    assert 0.5 < ratio <= 1.2


def test_a_model_is_replaced_as_a_whole_or_not_at_all(tmp_path, monkeypatch):
    loaded = load_folder(GOLDENS)
    save_native(tmp_path / "own", loaded)
    before = {path.name: path.read_bytes() for path in (tmp_path / "own").iterdir()}
    for tensor in loaded.net.parameters():
        tensor.data += 1
    write, written = load.write_shards, []

    def interrupted(path, *rest):
        if written:
            raise KeyboardInterrupt
        written.append(path)
        write(path, *rest)

    monkeypatch.setattr(load, "write_shards", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_native(tmp_path / "own", loaded)
    assert written and {path.name: path.read_bytes() for path in (tmp_path / "own").iterdir()} == before


def test_weights_in_other_parts_replace_those_that_were_there(tmp_path):
    loaded = load_folder(GOLDENS)
    for round_, most_bytes in enumerate((2**62, 200_000, 400_000, 2**62)):
        for tensor in loaded.net.parameters():
            tensor.data.fill_(round_)
        save_native(tmp_path / "own", loaded, most_bytes)
        again = load_folder(tmp_path / "own")
        assert all((tensor == round_).all() for tensor in again.net.parameters())
