"""Files appear whole or not at all, whatever fails."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from songbloom.audio import check_target, read, write
from songbloom.errors import OutputError
from songbloom.files import write_bytes
from tests.audio.signals import RATE, make_music


@pytest.fixture
def music():
    return make_music()


def fail_with(error):
    def fail(*_args, **_kwargs):
        raise error

    return fail


def names_in(folder):
    return [path.name for path in folder.iterdir()]


def disk_error(code):
    return OSError(code, os.strerror(code))


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, r"no space left \(\d+\.\d MB needed\); free some"),
        (errno.EDQUOT, "no space left"),
        (errno.EROFS, "no permission to write here; choose another folder"),
        (errno.EIO, "cannot be written"),
    ],
)
@pytest.mark.parametrize("call", ["os.fsync", "pathlib.Path.replace"])
def test_a_failing_disk_leaves_the_old_file_and_nothing_else(
    call, code, advice, music, tmp_path, monkeypatch
):
    path = tmp_path / "song.flac"
    path.write_bytes(b"the song of yesterday")
    monkeypatch.setattr(call, fail_with(disk_error(code)))
    with pytest.raises(OutputError, match=advice) as caught:
        write(path, music, RATE)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == b"the song of yesterday"
    assert names_in(tmp_path) == ["song.flac"]


def test_a_real_limit_on_file_size_leaves_nothing(tmp_path):
    pytest.importorskip("resource")
    code = (
        "import resource, sys; from songbloom.files import write_bytes\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "write_bytes(sys.argv[1], bytes(100_000))"
    )
    ran = subprocess.run([sys.executable, "-c", code, tmp_path / "a.bin"], capture_output=True, text=True)
    assert ran.returncode == 1 and "OutputError" in ran.stderr and "cannot be written" in ran.stderr
    assert names_in(tmp_path) == []


def test_ctrl_c_leaves_nothing_and_the_next_run_is_clean(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail_with(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            write_bytes(tmp_path / "song.flac", b"song")
    assert names_in(tmp_path) == []
    write_bytes(tmp_path / "song.flac", b"song")
    assert names_in(tmp_path) == ["song.flac"]


def test_refuses_targets_that_are_no_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a directory; give the name"):
        check_target(tmp_path)
    with pytest.raises(OutputError, match="does not exist; create it"):
        check_target(tmp_path / "no" / "song.flac")
    with pytest.raises(OutputError, match="is not a directory"):
        check_target(tmp_path / "file" / "song.flac")
    with pytest.raises(OutputError, match="device or pipe"):
        check_target("/dev/null")
    with pytest.raises(OutputError, match="cannot be written"):
        check_target("a\0b.flac")
    with pytest.raises(OutputError, match="cannot be written"):
        write_bytes(tmp_path / ("x" * 300), b"song")


def test_refuses_a_folder_without_permission(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # mode bits do not stop root
    with pytest.raises(OutputError, match="no permission"):
        check_target(tmp_path / "song.flac")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_refuses_a_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="no permission"):
        check_target(tmp_path / "song.flac")


def test_replaces_an_old_file_with_ordinary_permissions(music, tmp_path):
    path = tmp_path / "song.wav"
    path.write_bytes(b"old")
    write(path, music, RATE)
    assert read(path)[1] == RATE
    (tmp_path / "plain").touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_writes_through_a_link(tmp_path):
    (tmp_path / "real.bin").write_bytes(b"old")
    (tmp_path / "link.bin").symlink_to("real.bin")
    write_bytes(tmp_path / "link.bin", b"new")
    assert (tmp_path / "link.bin").is_symlink() and (tmp_path / "real.bin").read_bytes() == b"new"


def test_a_relative_name_is_written_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_bytes("song.bin", b"new")
    assert Path("song.bin").read_bytes() == b"new"
