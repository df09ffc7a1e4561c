from __future__ import annotations

from unittest import mock

import pytest

from songbloom.corpus import generate
from songbloom.corpus.settings import CorpusSettings


def test_options_reach_the_corpus_code(run, tmp_path, monkeypatch):
    write = mock.create_autospec(generate.write_corpus, return_value=12)
    monkeypatch.setattr(generate, "write_corpus", write)
    code, out, _ = run("corpus", "--output", tmp_path, "--hours", 0.5, "--seed", 3, "--workers", 2, "--held-out")
    assert (code, out) == (0, f"12 songs in {tmp_path}\n")
    write.assert_called_once_with(
        tmp_path, hours=0.5, n_songs=None, seed=3, settings=CorpusSettings(held_out=True), workers=2
    )


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--hours", "1", "--songs", "2"],
        ["--hours", "-1"],
        ["--hours", "nan"],
        ["--songs", "0"],
        ["--hours", "1", "--workers", "0"],
    ],
)
def test_wrong_use(run, tmp_path, arguments):
    assert run("corpus", "--output", tmp_path / "corpus", *arguments).code == 2


def test_unwritable_folder(run, tmp_path):
    (tmp_path / "file").touch()
    assert run("corpus", "--output", tmp_path / "file" / "below", "--songs", 1).code == 1
