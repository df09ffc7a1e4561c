from __future__ import annotations

import json
import shutil

from songbloom.checkpoints.registry import RELEASES


def test_every_model_is_listed_with_size_length_licence_and_presence(run, tmp_path):
    code, out, _ = run("models", "--local-dir", tmp_path)
    assert code == 0
    assert [block.split(":")[0] for block in out.split("\n\n")] == [release.name for release in RELEASES]
    assert "1.87 B parameters, about 8.2 GB, songs up to 240 s" in out
    assert "no; songbloom download songbloom_full_150s_dpo" in out
    assert out.count("licence:") == len(RELEASES)


def test_json(run, tmp_path, tiny_folder):
    shutil.copytree(tiny_folder, tmp_path / "songbloom_full_150s")
    rows = [json.loads(line) for line in run("models", "--json", "--local-dir", tmp_path).out.splitlines()]
    assert [row["name"] for row in rows] == [release.name for release in RELEASES]
    here = rows[0]
    assert here["present"] == str(tmp_path / "songbloom_full_150s")
    assert here["size_bytes"] == sum(path.stat().st_size for path in tiny_folder.iterdir())
    assert rows[1]["present"] is None
