from __future__ import annotations

import shutil

import torch
from safetensors.torch import load_file

from tests.conftest import GOLDENS

OWN = ("config.json", "model.safetensors", "vae.safetensors")


def test_published_folder_becomes_our_form_and_sings(run, tmp_path, quick, clip):
    out = tmp_path / "own"
    code, printed, _ = run("convert", GOLDENS, "--output", out, "--dtype", "bfloat16")
    assert code == 0
    assert printed.split() == [str(out / name) for name in OWN]
    assert sorted(path.name for path in out.iterdir()) == sorted(OWN)
    assert {t.dtype for t in load_file(out / "model.safetensors").values()} == {torch.bfloat16}
    assert {t.dtype for t in load_file(out / "vae.safetensors").values()} == {torch.float32}
    assert run("generate", "--lyrics", "la", "--prompt-wav", clip, *quick, "--model-name", out).code == 0


def test_own_form_by_name_is_converted_too(run, tmp_path, tiny_folder):
    shutil.copytree(tiny_folder, tmp_path / "songbloom_full_240s")
    out = tmp_path / "again"
    assert run("convert", "songbloom_full_240s", "--local-dir", tmp_path, "--output", out).code == 0
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (out, tiny_folder))
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())
    assert '"seconds_per_tag": 5.0' in (out / "config.json").read_text(encoding="utf-8")


def test_refused(run, tmp_path, tiny_folder):
    (tmp_path / "file").touch()
    assert run("convert", tiny_folder, "--output", tmp_path / "file").code == 1
    assert run("convert", tiny_folder, "--output", tmp_path / "a", "--dtype", "int8").code == 2
    assert run("convert", tmp_path, "--output", tmp_path / "b").code == 2
    assert run("convert", tiny_folder).code == 2
