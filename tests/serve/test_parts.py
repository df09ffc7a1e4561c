"""The parts of the service one by one, without a server."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import sqlalchemy as sa

from songbloom.errors import CheckpointError, InvalidInput
from songbloom.request import SongSettings
from songbloom.serve import heartbeat, limits, retention, sound, storage, uploads
from songbloom.serve.claims import Claim, Superseded
from songbloom.serve.composer import Block
from songbloom.serve.database import connect, jobs, migrate
from songbloom.serve.errors import Invalid, NotFound, TooMany, Unavailable
from songbloom.serve.jobs import JobService
from songbloom.serve.records import FAILED, SongOrder
from songbloom.serve.settings import ServeSettings
from songbloom.serve.slots import worker_slot
from songbloom.serve.song_work import SongWork, Stopping
from songbloom.serve.sound import SongSound, byte_range
from songbloom.serve.storage import Storage
from songbloom.serve.supervisor import Supervisor
from tests.serve.fake_worker import FakeComposer

ORDER = SongOrder("hello", SongSettings(seed=1, max_duration=3.0), format="wav")


@pytest.fixture(scope="module")
def migrated(tmp_path_factory) -> Path:
    """A database file with its tables, to be copied: making them takes a second."""
    settings = ServeSettings(data_dir=tmp_path_factory.mktemp("template"))
    engine = connect(settings)
    migrate(settings, engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    return settings.data_dir / "jobs.sqlite"


@pytest.fixture
def service(migrated, tmp_path):
    (tmp_path / "jobs.sqlite").write_bytes(migrated.read_bytes())
    settings = ServeSettings(data_dir=tmp_path)
    engine = connect(settings)
    yield JobService(settings, engine, Storage.of(settings))
    engine.dispose()


def _job(service: JobService, clip: Path, **changes: object) -> str:
    job, _ = service.submit("ada", ORDER, clip)
    if changes:
        with service.engine.begin() as connection:
            connection.execute(sa.update(jobs).where(jobs.c.id == job.id).values(**changes))
        service.storage.write(storage.audio_key(job.id, 0, "wav"), b"sound")
    return job.id


def _bytes(service: JobService, job_id: str) -> int:
    with service.engine.connect() as connection:
        return connection.scalar(sa.select(jobs.c.bytes).where(jobs.c.id == job_id))


# settings


def test_settings_come_from_options_then_variables_then_defaults():
    environment = {"SONGBLOOM_PORT": "9000", "SONGBLOOM_MODEL": "a", "SONGBLOOM_DATA_DIR": "/x"}
    settings = ServeSettings.read({"port": 1234, "model": None}, environment)
    assert (settings.port, settings.model, settings.data_dir) == (1234, "a", Path("/x"))
    assert ServeSettings.read({}, settings.environment()) == settings


@pytest.mark.parametrize(
    "environment",
    [{"PORT": "x"}, {"PORT": "70000"}, {"KEEP_DAYS": "nan"}, {"AUTH": "no"}, {"DATABASE_URL": "mysql://u:secret@x/y"}],
)
def test_bad_settings_are_refused_without_telling_secrets(environment):
    with pytest.raises(InvalidInput) as caught:
        ServeSettings.read({}, {f"SONGBLOOM_{name}": value for name, value in environment.items()})
    assert "secret" not in str(caught.value)


# storage


def test_a_file_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    store = Storage(str(tmp_path / "s"))
    store.write("jobs/a/x", b"old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        store.write("jobs/a/x", b"new")
    assert store.read("jobs/a/x") == b"old"
    assert [path.name for path in (tmp_path / "s/jobs/a").iterdir()] == ["x"]


def test_a_full_disk_is_called_full():
    for code, told in ((errno.ENOSPC, "is full"), (errno.EIO, "does not answer")):
        with pytest.raises(Unavailable, match=told), storage.stored():
            raise OSError(code, "x")


def test_a_stores_own_errors_are_waited_for(monkeypatch):
    away = Storage("memory://away")

    class EndpointConnectionError(Exception):
        """As botocore's is no OSError either."""

    def fail(*_, **__):
        raise EndpointConnectionError("no route")

    for name in ("info", "cat_file", "pipe_file", "makedirs", "rm", "du", "open", "ls"):
        monkeypatch.setattr(away.fs, name, fail, raising=False)
    actions = [partial(away.write, "a", b""), partial(away.job_ids().__next__), away.check]
    actions += [partial(act, "a") for act in (away.read, away.open, away.size, away.exists, away.total, away.remove)]
    for action in actions:
        with pytest.raises(OSError, match="no route"):
            action()


