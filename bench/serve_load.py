"""``python -m bench.serve_load [SECONDS]``: 200 polls a second with 500 jobs queued while a real song is made.

Also 100 slow uploads at once. Needs a quiet machine to mean anything. Prints one JSON line, times in milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np

from tests.serve.server import REAL, ROOT, Server

POLLS_A_SECOND, QUEUED, SLOW_UPLOADS = 200, 500, 100


async def _poll(url: str, ids: list[str], seconds: float) -> tuple[list[float], int]:
    """Asks at fixed moments, however slow the answers are; returns times and the number of failures."""
    times: list[float] = []
    failures = 0

    async def ask(client: httpx.AsyncClient, number: int) -> None:
        nonlocal failures
        began = time.perf_counter()
        try:
            answer = await client.get(f"/jobs/{ids[number % len(ids)]}")
            failures += answer.status_code != 200
        except httpx.HTTPError:
            failures += 1
        times.append((time.perf_counter() - began) * 1000)

    limits = httpx.Limits(max_connections=50, max_keepalive_connections=50)
    async with httpx.AsyncClient(base_url=url, timeout=30, limits=limits) as client, asyncio.TaskGroup() as group:
        start = time.perf_counter()
        for number in range(int(seconds * POLLS_A_SECOND)):
            await asyncio.sleep(max(0.0, start + number / POLLS_A_SECOND - time.perf_counter()))
            group.create_task(ask(client, number))
    return times, failures


async def _slow_upload(url: str, stop: asyncio.Event) -> None:
    """A request whose body comes a byte at a time."""
    address = urlsplit(url)
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    head = "POST /generate HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    writer.write(f"{head}Content-Length: 100000\r\n\r\n--x".encode())
    while not stop.is_set():
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.5)
    writer.close()


async def _measure(url: str, ids: list[str], seconds: float, slow: int) -> dict[str, float]:
    stop = asyncio.Event()
    uploads = [asyncio.create_task(_slow_upload(url, stop)) for _ in range(slow)]
    await asyncio.sleep(1)
    times, failures = await _poll(url, ids, seconds)
    stop.set()
    await asyncio.gather(*uploads)
    p50, p99 = np.percentile(times, [50, 99])
    return {"polls": len(times), "failures": failures, "p50_ms": round(p50, 1), "p99_ms": round(p99, 1)}


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
