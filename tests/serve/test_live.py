"""Following a job while it is made: events and sound."""

from __future__ import annotations

import io
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile

from tests.serve.fake_worker import RATE, SAMPLES
from tests.serve.server import Server

HEADER = 44


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    """Blocks of 0.64 s take 0.1 s."""
    server = Server(tmp_path_factory.mktemp("slow"), fake_block_s=0.1)
    yield server
    server.stop()


def _pcm(seed: int, blocks: int) -> bytes:
    noise = [np.random.default_rng([seed, n]).integers(-3000, 3000, (SAMPLES, 2)) for n in range(blocks)]
    return np.concatenate(noise).astype(np.int16).tobytes()


def _same(got: bytes, expected: bytes) -> bool:
    """Equal but for the last bit, which a finished file may round otherwise than a block."""
    if len(got) != len(expected):
        return False
    a, b = (np.frombuffer(data, np.int16).astype(int) for data in (got, expected))
    return bool(np.abs(a - b).max() <= 1)


def test_events_tell_position_progress_and_end(slow, clip):
    first, second = slow.accepted(clip), slow.accepted(clip, max_duration="25")
    views = []
    with slow.client.stream("GET", f"/jobs/{second}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = list(answer.iter_lines())
    for name, data in zip(lines[::3], lines[1::3], strict=False):
        assert name == "event: progress"
        views.append(json.loads(data.removeprefix("data: ")))
    assert views[-1]["status"] == "completed" and views[-1]["progress"]["samples_done"] == 1
    assert {view["queue_position"] for view in views} >= {None} and views[0]["status"] in ("pending", "processing")
    heard = [view["progress"]["song_s"] for view in views]
    assert heard == sorted(heard) and len(set(heard)) > 2
    assert any(view["progress"]["left_s"] for view in views if view["status"] == "processing")
    assert slow.job(first)["status"] == "completed"
    with slow.client.stream("GET", f"/jobs/{second}/events") as answer:  # joined after the end
        assert len([line for line in answer.iter_lines() if line.startswith("data")]) == 1


def test_a_song_is_heard_while_it_is_composed_by_early_and_late(slow, clip):
    job_id = slow.accepted(clip, seed="9", max_duration="12.8", format="flac")
    expected = _pcm(9, 20)
    early = b""
    with slow.client.stream("GET", f"/jobs/{job_id}/stream") as answer:
        assert answer.headers["content-type"] == "audio/wav"
        for piece in answer.iter_bytes():
            early += piece
            if len(early) == len(piece):
                assert slow.job(job_id)["status"] == "processing"  # long before its end
    assert early[:4] == b"RIFF" and _same(early[HEADER:], expected)
    assert slow.ended(job_id)["status"] == "completed"
    late = slow.client.get(f"/jobs/{job_id}/stream").content
    assert _same(late[HEADER:], expected)
    audio, rate = soundfile.read(io.BytesIO(late), dtype="int16")
    assert rate == RATE and len(audio) == 20 * SAMPLES
    tail = slow.client.get(f"/jobs/{job_id}/stream", params={"format": "pcm", "from_s": 6.4}).content
    assert _same(tail, expected[10 * SAMPLES * 4 :])


def test_a_broken_stream_goes_on_with_a_range(slow, clip):
    job_id = slow.accepted(clip, seed="4", max_duration="9.6", format="wav")
    got = b""
    for _ in range(100):
        headers = {"Range": f"bytes={len(got)}-"} if got else {"Range": "bytes=0-9"}
        answer = slow.client.get(f"/jobs/{job_id}/stream", headers=headers)
        if answer.status_code == 416:
            break
        assert answer.status_code == 206
        assert answer.headers["content-range"].startswith(f"bytes {len(got)}-{len(got) + len(answer.content) - 1}/")
        got += answer.content
    assert _same(got[HEADER:], _pcm(4, 15))


def test_a_stream_ends_with_its_job(slow, clip):
    job_id = slow.accepted(clip, max_duration="60")
    with slow.client.stream("GET", f"/jobs/{job_id}/stream") as answer:
        pieces = answer.iter_bytes()
        next(pieces)
        slow.client.post(f"/jobs/{job_id}/cancel")
        assert sum(len(piece) for piece in pieces) < 50 * RATE * 4
    assert slow.ended(job_id)["status"] == "cancelled"
    assert slow.client.get(f"/jobs/{job_id}/stream").status_code == 404
    assert slow.client.get(f"/jobs/{job_id}/stream", params={"sample": 1}).status_code == 404
    assert slow.client.get(f"/jobs/{job_id}/stream", params={"from_s": "nan"}).status_code == 422


def test_listeners_who_leave_do_no_harm(make_server, clip):
    """Many break off at any moment of the reading of a finished song."""
    server = make_server(fake_block_s=0.005)
    job_id = server.accepted(clip, max_duration="100")
    server.ended(job_id)

    def leave_early(listener: int) -> None:
        address = ("127.0.0.1", server.settings["port"])
        for left in np.random.default_rng(listener).integers(1, 2_000_000, 8):
            with socket.create_connection(address) as connection:
                connection.sendall(f"GET /jobs/{job_id}/stream HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                while left > 0 and (piece := connection.recv(65536)):
                    left -= len(piece)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(leave_early, range(8)))
    assert server.process.poll() is None
    assert server.client.get("/health").status_code == 200


def test_who_leaves_while_a_job_waits_is_forgotten(make_server, clip):
    server = make_server(workers=0)
    job_id = server.accepted(clip)
    address = ("127.0.0.1", server.settings["port"])
    for headers in ("", "Range: bytes=0-\r\n"):
        with socket.create_connection(address, timeout=30) as listener:
            listener.sendall(f"GET /jobs/{job_id}/stream HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode())
            listener.settimeout(1.0)
            with pytest.raises(TimeoutError):
                listener.recv(1)
    deadline = time.monotonic() + 20
    while (text := server.log.read_text()).count(f"/jobs/{job_id}/stream 404") < 2:  # told at a request's end
        assert time.monotonic() < deadline, text
        time.sleep(0.1)


def test_the_header_of_a_part_counts_the_part(slow, clip):
    job_id = slow.accepted(clip, max_duration="5")
    slow.ended(job_id)
    part = slow.client.get(f"/jobs/{job_id}/stream", params={"from_s": "2"}).content
    assert int.from_bytes(part[HEADER - 4 : HEADER], "little") == len(part) - HEADER > 0