def test_any_fsspec_url_will_do():
    store = Storage("memory://songs")
    job_id = storage.new_job_id()
    store.write(storage.block_key(job_id, 0, 0), b"x")
    assert list(store.job_ids()) == [job_id] and store.size(storage.block_key(job_id, 0, 0)) == 1
    store.check()
    store.remove_job(job_id)
    assert list(store.job_ids()) == [] and not store.exists(storage.block_key(job_id, 0, 0))
    with pytest.raises(FileNotFoundError):
        store.read(storage.block_key(job_id, 0, 0))


def test_blocks_come_back_as_they_were():
    block = Block(np.arange(16), np.ones((4, 16), np.float32), np.zeros((5, 2), np.int16), 48000)
    again = Block.from_bytes(block.to_bytes())
    for field in dataclasses.fields(Block):
        assert np.array_equal(getattr(again, field.name), getattr(block, field.name))


@pytest.mark.parametrize(
    ("header", "size", "expected"),
    [
        ("bytes=0-9", 100, (0, 9)), ("bytes=90-", 100, (90, 99)), ("bytes=-10", 100, (90, 99)),
        ("bytes=5-500", 100, (5, 99)), ("bytes=-500", 100, (0, 99)), ("bytes=7-", None, (7, None)),
        ("bytes=9-5", 100, None), ("bytes=-0", 100, None), ("bytes=a-b", 100, None), ("bytes=0-1,5-6", 100, None),
        ("bytes=-5", None, None), ("", 100, None), (None, 100, None),
    ],
)  # fmt: skip
def test_ranges(header, size, expected):
    assert byte_range(header, size) == expected
    with pytest.raises(ValueError, match="100"):
        byte_range("bytes=100-", 100)


