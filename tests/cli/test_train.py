from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest

from songbloom.cli import train
from songbloom.model.stft_vae import StftVaeConfig
from songbloom.train.autoencoder import AutoencoderTraining
from songbloom.train.trainer import TrainSettings


@pytest.fixture
def replaced(monkeypatch):
    """Replaces a function where the command looks it up by one of the same signature, and returns it."""

    def replace(owner, name, result=None):
        double = mock.create_autospec(getattr(owner, name), return_value=result)
        monkeypatch.setattr(owner, name, double)
        return double

    return replace


def test_labels(run, tmp_path, replaced):
    stage = replaced(train.mini, "pretrain_labels")
    code, out, _ = run(
        "train", "labels", "--run", tmp_path, "--minutes", 5, "--learning-rate", 1e-4, "--dtype", "bfloat16"
    )
    assert (code, out) == (0, f"{tmp_path / 'ema.safetensors'}\n")
    stage.assert_called_once_with(tmp_path, TrainSettings(minutes=5, learning_rate=1e-4, dtype="bfloat16"), None)


def test_songs(run, tmp_path, replaced):
    stage = replaced(train.mini, "train_songs")
    arguments = ["--run", tmp_path / "run", "--store", tmp_path, "--minutes", 1, "--weights", "w.safetensors"]
    assert run("train", "songs", *arguments, "--seed", 2).code == 0
    settings = TrainSettings(minutes=1, seed=2)
    stage.assert_called_once_with(tmp_path / "run", settings, tmp_path, Path("w.safetensors"))


def test_autoencoder(run, tmp_path, replaced, monkeypatch):
    threads = []
    monkeypatch.setattr(train.torch, "set_num_threads", threads.append)
    stage = replaced(train, "train_autoencoder", tmp_path / "ema.safetensors")
    code, out, _ = run(
        "train", "autoencoder", "--corpus", tmp_path, "--run", tmp_path, "--minutes", 2, "--threads", 1, "--fresh",
        "--network", '{"channels": 64}', "--batch-size", 2,
    )  # fmt: skip
    assert (code, out) == (0, f"{tmp_path / 'ema.safetensors'}\n")
    (config, corpus, folder), options = stage.call_args
    assert (config, corpus, folder) == (StftVaeConfig(channels=64), tmp_path, tmp_path)
    assert (options["minutes"], options["resume"], threads) == (2, False, [1])
    assert options["training"] == AutoencoderTraining(batch_size=2)


def test_encode_and_export(run, tmp_path, replaced):
    replaced(train, "load_autoencoder", "the autoencoder")
    encode, export = replaced(train, "encode_corpus", 4), replaced(train.mini, "export")
    folders = ["--corpus", tmp_path, "--autoencoder", tmp_path, "--store", tmp_path / "store"]
    assert run("train", "encode", *folders).out == f"4 songs in {tmp_path / 'store'}\n"
    assert encode.call_args.args == (tmp_path, "the autoencoder", tmp_path / "store")
    folders = ["--run", tmp_path, "--autoencoder", tmp_path, "--output", tmp_path / "out"]
    assert run("train", "export", *folders).out == f"{tmp_path / 'out'}\n"
    assert export.call_args.args == (tmp_path, tmp_path, tmp_path / "out", None)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["sing"],
        ["labels", "--run", "x"],
        ["labels", "--run", "x", "--minutes", "soon"],
        ["labels", "--run", "x", "--minutes", "1", "--threads", "0"],
        ["songs", "--store", "nowhere", "--run", "x", "--minutes", "1"],
        ["encode", "--corpus", "nowhere", "--autoencoder", ".", "--store", "x"],
        ["autoencoder", "--corpus", ".", "--run", "x", "--network", '{"size": 3}'],
        ["autoencoder", "--corpus", ".", "--run", "x", "--network", "{"],
        ["autoencoder", "--corpus", ".", "--run", "x", "--batch-size", "0"],
    ],
)
def test_wrong_use(run, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = run("train", *arguments)
    assert outcome.code == 2
    assert not list(tmp_path.iterdir())


def test_what_is_no_object_is_explained(run, tmp_path):
    arguments = ["autoencoder", "--corpus", tmp_path, "--run", tmp_path / "x", "--network"]
    for network in ("[1]", "{"):
        assert "is no JSON object" in run("train", *arguments, network).err


def test_help_names_every_stage_and_setting(run):
    assert all(stage in run("train", "--help").out for stage in train.STAGES)
    assert "--guide-weight" in run("train", "songs", "--help").out


def test_tokenizer(run, tmp_path, replaced):
    stage, probed = replaced(train, "train_tokenizer", "the tokenizer"), replaced(train, "probe", {"phone": 0.9})
    replaced(train, "SongStore")
    code, out, _ = run(
        "train", "tokenizer", "--store", tmp_path, "--run", tmp_path, "--steps", 3, "--held-out", tmp_path
    )
    assert (code, out) == (0, f'{{"phone": 0.9}}\n{tmp_path / "tokenizer.safetensors"}\n')
    stage.assert_called_once_with(tmp_path, tmp_path, steps=3)
    probed.assert_called_once_with("the tokenizer", tmp_path)


def test_stages_of_one_process_are_not_started_by_several(run, tmp_path, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "0")
    outcome = run("train", "autoencoder", "--corpus", tmp_path, "--run", tmp_path / "x")
    assert outcome.code == 2 and "of one process" in outcome.err and not (tmp_path / "x").exists()


def test_a_device_that_is_not_there_is_told_before_the_corpus_is_made(run, tmp_path):
    outcome = run("train", "all", "--output", tmp_path / "x", "--minutes", 1, "--device", "cuda:99")
    assert outcome.code == 2 and "device" in outcome.err and not (tmp_path / "x").exists()


@pytest.mark.parametrize("amounts", ["--minutes nan", "--minutes 0", "--minutes 1 --hours inf"])
def test_amounts_that_are_none_are_refused_before_any_work(run, tmp_path, amounts, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = run("train", "all", "--output", "x", *amounts.split())
    assert outcome.code == 2 and "must be above 0" in outcome.err and not list(tmp_path.iterdir())
