"""One file over real HTTP on loopback."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from songbloom.checkpoints import transfer
from songbloom.checkpoints.registry import Source
from songbloom.checkpoints.transfer import Transfer, TransferError
from songbloom.errors import OutputError

SOURCE = Source("hub", "me/model")
BODY = bytes(range(256)) * 12_000  # 3 MB: three chunks


def sha(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(transfer.time, "sleep", lambda seconds: None)


@pytest.fixture
def job(hub, tmp_path):
    def make(name="model.pt", **options) -> Transfer:
        return Transfer(hub.endpoints.url(SOURCE, name), tmp_path / name, timeout=5.0, **options)

    return make


def interrupted(job: Transfer) -> None:
    """Runs ``job`` until the first report of progress, then acts as Ctrl-C."""

    def stop(progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Transfer(job.url, job.target, job.size, job.sha256, job.timeout, progress=stop).fetch()


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_whole_file(hub, job, tmp_path):
    hub.put(SOURCE, "model.pt", BODY)
    seen = []
    job(size=len(BODY), sha256=sha(BODY), progress=seen.append).fetch()
    assert (tmp_path / "model.pt").read_bytes() == BODY
    assert files(tmp_path) == {"model.pt"}
    assert seen[-1] == ("model.pt", len(BODY), len(BODY), 0.0)
    assert seen[0].bytes_total == len(BODY) and seen[0].seconds_left > 0


def test_ctrl_c_leaves_a_part_that_the_next_run_continues(hub, job, tmp_path):
    hub.put(SOURCE, "model.pt", BODY)
    interrupted(job())
    assert files(tmp_path) == {"model.pt.part", "model.pt.part.json"}
    have = (tmp_path / "model.pt.part").stat().st_size
    assert 0 < have < len(BODY)
    assert job().begun_here()
    job().fetch()
    assert (tmp_path / "model.pt").read_bytes() == BODY
    assert hub.asked("model.pt") == [("me/model", None), ("me/model", f"bytes={have}-")]
    assert files(tmp_path) == {"model.pt"}


def test_server_that_ignores_range_starts_over(hub, job, tmp_path):
    hub.put(SOURCE, "model.pt", BODY, ranges=False)
    interrupted(job())
    job().fetch()
    assert (tmp_path / "model.pt").read_bytes() == BODY


def test_dropped_connections_are_continued_while_bytes_come(hub, job, tmp_path):
    hub.put(SOURCE, "model.pt", BODY, cut_after=(1 << 20) + 5)
    job(sha256=sha(BODY)).fetch()
    assert (tmp_path / "model.pt").read_bytes() == BODY
    assert [span is None for _, span in hub.asked("model.pt")] == [True, False, False]


def test_a_file_that_is_always_cut_is_given_up_with_its_part_kept(hub, job, tmp_path):
    hub.put(SOURCE, "model.pt", BODY, cut_after=100)
    with pytest.raises(TransferError, match=f"truncated.*byte 300 of {len(BODY)}"):
        job().fetch()
    assert (tmp_path / "model.pt.part").read_bytes() == BODY[:300]
    assert not (tmp_path / "model.pt").exists()


def test_a_file_changed_on_the_server_is_not_mixed(hub, job, tmp_path):
    hub.put(SOURCE, "model.pt", BODY)
    interrupted(job())
    other = BODY[::-1]
    hub.put(SOURCE, "model.pt", other)
    job().fetch()
    assert (tmp_path / "model.pt").read_bytes() == other


def test_a_file_changed_in_size_behind_a_server_without_etags(hub, job, tmp_path):
    hub.put(SOURCE, "model.pt", BODY, headers={"ETag": ""})
    interrupted(job())
    other = BODY[::-1] + b"more"
    hub.put(SOURCE, "model.pt", other, headers={"ETag": ""})
    job().fetch()
    assert (tmp_path / "model.pt").read_bytes() == other


def test_server_now_has_less_than_the_part(hub, job, tmp_path):
    hub.put(SOURCE, "model.pt", BODY, headers={"ETag": ""})
    interrupted(job())
    hub.put(SOURCE, "model.pt", b"short", headers={"ETag": ""})
    job().fetch()
    assert (tmp_path / "model.pt").read_bytes() == b"short"


@pytest.mark.parametrize("note", ["{", '{"url": 1, "colour": 2}', "[]"])
def test_a_part_of_unknown_origin_is_not_continued(hub, job, tmp_path, note):
    hub.put(SOURCE, "model.pt", BODY)
    (tmp_path / "model.pt.part").write_bytes(b"junk")
    (tmp_path / "model.pt.part.json").write_text(note)
    job().fetch()
    assert (tmp_path / "model.pt").read_bytes() == BODY
    assert hub.asked("model.pt") == [("me/model", None)]


def test_a_part_from_elsewhere_serves_where_the_hash_is_known(hub, job, tmp_path):
    hub.put(SOURCE, "model.pt", BODY)
    (tmp_path / "model.pt.part").write_bytes(BODY[:1000])
    job(sha256=sha(BODY)).fetch()
    assert hub.asked("model.pt") == [("me/model", "bytes=1000-")]
    assert (tmp_path / "model.pt").read_bytes() == BODY


def test_a_complete_part_is_only_renamed(hub, job, tmp_path):
    (tmp_path / "model.pt.part").write_bytes(BODY)
    (tmp_path / "model.pt.part.json").write_text(json.dumps({"url": job().url, "size": len(BODY)}))
    job().fetch()
    assert (tmp_path / "model.pt").read_bytes() == BODY and not hub.requests


@pytest.mark.parametrize(
    ("demand", "words"),
    [
        ({"sha256": sha(b"other")}, "wrong sha256"),
        ({"size": 5}, f"wrong size: {len(BODY)} bytes, expected 5"),
    ],
)
def test_the_wrong_file_is_removed(hub, job, tmp_path, demand, words):
    hub.put(SOURCE, "model.pt", BODY)
    with pytest.raises(TransferError, match=words):
        job(**demand).fetch()
    assert files(tmp_path) == set()


def test_hash_stated_by_the_hub_on_its_redirect_is_checked(hub, job, tmp_path):
    stored = Source("hub", "storage/x")
    hub.put(stored, "blob", BODY)
    address = hub.endpoints.url(stored, "blob")
    hub.put(SOURCE, "model.pt", b"", redirect=address, headers={"X-Linked-Etag": f'"{sha(BODY)}"'})
    job().fetch()
    assert (tmp_path / "model.pt").read_bytes() == BODY
    hub.put(SOURCE, "bad.pt", b"", redirect=address, headers={"X-Linked-Etag": f'"{sha(b"x")}"'})
    with pytest.raises(TransferError, match="wrong sha256"):
        job("bad.pt").fetch()


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x"])
def test_redirect_away_from_http_is_refused(hub, job, tmp_path, address):
    hub.put(SOURCE, "model.pt", b"", redirect=address)
    with pytest.raises(TransferError):
        job().fetch()
    assert files(tmp_path) == set()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x"])
def test_addresses_other_than_http_are_refused(tmp_path, url):
    with pytest.raises(TransferError):
        Transfer(url, tmp_path / "x").fetch()
    assert files(tmp_path) == set()


@pytest.mark.parametrize(
    ("status", "words", "requests"),
    [
        (404, "not there", 1),
        (401, "account", 1),
        (403, "account", 1),
        (410, "HTTP 410", 1),
        (503, "trouble", 3),
    ],
)
def test_refusals_are_told_and_only_passing_ones_retried(hub, job, status, words, requests):
    hub.put(SOURCE, "model.pt", BODY, status=status)
    with pytest.raises(TransferError, match=words):
        job().fetch()
    assert len(hub.asked("model.pt")) == requests


@pytest.mark.parametrize(
    ("body", "headers", "words"),
    [
        (b"<html>", {"Content-Type": "text/html; charset=utf-8"}, "web page"),
        (b"\x1f\x8b", {"Content-Encoding": "gzip"}, "re-encoded"),
        (b"", {}, "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", {}, "Git LFS pointer"),
    ],
)
def test_what_is_not_the_file_is_not_kept(hub, job, tmp_path, body, headers, words):
    hub.put(SOURCE, "model.pt", body, headers=headers)
    with pytest.raises(TransferError, match=words):
        job().fetch()
    assert files(tmp_path) == set()


def test_a_server_that_does_not_say_the_size(hub, job, tmp_path):
    hub.put(SOURCE, "model.pt", BODY, announce_size=False)
    seen = []
    job(sha256=sha(BODY), progress=seen.append).fetch()
    assert (tmp_path / "model.pt").read_bytes() == BODY
    assert seen[-1] == ("model.pt", len(BODY), None, None)


def test_a_wrong_size_that_was_not_announced(hub, job, tmp_path):
    hub.put(SOURCE, "model.pt", BODY, announce_size=False)
    with pytest.raises(TransferError, match=f"wrong size: {len(BODY)} bytes, expected 5"):
        job(size=5).fetch()
    assert files(tmp_path) == set()


def test_a_silent_server_is_given_up_with_the_part_kept(hub, tmp_path):
    hub.put(SOURCE, "model.pt", BODY, cut_after=100, stalls=True)
    with pytest.raises(TransferError, match="connection broke at byte .*timed out"):
        Transfer(hub.endpoints.url(SOURCE, "model.pt"), tmp_path / "model.pt", timeout=1.0).fetch()
    assert not (tmp_path / "model.pt").exists() and (tmp_path / "model.pt.part").exists()


def test_dead_server_is_marked_unreachable(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(TransferError, match="no connection") as caught:
        Transfer("http://127.0.0.1:1/x", tmp_path / "x", timeout=2.0).fetch()
    assert caught.value.unreachable


def test_a_file_too_large_for_the_disk_is_not_begun(hub, job, tmp_path, monkeypatch):
    hub.put(SOURCE, "model.pt", BODY)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(OutputError, match="3,072,000 bytes more, 1,000 are free.*--local-dir"):
        job().fetch()
    assert files(tmp_path) == set()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_disk_that_fills_up_is_told_and_later_continued(hub, job, tmp_path):
    hub.put(SOURCE, "model.pt", BODY)
    (tmp_path / "model.pt.part").symlink_to("/dev/full")
    with pytest.raises(OutputError, match="No space left.*run the same command again"):
        job().fetch()
    assert not (tmp_path / "model.pt").exists()
    (tmp_path / "model.pt.part").unlink()
    job().fetch()
    assert (tmp_path / "model.pt").read_bytes() == BODY