def test_peaks_are_those_of_the_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(sound, "_PIECE", 4 * 100)  # read in pieces
    audio = np.random.default_rng(0).uniform(-0.9, 0.9, (1001, 2))
    soundfile.write(tmp_path / "a.wav", audio, 1000, subtype="FLOAT")
    for points in (1, 2, 7, 2000):
        seconds, found = sound.file_peaks((tmp_path / "a.wav").open("rb"), points)
        step = max(1, -(-1001 // points))
        parts = [np.abs(audio[at : at + step]).max() for at in range(0, 1001, step)]
        assert seconds == 1.001 and found == pytest.approx(parts, abs=6e-4)


def test_a_song_is_not_closed_under_its_reader(service, clip, monkeypatch):
    """A client leaves while a thread reads for it: closed under its reader, libsndfile takes the process along."""
    reading, going_on = threading.Event(), threading.Event()

    class SlowFile(soundfile.SoundFile):
        def read(self, *arguments, **options):
            reading.set()
            assert going_on.wait(30)
            return super().read(*arguments, **options)

    monkeypatch.setattr(soundfile, "SoundFile", SlowFile)
    job = service.get("ada", _job(service, clip))
    service.storage.write_file(storage.audio_key(job.id, 0, "wav"), clip)
    service.storage.write(storage.metadata_key(job.id, 0), b"{}")
    sound = SongSound(service.storage, job, 0)
    with ThreadPoolExecutor(2) as threads:
        piece = threads.submit(sound.read)
        assert reading.wait(30)
        closing = threads.submit(sound.close)
        assert not wait([closing], timeout=0.2).done
        going_on.set()
        assert len(piece.result()) > 0
    assert sound.read() is None


# uploads


def test_a_file_that_hangs_its_decoder_does_not_hang_the_service(tmp_path, clip, monkeypatch):
    taken = uploads.Uploads(ServeSettings(data_dir=tmp_path))
    with clip.open("rb") as file, taken.checked(file, 0.0) as copy:
        assert copy.read_bytes() == clip.read_bytes() and "uploads" in str(copy)
    assert list(taken.folder.iterdir()) == []
    sleeper = tmp_path / "bin"
    sleeper.write_text("#!/bin/sh\nexec sleep 60\n")
    sleeper.chmod(0o700)
    taken.close()
    taken = uploads.Uploads(ServeSettings(data_dir=tmp_path), timeout_s=0.5)
    monkeypatch.setattr(sys, "executable", str(sleeper))
    began = time.monotonic()
    with clip.open("rb") as file, pytest.raises(Invalid, match="cannot be decoded"), taken.checked(file, 0.0):
        pass
    assert time.monotonic() - began < 20 and list(taken.folder.iterdir()) == []
    taken.close()


def test_who_uploads_while_the_service_stops_is_sent_away(tmp_path, clip):
    taken = uploads.Uploads(ServeSettings(data_dir=tmp_path))
    taken.close()
    with clip.open("rb") as file, pytest.raises(Unavailable), taken.checked(file, 0.0):
        raise AssertionError("not reached")


def test_uploads_take_no_threads_from_others(tmp_path):
    taken, go_on = uploads.Uploads(ServeSettings(data_dir=tmp_path)), threading.Event()

    async def main() -> None:
        held = [asyncio.create_task(taken.apart(go_on.wait)) for _ in range(100)]
        await asyncio.sleep(0)
        try:
            await asyncio.wait_for(asyncio.to_thread(int), 20)
        finally:
            go_on.set()
        assert all(await asyncio.gather(*held))

    asyncio.run(main())
    taken.close()


# limits


def test_who_finds_a_long_line_is_sent_away():
    turns, order = limits.Turns(3), []

    async def take(number: int) -> None:
        async with turns.turn():
            order.append(number)
            await asyncio.sleep(0)

    async def main() -> list[object]:
        return await asyncio.gather(*(take(number) for number in range(5)), return_exceptions=True)

    assert [type(answer) for answer in asyncio.run(main())] == [type(None)] * 3 + [TooMany] * 2
    assert order == [0, 1, 2] and asyncio.run(main())[0] is None


def test_one_key_has_so_many_requests_at_once():
    limit = limits.OpenLimit(2)
    with limit.one_more("ada"), limit.one_more("bob"), limit.one_more("ada"):
        with pytest.raises(TooMany), limit.one_more("ada"):
            raise AssertionError("not reached")
        with limit.one_more(""), limit.one_more(""), limit.one_more(""):
            pass
    with limit.one_more("ada"), limit.one_more("ada"):
        pass


# claims and attempts


def test_only_the_last_to_take_a_job_may_write(service, clip):
    job_id = _job(service, clip)
    first = Claim.take(service.engine, job_id, "w1")
    second = Claim.take(service.engine, job_id, "w2")
    assert first is not None and second is not None and second.job.attempts == 2
    with pytest.raises(Superseded):
        first.wanted()
    with pytest.raises(Superseded):
        first.end(FAILED)
    assert second.end(FAILED, error={"message": "x"}) is False
    assert second.end(FAILED, error={"message": "x"}) is False  # the answer was lost and is asked for again
    assert Claim.take(service.engine, job_id, "w3") is None
    assert service.get("ada", job_id).error == {"message": "x"}


def test_a_damaged_block_is_made_again(service, clip):
    job_id = _job(service, clip)
    claim = Claim.take(service.engine, job_id, "w")
    assert claim is not None
    service.storage.write(storage.block_key(job_id, 0, 0), b"not a block")
    SongWork(claim, service.storage, FakeComposer, lambda: False, max_attempts=3).run()
    assert service.get("ada", job_id).status == "completed"


def test_a_lost_clip_fails_the_job(service, clip):
    job_id = _job(service, clip)
    claim = Claim.take(service.engine, job_id, "w")
    assert claim is not None
    service.storage.remove(storage.prompt_key(job_id))
    SongWork(claim, service.storage, FakeComposer, lambda: False, max_attempts=3).run()
    job = service.get("ada", job_id)
    assert job.status == "failed" and job.error is not None and "clip" in job.error["message"]


def _at_the_second_block(asked: list[None]) -> bool:
    """Whether this is asked for the second time, as it is after every block."""
    asked.append(None)
    return len(asked) > 1


def _cancels_at(service, job_id, when, *, keep):
    """A composer whose job is cancelled once ``when(sample, blocks)``."""

    class Composer(FakeComposer):
        def compose(self, order, seed, prior):
            for block, made in enumerate(super().compose(order, seed, prior), start=1 + len(prior)):
                yield made
                if when(seed - order.settings.seed, block):
                    service.cancel("ada", job_id, keep=keep)

    return Composer


@pytest.mark.parametrize(("keep", "songs"), [(False, 1), (True, 2)])
def test_a_cancelled_job_keeps_its_whole_songs(service, clip, keep, songs):
    job, _ = service.submit("ada", dataclasses.replace(ORDER, num_samples=3), clip)
    claim = Claim.take(service.engine, job.id, "w")
    composer = _cancels_at(service, job.id, lambda sample, block: (sample, block) == (1, 2), keep=keep)
    SongWork(claim, service.storage, composer, lambda: False, max_attempts=3).run()
    ended = service.get("ada", job.id)
    assert ended.status == "cancelled" and len(ended.progress.seconds) == ended.progress.samples_done == songs
    for sample in range(3):
        assert service.storage.exists(storage.audio_key(job.id, sample, "wav")) == (sample < songs)
    assert service.storage.exists(storage.prompt_key(job.id))
    assert not service.storage.exists(storage.blocks_key(job.id))
    assert _bytes(service, job.id) == service.storage.total(f"jobs/{job.id}") > clip.stat().st_size


@pytest.mark.parametrize("given_back", [False, True])
@pytest.mark.parametrize(("keep", "songs"), [(False, 0), (True, 1)])
def test_what_is_begun_is_kept_through_the_worker_s_end(service, clip, keep, songs, given_back):
    job_id = _job(service, clip)
    first = Claim.take(service.engine, job_id, "w1")
    with pytest.raises(Stopping):
        SongWork(first, service.storage, FakeComposer, partial(_at_the_second_block, []), max_attempts=3).run()
    first.tell(dataclasses.replace(first.job.progress, song_s=1.28))
    if given_back:
        first.give_back()
    service.cancel("ada", job_id, keep=keep)
    second = Claim.take(service.engine, job_id, "w2")
    if second is not None:
        SongWork(second, service.storage, FakeComposer, lambda: False, max_attempts=3).run()
    ended = service.get("ada", job_id)
    assert ended.status == "cancelled" and len(ended.progress.seconds) == songs
    assert (job_id in service.storage.job_ids()) == bool(songs)
    assert _bytes(service, job_id) == (service.storage.total(f"jobs/{job_id}") if songs else 0)


def test_a_whole_song_that_was_not_told_of_stays_when_its_waiting_job_is_cancelled(service, clip):
    job, _ = service.submit("ada", dataclasses.replace(ORDER, num_samples=2), clip)
    first = Claim.take(service.engine, job.id, "w1")
    whole = partial(service.storage.exists, storage.metadata_key(job.id, 0))
    with pytest.raises(Stopping):
        SongWork(first, service.storage, FakeComposer, whole, max_attempts=3).run()
    first.give_back()
    ended = service.cancel("ada", job.id)
    assert ended.status == "cancelled" and len(ended.progress.seconds) == 1
    assert service.storage.exists(storage.audio_key(job.id, 0, "wav"))


def test_a_job_to_be_kept_does_not_fail_at_its_last_attempt(service, clip):
    job_id = _job(service, clip)
    for worker in ("w1", "w2"):
        claim, begun = Claim.take(service.engine, job_id, worker), []
        stopping = partial(_at_the_second_block, begun)
        with pytest.raises(Stopping):
            SongWork(claim, service.storage, FakeComposer, stopping, max_attempts=2).run()
    service.cancel("ada", job_id, keep=True)
    last = Claim.take(service.engine, job_id, "w3")
    SongWork(last, service.storage, FakeComposer, lambda: False, max_attempts=2).run()
    ended = service.get("ada", job_id)
    assert ended.status == "cancelled" and len(ended.progress.seconds) == 1


def test_a_job_to_be_kept_whose_model_is_gone_is_cancelled(service, clip):
    job_id = _job(service, clip)
    claim = Claim.take(service.engine, job_id, "w1")
    service.cancel("ada", job_id, keep=True)

    def gone(_):
        raise CheckpointError("it is not there")

    claim = Claim.take(service.engine, job_id, "w2")
    SongWork(claim, service.storage, gone, lambda: False, max_attempts=3).run()
    assert service.get("ada", job_id).status == "cancelled"


def test_what_a_cancelled_job_has_left_behind_is_swept(service, clip, monkeypatch):
    job_id = _job(service, clip)

    def away(*_):
        raise OSError("away")

    with monkeypatch.context() as patched:
        patched.setattr(service.storage, "remove", away)
        service.cancel("ada", job_id)
    assert job_id in service.storage.job_ids()
    assert retention.sweep(service, stray_after_s=0) == [job_id] and list(service.storage.job_ids()) == []


def test_a_job_is_cancelled_while_the_storage_is_away(service, clip, monkeypatch):
    job_id = _job(service, clip)
    claim = Claim.take(service.engine, job_id, "w")
    service.cancel("ada", job_id)

    def away(*_):
        raise OSError("away")

    for name in ("read", "total", "remove", "exists"):
        monkeypatch.setattr(service.storage, name, away)
    SongWork(claim, service.storage, FakeComposer, lambda: False, max_attempts=3).run()
    assert service.get("ada", job_id).status == "cancelled"


def test_a_waiting_job_that_is_cancelled_leaves_no_file(service, clip):
    job_id = _job(service, clip)
    assert _bytes(service, job_id) == clip.stat().st_size
    assert service.cancel("ada", job_id, keep=True).status == "cancelled"
    assert list(service.storage.job_ids()) == [] and _bytes(service, job_id) == 0


def test_a_full_disk_is_waited_for_where_the_clip_is_unpacked(service, clip, monkeypatch):
    job_id, whole, failures = _job(service, clip), Path.write_bytes, [OSError(errno.ENOSPC, "full")]

    def write(path, data):
        if path.name == "prompt_audio" and failures:
            raise failures.pop()
        return whole(path, data)

    claim = Claim.take(service.engine, job_id, "w")
    monkeypatch.setattr(Path, "write_bytes", write)
    SongWork(claim, service.storage, FakeComposer, lambda: False, max_attempts=3).run()
    assert service.get("ada", job_id).status == "completed" and not failures


def test_the_same_wish_is_the_same_whatever_model_is_of_the_day():
    other = dataclasses.replace(ORDER, model="another")
    assert other.fingerprint("x", seed_drawn=False) == ORDER.fingerprint("x", seed_drawn=False)
    assert ORDER.fingerprint("y", seed_drawn=False) != ORDER.fingerprint("x", seed_drawn=False)


# heartbeat


def test_a_silent_workers_job_is_handed_on_once(service, clip):
    now = [0.0]
    watches = [heartbeat.Watch(service.engine, 15, clock=lambda: now[0]) for _ in range(2)]
    lively, silent = _job(service, clip), _job(service, clip)
    Claim.take(service.engine, lively, "lively")
    Claim.take(service.engine, silent, "silent")
    for worker in ("lively", "silent"):
        heartbeat.beat(service.engine, worker, "m", None)
    handed: list[str] = []
    while now[0] < 40:
        heartbeat.beat(service.engine, "lively", "m", None)
        for watch in watches:
            handed += heartbeat.hand_over_lost(service.engine, service.queue, watch)
        if now[0] < 14:
            assert handed == []
        now[0] += 2
    assert handed == [silent]
    assert service.get("ada", silent).status == "pending" and service.get("ada", lively).status == "processing"
    assert watches[0].heard() == {"lively": "m"}


def test_an_outage_is_no_silence(service, clip):
    now = [0.0]
    watch = heartbeat.Watch(service.engine, 15, clock=lambda: now[0])
    job_id = _job(service, clip)
    Claim.take(service.engine, job_id, "w")
    heartbeat.beat(service.engine, "w", None, None)
    for _ in range(8):
        heartbeat.hand_over_lost(service.engine, service.queue, watch)
        now[0] += 2
    now[0] += 60  # nothing was seen meanwhile, as when the database is away or the machine sleeps
    for _ in range(7):
        assert heartbeat.hand_over_lost(service.engine, service.queue, watch) == []
        now[0] += 2


def test_a_job_without_a_queue_entry_gets_one(service, clip):
    now = [0.0]
    watch = heartbeat.Watch(service.engine, 1, clock=lambda: now[0])
    job_id = _job(service, clip, created=time.time() - 100)
    service.queue.forget([job_id])
    for _ in range(3):
        heartbeat.hand_over_lost(service.engine, service.queue, watch)
        now[0] += 1
    found = service.queue._client.list_workflows(workflow_ids=[job_id])
    assert [entry.status for entry in found] == ["ENQUEUED"]


# retention


def test_old_jobs_go_and_then_the_oldest_beyond_the_quota(service, clip):
    day, now = 86400, time.time()
    done = {"status": "completed", "bytes": 400}
    old = _job(service, clip, finished=now - 40 * day, **done)
    third, second, first = (_job(service, clip, finished=now - days * day, **done) for days in (3, 2, 1))
    waiting = _job(service, clip)
    service.settings = dataclasses.replace(service.settings, keep_days=30, quota_gb=1e-6)  # 1000 bytes
    assert set(retention.sweep(service)) == {old, third}
    assert set(service.storage.job_ids()) == {first, second, waiting}
    with pytest.raises(NotFound):
        service.get("ada", old)


def test_stray_files_go_and_new_ones_stay(service, clip):
    kept = _job(service, clip)
    old = "0" * 12 + "a" * 20  # an id of 1970
    fresh = storage.new_job_id()  # a job being submitted now
    for job_id in (old, fresh):
        service.storage.write(storage.prompt_key(job_id), b"x")
    assert retention.sweep(service) == [old]
    assert set(service.storage.job_ids()) == {kept, fresh}


def test_songs_of_another_database_are_no_strays(service, clip, migrated, tmp_path):
    old = "0" * 12 + "a" * 20
    service.storage.write(storage.prompt_key(old), b"x")
    kept = _job(service, clip)
    other_dir = tmp_path / "other"
    other_dir.mkdir()
    (other_dir / "jobs.sqlite").write_bytes(migrated.read_bytes())
    settings = ServeSettings(data_dir=other_dir, storage_url=f"file://{tmp_path / 'storage'}")
    engine = connect(settings)
    other = JobService(settings, engine, Storage.of(settings))
    assert retention.sweep(other, stray_after_s=0) == []  # not marked yet, but it knows none of the jobs
    assert retention.sweep(service, stray_after_s=3600) == [old]
    _job(other, clip)
    assert retention.sweep(other, stray_after_s=0) == []  # marked by the first
    assert kept in service.storage.job_ids()
    engine.dispose()


# processes


def test_each_worker_has_a_slot_of_its_own(tmp_path):
    with worker_slot(tmp_path) as first:
        with worker_slot(tmp_path) as second:
            assert first != second
        with worker_slot(tmp_path) as third:
            assert third == second
    with worker_slot(tmp_path) as again:
        assert again == first
    with worker_slot(tmp_path / "other") as elsewhere:
        assert elsewhere != first


def test_a_worker_that_does_not_stop_is_killed(tmp_path):
    code = "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    supervisor = Supervisor(ServeSettings(data_dir=tmp_path), [sys.executable, "-c", code], grace_s=0.5)
    supervisor.start()
    time.sleep(0.3)
    began = time.monotonic()
    supervisor.stop()
    assert time.monotonic() - began < 30


def test_a_database_that_cannot_be_reached_is_unavailable(tmp_path):
    settings = ServeSettings(data_dir=tmp_path, database_url="postgresql://x@127.0.0.1:1/x")
    service = JobService(settings, connect(settings), Storage.of(settings))
    with pytest.raises(Unavailable):
        service.get("ada", "x")
