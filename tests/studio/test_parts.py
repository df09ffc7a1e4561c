"""The parts of the page without a browser."""

from __future__ import annotations

import re

import httpx

from songbloom.serve import errors
from songbloom.serve.schemas import GenerateForm
from songbloom.studio.examples import Examples
from songbloom.studio.mount import STATIC
from songbloom.studio.page import FORMATS, PRESETS, build_page, strings

_HOLE = re.compile(r"\{\w+\}")


def test_every_word_is_there_in_both_languages():
    table = strings()
    for key, entry in table.items():
        assert set(entry) == {"en", "zh"} and all(entry.values()), key
        assert sorted(_HOLE.findall(entry["en"])) == sorted(_HOLE.findall(entry["zh"])), key
    asked = set()
    for script in STATIC.glob("*.js"):
        asked |= set(re.findall(r"\bt\(\"(\w+)\"", script.read_text(encoding="utf-8")))
    assert asked <= set(table) and len(asked) > 80


def test_every_problem_of_the_service_has_words():
    found = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ServeError)]
    kinds = {kind.name for kind in found if kind not in (errors.ServeError, errors.Invalid)}  # Invalid names its fields
    assert {f"problem_{kind.replace('-', '_')}" for kind in kinds} <= set(strings())


def test_gradio_runs_nothing_on_the_server():
    page = build_page()
    assert page.fns and all(event.fn is None for event in page.fns.values())


def test_what_can_be_set_is_what_the_service_takes():
    form = GenerateForm.model_fields
    assert set(FORMATS) == set(form["format"].annotation.__args__)
    for guidance, steps, top_k, temperature in PRESETS.values():
        assert 0 <= guidance <= 5 and 10 <= steps <= 100 and 50 <= top_k <= 500 and 0 <= temperature <= 2


def test_examples_are_asked_for_by_name(studio, tmp_path):
    assert Examples.of(tmp_path / "missing") == Examples({}, {})
    known = studio.client.get("/studio/examples").json()
    assert "folk" in known["clips"] and "[verse]" in known["lyrics"]["lantern"]
    clip = studio.client.get("/studio/examples/folk")
    assert clip.headers["content-type"] == "audio/flac" and clip.content[:4] == b"fLaC"
    for name in ("missing", "..%2Flyrics%2Flantern.txt", "%2e%2e%2fREADME.md"):
        assert studio.client.get(f"/studio/examples/{name}").status_code == 404
    assert studio.client.get("/studio/own/..%2fpage.py").status_code == 404


def test_of_gradios_server_only_the_page_is_open(studio):
    page = studio.client.get("/studio/")
    assert page.status_code == 200 and page.text.index("songbloom.") < page.text.index("gradio_config")
    files = {"files": ("a.txt", b"x")}
    assert studio.client.post("/studio/gradio_api/upload", files=files).status_code == 404
    for path in ("gradio_api/info", "gradio_api/file=/etc/passwd", "gradio_api/queue/data", "proxy=http://x", "login"):
        answer = studio.client.get(f"/studio/{path}")
        assert answer.status_code == 404, path
        assert answer.headers["content-type"] == "application/problem+json"


def test_programs_still_find_the_service_at_the_root(studio):
    assert studio.client.get("/").json()["name"].startswith("SongBloom")
    browser = {"Accept": "text/html,application/xhtml+xml"}
    answer = httpx.get(studio.url + "/", headers=browser, follow_redirects=False)
    assert answer.status_code == 307 and answer.headers["location"] == "/studio/"
    assert "/studio/examples" not in studio.client.get("/openapi.json").json()["paths"]
