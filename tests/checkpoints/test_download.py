"""Whole releases over real HTTP on loopback, from hubs in every state of decay."""

from __future__ import annotations

import hashlib
import shutil

import pytest

from songbloom.checkpoints import registry, transfer
from songbloom.checkpoints.download import Endpoints, download
from songbloom.checkpoints.registry import NATIVE_FILES, File, Release, Source
from songbloom.errors import CheckpointError, InvalidInput, OutputError

FIRST = Source("hub", "authors/song", licence="unknown: read the card")
SECOND = Source("hub", "mirror/song", licence="Apache-2.0")
THIRD = Source("modelscope", "other/song", licence="academic use only")
VAE_ONLY = Source("modelscope", "vae/only", files=("vae.ckpt",))
BODIES = {
    "song.yaml": b"sr: 48000\n",
    "song.pt": b"weights" * 50_000,
    "vae.ckpt": b"vae" * 1000,
}
RELEASE = Release(
    name="song",
    description="a fake",
    parameters=1,
    longest_s=10.0,
    seconds_per_tag=1.0,
    licence="copies differ",
    files=(
        File("song.yaml"),
        File("song.pt"),
        File("vae.ckpt", sha256=hashlib.sha256(BODIES["vae.ckpt"]).hexdigest()),
    ),
    sources=(FIRST, SECOND, THIRD, VAE_ONLY),
)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(transfer.time, "sleep", lambda seconds: None)


def offer(hub, source: Source, **other: bytes) -> None:
    for name, body in BODIES.items():
        hub.put(source, name, other.get(name.replace(".", "_"), body))


def get(hub, folder, **options):
    return download(RELEASE, folder, endpoints=hub.endpoints, timeout=5.0, **options)


def check(folder) -> None:
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == BODIES


def test_all_from_the_first_source(hub, tmp_path):
    offer(hub, FIRST)
    offer(hub, SECOND)
    seen = []
    report = get(hub, tmp_path, progress=seen.append)
    assert report.folder == tmp_path / "song"
    check(report.folder)
    assert set(report.fetched.values()) == {FIRST}
    assert report.licences == {FIRST: "unknown: read the card"}
    ends = {progress.file: progress.bytes_done for progress in seen}
    assert ends == {name: len(body) for name, body in BODIES.items()}


def test_the_licence_is_what_the_card_of_the_copy_says(hub, tmp_path):
    offer(hub, FIRST)
    hub.put(
        FIRST, "README.md", b"---\nlanguage: [en]\nlicense: other\nlicense_name: academic-only\n---\n# Song\n"
    )
    assert get(hub, tmp_path).licences == {FIRST: "other, academic-only (its card)"}


@pytest.mark.parametrize(
    "card", [b"# no front matter", b"---\nlicense: [\n---\n", b"---\n- 1\n---\n", b"---\n", b""]
)
def test_an_odd_card_falls_back_to_the_registry(hub, tmp_path, card):
    offer(hub, SECOND)
    hub.put(SECOND, "README.md", card)
    assert get(hub, tmp_path).licences == {SECOND: "Apache-2.0"}


def test_dead_hub_falls_through_to_the_other_and_is_asked_once(hub, tmp_path):
    offer(hub, THIRD)
    endpoints = Endpoints(hub="http://127.0.0.1:1", modelscope=hub.address)
    report = download(RELEASE, tmp_path, endpoints=endpoints, timeout=5.0)
    check(report.folder)
    assert set(report.fetched.values()) == {THIRD}


def test_missing_on_the_first_source_and_then_from_one_copy(hub, tmp_path):
    offer(hub, SECOND)
    offer(hub, THIRD)
    report = get(hub, tmp_path)
    check(report.folder)
    assert set(report.fetched.values()) == {SECOND}
    assert [repo for repo, _ in hub.asked("song.pt")] == ["mirror/song"]


def test_truncated_copy_falls_through(hub, tmp_path):
    offer(hub, FIRST)
    hub.put(FIRST, "song.pt", BODIES["song.pt"], cut_after=10)
    offer(hub, SECOND)
    report = get(hub, tmp_path)
    check(report.folder)
    assert report.fetched["song.pt"] == SECOND


