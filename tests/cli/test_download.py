from __future__ import annotations

import pytest

from songbloom.checkpoints.download import DownloadReport
from songbloom.checkpoints.registry import find
from songbloom.checkpoints.transfer import Progress
from songbloom.cli import download


def test_progress_and_the_licence_of_each_copy_are_shown(run, tmp_path, monkeypatch):
    def fetch(release, local_dir, *, progress):
        assert (release, local_dir) == (find("songbloom_full_150s"), str(tmp_path))
        for file, size in (("a.yaml", 10), ("a.pt", 4_000_000)):
            progress(Progress(file, 0, size, None))
            progress(Progress(file, size, size, 0.0))
        return DownloadReport(release, tmp_path / "x", licences={release.sources[0]: "academic use only"})

    monkeypatch.setattr(download, "download", fetch)
    code, out, err = run("download", "songbloom_full_150s", "--local-dir", tmp_path)
    assert code == 0
    assert out.splitlines() == [
        f"songbloom_full_150s: licence: {find('songbloom_full_150s').licence}",
        "licence as stated by hub CypressYang/SongBloom: academic use only",
        str(tmp_path / "x"),
    ]
    assert "a.yaml: 100%" in err
    assert "4.00M/4.00M" in err


def test_no_server_names_every_source_and_the_way_out(run, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("MODELSCOPE_DOMAIN", "http://127.0.0.1:9")
    outcome = run("download", "songbloom_full_150s", "--local-dir", tmp_path)
    assert outcome.code == 1
    for source in find("songbloom_full_150s").sources[:3]:
        assert source.repo in outcome.err
    assert "--local-dir FOLDER" in outcome.err


@pytest.mark.parametrize("name", ["songbloom_full_150", ""])
def test_unknown_names(run, name):
    outcome = run("download", name)
    assert outcome.code == 2
    assert "Known models: songbloom_full_150s" in outcome.errors[0]
