from __future__ import annotations

import pytest

from songbloom.checkpoints import registry
from songbloom.checkpoints.registry import NATIVE_FILES, RELEASES, File, Release, Source, find, present, table
from songbloom.errors import InvalidInput

NAMES = ["songbloom_full_150s", "songbloom_full_150s_dpo", "songbloom_full_240s", "songbloom_mini"]


def fill(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"12345")


@pytest.fixture
def package_models(tmp_path, monkeypatch):
    """An own place for the models that come with the package."""
    folder = tmp_path / "package"
    monkeypatch.setattr(registry, "BUNDLED_FOLDER", folder)
    return folder


def test_known_names():
    assert [release.name for release in RELEASES] == NAMES
    assert [find(name).name for name in NAMES] == NAMES


@pytest.mark.parametrize(
    ("name", "hint"), [("songbloom_full_150", "songbloom_full_150s?"), ("mini", "songbloom_mini?")]
)
def test_unknown_name_lists_the_known_and_the_nearest(name, hint):
    with pytest.raises(InvalidInput) as caught:
        find(name)
    assert f"did you mean {hint}" in str(caught.value)
    assert all(known in str(caught.value) for known in NAMES)


def test_name_like_none_of_them():
    with pytest.raises(InvalidInput) as caught:
        find("../../x")
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
def test_rows_are_safe_and_complete(release):
    assert release.longest_s > 0 and release.seconds_per_tag > 0 and release.licence and release.description
    for file in release.files:
        assert "/" not in file.name and ".." not in file.name
        assert file.sha256 is None or len(bytes.fromhex(file.sha256)) == 32
    if not release.bundled:
        assert {file.name for file in release.files} == {
            f"{release.name}.yaml",
            f"{release.name}.pt",
            "stable_audio_1920_vae.json",
            "autoencoder_music_dsp1920.ckpt",
            "vocab_g2p.yaml",
        }
        assert {source.kind for source in release.sources} == {"hub", "modelscope"}
        assert all(source.licence and source.repo.count("/") == 1 for source in release.sources)


def test_facts_of_the_published_releases():
    assert [(find(name).longest_s, find(name).seconds_per_tag) for name in NAMES[:3]] == [
        (150.0, 1.0),
        (150.0, 1.0),
        (240.0, 5.0),
    ]
    assert find("songbloom_full_240s").sources[0].repo == "CypressYang/SongBloom_long"
    assert find("songbloom_full_150s").sources[0].repo == "CypressYang/SongBloom"


def test_a_source_with_some_files_only():
    source = Source("hub", "a/b", files=("x",))
    assert source.may_have("x") and not source.may_have("y")
    assert source.licence.startswith("unknown")


def test_present_directly_or_in_a_folder_of_its_name(tmp_path):
    release = find(NAMES[0])
    names = [file.name for file in release.files]
    assert present(release, tmp_path / "none") is None
    assert present(release, None) is None
    fill(tmp_path / release.name, names[:-1])
    assert present(release, tmp_path) is None
    fill(tmp_path / release.name, names)
    assert present(release, tmp_path) == tmp_path / release.name
    fill(tmp_path, names)
    assert present(release, tmp_path) == tmp_path


def test_present_compares_known_sizes_and_refuses_empty_files(tmp_path):
    release = Release("r", "d", 1, 1.0, 1.0, "x", files=(File("a", size=4),), sources=(Source("hub", "a/b"),))
    fill(tmp_path, ["a"])
    assert present(release, tmp_path) is None
    (tmp_path / "a").write_bytes(b"1234")
    assert present(release, tmp_path) == tmp_path
    unsized = Release("r", "d", 1, 1.0, 1.0, "x", files=(File("b"),), sources=(Source("hub", "a/b"),))
    (tmp_path / "b").touch()
    assert present(unsized, tmp_path) is None
    (tmp_path / "b").unlink()
    (tmp_path / "b").mkdir()
    assert present(unsized, tmp_path) is None


def test_bundled_model_is_found_without_a_folder(package_models, tmp_path):
    mini = find("songbloom_mini")
    assert present(mini, tmp_path / "cache") is None
    fill(package_models / mini.name, NATIVE_FILES)
    assert present(mini, tmp_path / "cache") == package_models / mini.name
    assert present(mini, None) == package_models / mini.name
    fill(tmp_path / "cache" / mini.name, NATIVE_FILES)
    assert present(mini, tmp_path / "cache") == tmp_path / "cache" / mini.name


def test_converted_release_counts_where_the_folder_bears_its_name(tmp_path):
    release = find(NAMES[1])
    fill(tmp_path / "other", NATIVE_FILES)
    assert present(release, tmp_path / "other") is None
    fill(tmp_path / release.name, NATIVE_FILES)
    assert present(release, tmp_path) == tmp_path / release.name
    assert present(release, tmp_path / release.name) == tmp_path / release.name


def test_table_gives_sizes_from_disk_or_an_estimate(package_models, tmp_path):
    fill(package_models / "songbloom_mini", NATIVE_FILES)
    fill(tmp_path / NAMES[0], [file.name for file in find(NAMES[0]).files])
    rows = {row.name: row for row in table(tmp_path)}
    assert list(rows) == NAMES
    assert rows[NAMES[0]].present == tmp_path / NAMES[0] and rows[NAMES[0]].size_bytes == 25
    assert rows["songbloom_mini"].size_bytes == 15 and rows["songbloom_mini"].licence == "Apache-2.0"
    assert rows[NAMES[1]].present is None and rows[NAMES[1]].size_bytes > 7e9
    assert rows[NAMES[2]].longest_s == 240 and "read the card" in rows[NAMES[2]].licence