def test_wrong_hash_falls_through_as_far_as_the_copy_that_has_one_file(hub, tmp_path):
    offer(hub, FIRST, vae_ckpt=b"forged")
    offer(hub, SECOND, vae_ckpt=b"forged too")
    hub.put(VAE_ONLY, "vae.ckpt", BODIES["vae.ckpt"])
    report = get(hub, tmp_path)
    check(report.folder)
    assert report.fetched == {"song.yaml": FIRST, "song.pt": FIRST, "vae.ckpt": VAE_ONLY}
    assert set(report.licences) == {FIRST, VAE_ONLY}


def test_failure_names_every_source_its_reason_and_the_way_out(hub, tmp_path):
    offer(hub, FIRST, vae_ckpt=b"forged")
    hub.put(SECOND, "vae.ckpt", b"", status=403)
    with pytest.raises(CheckpointError) as caught:
        get(hub, tmp_path)
    text = str(caught.value)
    for part in [
        "could not get vae.ckpt",
        "hub authors/song",
        "wrong sha256",
        "hub mirror/song",
        "account",
        "modelscope other/song",
        "modelscope vae/only",
        "not there",
        "--local-dir",
        "song.yaml, song.pt, vae.ckpt",
    ]:
        assert part in text
    assert {path.name for path in (tmp_path / "song").iterdir()} == {"song.yaml", "song.pt"}


def test_all_dead_names_every_source(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    dead = Endpoints(hub="http://127.0.0.1:1", modelscope="http://127.0.0.1:1")
    with pytest.raises(CheckpointError) as caught:
        download(RELEASE, tmp_path, endpoints=dead, timeout=2.0)
    assert "no connection" in str(caught.value)
    assert all(str(source) in str(caught.value) for source in (FIRST, SECOND, THIRD))


def test_complete_files_are_not_fetched_again(hub, tmp_path):
    offer(hub, FIRST)
    get(hub, tmp_path)
    hub.requests.clear()
    report = get(hub, tmp_path)
    assert not hub.requests and report.fetched == {} and report.licences == {}
    (report.folder / "vae.ckpt").write_bytes(b"damaged")
    assert list(get(hub, tmp_path).fetched) == ["vae.ckpt"]
    check(report.folder)


def test_a_folder_that_has_some_of_the_files_is_completed_in_place(hub, tmp_path):
    offer(hub, FIRST)
    (tmp_path / "song.pt").write_bytes(BODIES["song.pt"])
    report = get(hub, tmp_path)
    assert report.folder == tmp_path
    check(tmp_path)
    assert not hub.asked("song.pt")


def test_the_folder_of_the_release_itself_may_be_given(hub, tmp_path):
    offer(hub, FIRST)
    assert get(hub, tmp_path / "song").folder == tmp_path / "song"
    check(tmp_path / "song")


def test_interrupted_download_goes_on_at_the_copy_it_was_begun_at(hub, tmp_path):
    offer(hub, SECOND)

    def stop(progress):
        if progress.file == "song.pt":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(hub, tmp_path, progress=stop)
    left = {path.name for path in (tmp_path / "song").iterdir()}
    assert left == {"song.yaml", "song.pt.part", "song.pt.part.json"}
    offer(hub, FIRST, song_pt=b"another version")
    report = get(hub, tmp_path)
    assert report.fetched["song.pt"] == SECOND
    check(report.folder)


def test_a_file_of_known_hash_is_taken_from_another_release(hub, tmp_path):
    offer(hub, FIRST)
    for folder, body in (("a", b"other"), ("older", BODIES["vae.ckpt"])):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "vae.ckpt").write_bytes(body)
    report = get(hub, tmp_path)
    check(report.folder)
    assert not hub.asked("vae.ckpt") and "vae.ckpt" not in report.fetched


