"""``python -m bench.serve_load [SECONDS]``: 200 polls a second with 500 jobs queued while a real song is made.

Also 100 slow uploads at once. Prints one JSON line, times in milliseconds, and ``stolen``, the share of the processors'
time that other virtual machines took meanwhile: with more than a few hundredths the times mean little.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from tests.serve.server import REAL, ROOT, Server

POLLS_A_SECOND, QUEUED, SLOW_UPLOADS, CONNECTIONS = 200, 500, 100, 50
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _ask(connection: Connection, path: str) -> int:
    """The status of the answer. A client of few lines, so that the server's work is measured and not the client's."""
    reader, writer = connection
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0]))
    return int(head.split(b" ", 2)[1])


async def _poll(url: str, ids: list[str], seconds: float) -> tuple[list[float], int]:
    """Asks at fixed moments, however slow the answers are.

    Returns times in ms, each since the moment its question was due, and the number of failures.
    """
    address = urlsplit(url)
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await asyncio.open_connection(address.hostname, address.port))
    times: list[float] = []
    failures = 0

    async def ask(due: float, number: int) -> None:
        nonlocal failures
        connection = await free.get()
        failures += await _ask(connection, f"/jobs/{ids[number % len(ids)]}") != 200
        free.put_nowait(connection)
        times.append((time.perf_counter() - due) * 1000)

    asked, start = [], time.perf_counter()
    for number in range(int(seconds * POLLS_A_SECOND)):
        due = start + number / POLLS_A_SECOND
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        asked.append(asyncio.create_task(ask(due, number)))
    await asyncio.gather(*asked)
    while not free.empty():
        free.get_nowait()[1].close()
    return times, failures


async def _slow_upload(url: str, stop: asyncio.Event) -> None:
    """A request whose body comes a byte at a time."""
    address = urlsplit(url)
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    head = "POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    writer.write(f"{head}Content-Length: 100000\r\n\r\n--x".encode())
    while not stop.is_set():
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.5)
    writer.close()


def _ticks() -> tuple[int, int]:
    """Of all processors since the start: those taken by other machines of the same host, and all. Linux."""
    ticks = [int(count) for count in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return ticks[7], sum(ticks)


async def _measure(url: str, ids: list[str], seconds: float, slow: int) -> dict[str, float]:
    stop = asyncio.Event()
    uploads = [asyncio.create_task(_slow_upload(url, stop)) for _ in range(slow)]
    await asyncio.sleep(1)
    stolen, all_ticks = _ticks()
    times, failures = await _poll(url, ids, seconds)
    stolen, all_ticks = (now - before for now, before in zip(_ticks(), (stolen, all_ticks), strict=True))
    stop.set()
    await asyncio.gather(*uploads)
    p50, p99 = np.percentile(times, [50, 99])
    answer = {"polls": len(times), "failures": failures, "p50_ms": round(p50, 1), "p99_ms": round(p99, 1)}
    return {**answer, "stolen": round(stolen / all_ticks, 3)}


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    clip = ROOT / "example/clips/folk.flac"
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "data", REAL)
        try:
            ids = [server.accepted(clip, lyrics="[verse]\nI left a lantern by the door\n" * 6) for _ in range(QUEUED)]
            server.until(ids[0], lambda job: job["progress"]["song_s"] > 0, timeout_s=300)
            answer = {
                "queued": QUEUED,
                "while_composing": asyncio.run(_measure(server.url, ids, seconds, 0)),
                "and_slow_uploads": asyncio.run(_measure(server.url, ids, seconds, SLOW_UPLOADS)),
                "composed_meanwhile_s": round(sum(server.job(i)["progress"]["song_s"] for i in ids[:20]), 1),
            }
        finally:
            server.stop()
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
