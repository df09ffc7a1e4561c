"""The library, lyrics, keeping what is composed, and models that come and go."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from songbloom.lyrics import Reader
from songbloom.request import SongSettings
from songbloom.serve import retention, storage
from songbloom.serve.database import connect, library, metadata, migrate
from songbloom.serve.downloads import Downloads
from songbloom.serve.errors import Conflict, NotFound
from songbloom.serve.library import Library, default_title
from songbloom.serve.lyric_reader import reader_of
from songbloom.serve.models import LoadedModel
from songbloom.serve.records import SongOrder
from songbloom.serve.settings import ServeSettings
from tests.serve.fake_worker import FakeComposer
from tests.serve.test_parts import _job, migrated, service  # noqa: F401

SUNG = {"status": "completed", "progress": {"samples_done": 1, "seconds": [3.2]}, "bytes": 400}


def test_a_song_is_named_tagged_found_and_brought_back(service, clip):  # noqa: F811
    songs = Library(service.engine)
    now = time.time()
    first, second = (_job(service, clip, finished=now, **SUNG) for _ in range(2))
    _job(service, clip)  # waits: no song yet
    found, following = songs.songs("ada")
    assert [song.job.id for song in found] == [second, first] and following is None
    assert songs.songs("bob") == ([], None)
    songs.change("ada", first, title="Night", tags=["slow", "雨"], favourite=True)
    assert [song.title for song in songs.songs("ada", search="雨 NIGHT hello")[0]] == ["Night"]
    assert songs.songs("ada", search="night absent")[0] == []
    assert [song.job.id for song in songs.songs("ada", favourite=True)[0]] == [first]
    page, following = songs.songs("ada", limit=1)
    assert [song.job.id for song in songs.songs("ada", limit=1, before=following)[0]] == [first] and page
    songs.trash("ada", first)
    assert [song.job.id for song in songs.songs("ada")[0]] == [second]
    assert [song.title for song in songs.songs("ada", trashed=True)[0]] == ["Night"]
    assert songs.restore("ada", first).favourite
    for act in (songs.get, songs.trash, songs.restore):
        with pytest.raises(NotFound):
            act("bob", first)


def test_the_bin_is_emptied_and_favourites_stay(service, clip):  # noqa: F811
    songs, day = Library(service.engine), 86400
    old = time.time() - 400 * day
    binned, loved, plain = (_job(service, clip, finished=old, **SUNG) for _ in range(3))
    songs.trash("ada", binned)
    songs.change("ada", loved, favourite=True)
    assert songs.empty_bin(service.delete) == []
    assert songs.empty_bin(service.delete, older_than_s=-1) == [binned]
    assert binned not in set(service.storage.job_ids())
    service.settings = dataclasses.replace(service.settings, keep_days=30)
    assert retention.sweep(service) == [plain]
    assert service.get("ada", loved).status == "completed"
    with service.engine.connect() as connection:
        assert set(connection.scalars(sa.select(library.c.job_id))) == {loved}


@pytest.mark.parametrize(
    ("lyrics", "idx", "title"),
    [
        ("[verse]\nHello there", "song", "Hello there"), ("[intro 2s] , [verse] One. Two", "song", "One. Two"),
        ("Verse 1:\nWords", "song", "Words"), ("(Chorus)\nCome", "song", "Come"), ("[inst 9s]", "song", "song"),
        ("words", "mine", "mine"), ("a" * 99, "song", "a" * 59 + "…"),
    ],
)  # fmt: skip
def test_a_song_without_a_title_has_one(lyrics, idx, title):
    assert default_title(SongOrder(lyrics, SongSettings(), idx=idx)) == title


def test_tables_of_an_earlier_version_are_brought_up_to_date(migrated, tmp_path):  # noqa: F811
    (tmp_path / "jobs.sqlite").write_bytes(migrated.read_bytes())
    settings = ServeSettings(data_dir=tmp_path)
    engine = connect(settings)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE songbloom_jobs DROP COLUMN keep")
        connection.exec_driver_sql("ALTER TABLE songbloom_workers DROP COLUMN memory")
        connection.exec_driver_sql("DROP TABLE songbloom_library")
    migrate(settings, engine)
    inspector = sa.inspect(engine)
    for table in metadata.sorted_tables:
        present = {column["name"] for column in inspector.get_columns(table.name)}
        assert present == set(table.columns.keys())
    engine.dispose()


def test_what_a_model_reads_is_known_without_loading_it(tmp_path):
    mini = reader_of("songbloom_mini", tmp_path)
    assert mini.vocab and mini.max_tokens == 600 and mini.pace.syllable_s > 0
    assert reader_of("songbloom_full_240s", tmp_path).pace.tag_s == 5
    assert reader_of("nobody", tmp_path) == Reader()


def test_a_model_rests_until_a_song_needs_it(service):  # noqa: F811
    loaded: list[str] = []

    def load(name: str) -> FakeComposer:
        loaded.append(name)
        return FakeComposer(name)

    model = LoadedModel(load, "first")

    def follow() -> None:
        with service.engine.connect() as connection:
            model.follow(connection)
        model.prepare()

    service.unload_model()
    follow()
    assert loaded == [] and model.name is None
    model.get("first")  # a song
    follow()
    assert model.name == "first"
    service.choose_model("second", quantization="int8")
    follow()
    assert model.name == "second" and model.precision == {"quantization": "int8"}
    service.unload_model()
    follow()
    assert model.name is None and loaded == ["first", "second"]


@pytest.mark.parametrize("unload", [False, True])
def test_a_wish_that_comes_while_a_model_loads_is_not_lost(service, unload):  # noqa: F811
    begun, go_on = threading.Event(), threading.Event()
    loaded: list[dict[str, str]] = []

    def load(name: str) -> FakeComposer:
        loaded.append(model.precision)
        begun.set()
        assert go_on.wait(20)
        return FakeComposer(name)

    model = LoadedModel(load, "first")

    def follow() -> None:
        with service.engine.connect() as connection:
            model.follow(connection)

    follow()
    with ThreadPoolExecutor() as pool:
        loading = pool.submit(model.prepare)
        assert begun.wait(20)
        service.unload_model() if unload else service.choose_model("first", dtype="bfloat16")
        follow()
        go_on.set()
        loading.result()
    model.prepare()
    assert (model.name, loaded) == ((None, [{}]) if unload else ("first", [{}, {"dtype": "bfloat16"}]))


def test_whatever_goes_wrong_with_loading_is_told_and_the_next_model_is_tried(service):  # noqa: F811
    def load(name: str) -> FakeComposer:
        if name == "first":
            raise RuntimeError("CUDA error: out of memory")
        return FakeComposer(name)

    model = LoadedModel(load, "first")
    with service.engine.connect() as connection:
        model.follow(connection)
    model.prepare()
    assert model.name is None and model.problem == "RuntimeError: CUDA error: out of memory"
    service.choose_model("second")
    with service.engine.connect() as connection:
        model.follow(connection)
    model.prepare()
    assert model.name == "second" and model.problem is None


def test_a_download_tells_how_it_goes(tmp_path, monkeypatch):
    from songbloom.checkpoints import registry
    from songbloom.errors import CheckpointError
    from songbloom.serve import downloads

    def fail(release, local_dir, progress):
        progress(downloads.Progress("a.pt", 5, 10, None))
        raise CheckpointError("no source")

    monkeypatch.setattr(downloads, "download", fail)
    bringing, release = Downloads(str(tmp_path)), registry.find("songbloom_full_150s")
    state = bringing.start(release)
    deadline = time.monotonic() + 20
    while state.running:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert (state.file, state.done, state.total, state.error) == ("a.pt", 5, 10, "no source")
    bringing.start(release).running = True
    with pytest.raises(Conflict):
        bringing.start(registry.find("songbloom_full_240s"))


# over HTTP


def test_a_cancelled_song_may_be_kept(make_server, clip):
    server = make_server(fake_block_s=0.05)
    dropped, kept = (server.accepted(clip, max_duration="300", num_samples="2", seed="3") for _ in range(2))
    for job_id, keep in ((dropped, "false"), (kept, "true")):
        server.until(job_id, lambda job: job["progress"]["song_s"] > 1)
        server.client.post(f"/jobs/{job_id}/cancel", params={"keep": keep})
        assert server.ended(job_id)["status"] == "cancelled"
    assert server.job(dropped)["samples"] == [] and server.client.get(f"/download/{dropped}/0").status_code == 404
    [sample] = server.job(kept)["samples"]
    assert 1 < sample["seconds"] < 100 and server.client.get(sample["url"]).content[:4] == b"fLaC"
    server.gone("blocks", dropped)
    peaks = server.client.get(f"/download/{kept}/0/peaks", params={"points": 50}).json()
    assert peaks["seconds"] == pytest.approx(sample["seconds"]) and 40 < len(peaks["peaks"]) <= 50
    assert 0.05 < max(peaks["peaks"]) < 0.2
    assert server.client.get(f"/download/{dropped}/0/peaks").status_code == 404
    assert server.client.get(f"/download/{kept}/0/lines").json() == {"lines": None}
    assert server.client.get(f"/download/{dropped}/0/lines").status_code == 404
    assert server.client.get(f"/jobs/{kept}/prompt_audio").content == clip.read_bytes()
    again = server.client.post(f"/jobs/{kept}/again").json()
    assert again["settings"]["seed"] != 3 and again["settings"]["max_duration"] == 300 and again["num_samples"] == 1


def test_one_stream_follows_all_jobs_and_ends_when_none_is_left(server, clip):
    ids = {server.accepted(clip) for _ in range(3)}
    ended, names = set(), []
    with server.client.stream("GET", "/events") as answer:
        for line in answer.iter_lines():
            if line.startswith("event: "):
                names.append(line.removeprefix("event: "))
            elif line.startswith("data: ") and (view := json.loads(line.removeprefix("data: "))):
                ended |= {view["job_id"]} if view["status"] == "completed" else set()
    assert names[-1] == "idle" and set(names[:-1]) == {"progress"} and ids <= ended


def test_lyrics_and_library_over_http(server, clip):
    told = server.client.post("/lyrics", json={"lyrics": "[verse]\nlantern\n\n[banana]"}).json()
    assert told["model"] == "songbloom_mini" and told["sections"][0]["phonemes"] == ["L AE1 N T ER0 N ."]
    assert any("banana" in warning for warning in told["warnings"])
    begun = server.client.post("/lyrics", json={"lyrics": " "}).json()
    assert begun["sections"] == [] and "nothing to sing" in begun["warnings"][0]
    job_id = server.accepted(clip)
    server.ended(job_id)
    path = f"/library/{job_id}"
    assert server.client.patch(path, json={"title": "Mine", "tags": ["a"]}).json()["title"] == "Mine"
    for change in ({"title": ""}, {"tags": ["x" * 99]}, {"name": "x"}, {"favourite": "perhaps"}):
        assert server.client.patch(path, json=change).status_code == 422
    assert server.client.patch(path, json={"favourite": True}).json()["title"] == "Mine"
    assert server.client.get("/library", params={"search": "mine"}).json()["songs"][0]["tags"] == ["a"]
    assert server.client.delete(path).json()["trashed_at"] and server.client.get(path).json()["title"] == "Mine"
    assert server.client.post(f"{path}/restore").json()["trashed_at"] is None
    assert server.client.delete(f"/library/{storage.new_job_id()}").status_code == 404


def test_precision_is_one_of_those_offered(server):
    told = server.client.get("/models").json()
    assert told["dtypes"] == ["auto"] and told["quantizations"] == ["none"] and told["current"] == "songbloom_mini"
    for field in ("dtype", "quantization"):
        refused = server.client.post("/load-model", json={field: "int2"})
        assert refused.status_code == 422 and refused.json()["errors"][0]["field"] == field
    refused = server.client.post("/load-model", json={"quantization": "int8"})
    assert refused.status_code == 409 and "choose one of none" in refused.json()["detail"]
    assert server.client.post("/models/songbloom_mini/download").status_code == 409
    assert server.client.post("/models/nonsense/download").status_code == 404


def test_memory_is_told_while_torch_is_being_imported(monkeypatch):
    import sys
    from types import ModuleType

    from songbloom.serve.composer import memory

    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))  # as far as another thread has come
    assert memory(loaded=False) is None or memory(loaded=False) > 1_000_000


def test_a_resting_worker_is_ready(make_server, clip):
    server = make_server()

    def wait_for(state: str, ready: int) -> None:
        deadline = time.monotonic() + 60
        while (server.client.get("/models").json()["state"], server.client.get("/ready").status_code) != (state, ready):
            assert time.monotonic() < deadline, server.client.get("/models").text
            time.sleep(0.05)

    wait_for("loaded", 200)
    assert server.client.post("/unload-model").status_code == 202
    wait_for("resting", 200)
    assert server.ended(server.accepted(clip))["status"] == "completed"