def test_taking_over_works_where_links_do_not(hub, tmp_path, monkeypatch):
    offer(hub, FIRST)
    (tmp_path / "vae.ckpt").write_bytes(BODIES["vae.ckpt"])

    def refuse(*args):
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refuse)
    check(get(hub, tmp_path).folder)


def test_too_little_space_for_the_known_sizes_is_told_before_any_request(hub, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10))
    release = Release("big", "d", 1, 1.0, 1.0, "x", files=(File("big.pt", size=11),), sources=(FIRST,))
    with pytest.raises(OutputError, match="needs 11 bytes, 10 are free"):
        download(release, tmp_path, endpoints=hub.endpoints)
    assert not hub.requests


def test_local_dir_that_cannot_be_one(hub, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidInput, match="local_dir.*is a file"):
        get(hub, tmp_path / "file")
    with pytest.raises(OutputError, match="cannot be made"):
        get(hub, tmp_path / "file" / "below")
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(OutputError, match="no permission"):
        get(hub, tmp_path / "folder")
    assert not hub.requests


def test_bad_arguments(tmp_path):
    with pytest.raises(InvalidInput, match="unknown model"):
        download("nothing_like_it", tmp_path)
    for timeout in (0, -1, float("nan")):
        with pytest.raises(InvalidInput, match="timeout"):
            download(RELEASE, tmp_path, timeout=timeout)
    for address in ("file:///x", "huggingface.co", "http://", ""):
        with pytest.raises(InvalidInput, match="http"):
            Endpoints(hub=address)


def test_endpoints_of_the_environment(monkeypatch):
    for name in ("HF_ENDPOINT", "MODELSCOPE_DOMAIN"):
        monkeypatch.delenv(name, raising=False)
    assert Endpoints.from_environment() == Endpoints()
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example/")
    monkeypatch.setenv("MODELSCOPE_DOMAIN", "scope.example")
    endpoints = Endpoints.from_environment()
    assert endpoints.url(FIRST, "a b.pt") == "https://mirror.example/authors/song/resolve/main/a%20b.pt"
    assert endpoints.url(THIRD, "a/b.pt") == (
        "https://scope.example/api/v1/models/other/song/repo?Revision=master&FilePath=a%2Fb.pt"
    )
    monkeypatch.setenv("HF_ENDPOINT", "gopher://x")
    with pytest.raises(InvalidInput):
        Endpoints.from_environment()


def test_environment_is_used_by_default(hub, tmp_path, monkeypatch):
    offer(hub, FIRST)
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    check(download(RELEASE, tmp_path).folder)


def test_bundled_and_converted_models_need_no_network(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "BUNDLED_FOLDER", tmp_path / "package")
    with pytest.raises(CheckpointError, match="install it again"):
        download("songbloom_mini", tmp_path)
    for folder in (tmp_path / "package" / "songbloom_mini", tmp_path / "cache" / "songbloom_full_240s"):
        folder.mkdir(parents=True)
        for name in NATIVE_FILES:
            (folder / name).write_bytes(b"x")
    assert download("songbloom_mini", tmp_path / "cache").folder == tmp_path / "package" / "songbloom_mini"
    report = download("songbloom_full_240s", tmp_path / "cache")
    assert report.folder == tmp_path / "cache" / "songbloom_full_240s" and not report.fetched


def test_what_has_come_of_a_long_file_is_not_given_up_for_another_copy(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("songbloom.checkpoints.download.WORTH_KEEPING", 1000)
    offer(hub, FIRST)
    offer(hub, SECOND)
    hub.put(FIRST, "song.pt", BODIES["song.pt"], cut_after=2000)
    arrived = 0
    for _ in range(2):
        with pytest.raises(CheckpointError, match=r"have come from hub authors/song: try it again later, or delete"):
            get(hub, tmp_path)
        part = (tmp_path / "song" / "song.pt.part").read_bytes()
        assert len(part) > arrived and BODIES["song.pt"].startswith(part)
        arrived = len(part)
    hub.put(FIRST, "song.pt", BODIES["song.pt"])
    assert get(hub, tmp_path).fetched["song.pt"] == FIRST
    check(tmp_path / "song")
