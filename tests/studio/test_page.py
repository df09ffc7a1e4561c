"""The page with a pretending model: cancelling, sessions side by side, bad input, library, hosts, accessibility."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from tests.studio.browser import StudioPage


@pytest.fixture(scope="module")
def clips(tmp_path_factory, clip):
    """Files that are no style clips, by what is wrong with them."""
    folder = tmp_path_factory.mktemp("bad")
    soundfile.write(folder / "silent.wav", np.zeros(96000), 48000)
    soundfile.write(folder / "short.wav", 0.3 * np.sin(np.arange(4800) / 10), 48000)
    soundfile.write(folder / "nan.wav", np.full(96000, np.nan, np.float32), 48000, subtype="FLOAT")
    (folder / "text.wav").write_text("this is no audio")
    return folder


def _wish(page: StudioPage, lyrics: str = "[verse]\nhello world", clip: str = "Folk") -> StudioPage:
    page.write(lyrics)
    page.choose(clip)
    return page


def test_bad_input_is_told_as_the_api_tells_it(studio, visit, clips):
    page = visit(studio)
    page.write("[verse]\nhello")
    page.create()
    assert "Style clip" in page.refused()
    page.choose()
    for lyrics, said in (("", "lyrics"), (" \n\t", "lyrics"), ("la " * 34_000, "20000")):
        page.write(lyrics)
        page.create()
        assert "Lyrics" in page.refused() and said in page.refused().lower()
    page.write("[verse]\nhello")
    for seed in ("-1", "nan", "99999999999999999999", "half"):
        page.seed(seed)
        page.create()
        assert "Seed" in page.refused()
    page.seed("")
    said = {"silent": "silent", "short": "0.10 s", "nan": "NaN", "text": "audio"}
    for name, words in said.items():
        page.upload(clips / f"{name}.wav")
        page.create()
        page.until(lambda words=words: words in page.refused())
        assert "Style clip" in page.refused()
    page.write("!cannot")
    page.choose()
    job_id = page.made()
    page.card(job_id).get_by_text("cannot be sung").wait_for()
    assert "Lyrics" in page.card(job_id).inner_text()
    title = "../../etc/passwd"  # a title may be anything: the file's name is made of its letters alone
    page.title(title)
    _wish(page, "[verse]\n\U0001f600 \x07 smile")
    assert page.finished(page.made()).locator("h3").inner_text() == title


def test_the_editor_warns_and_pronounces(studio, visit):
    page = visit(studio)
    page.write("[banana]\nlantern light\n\n[intro]\nwords here")
    page.find(".sb-warning").first.wait_for()
    text = page.find("#sb-lyrics-help").inner_text()
    assert "banana" in text and "[intro]" in text and "estimate" in text
    page.find("#sb-lyrics textarea").evaluate("box => { box.focus(); box.setSelectionRange(9, 16); }")
    page.find("#sb-lyrics textarea").dispatch_event("mouseup")
    page.find(".sb-said code").wait_for()
    assert page.find(".sb-said code").inner_text().startswith("L ")
    page.page.get_by_role("button", name="Chorus", exact=True).click()
    assert "[chorus]" in page.find("#sb-lyrics textarea").input_value()
    page.find(".sb-plan").get_by_text("Chorus").wait_for()
    page.page.reload()
    page.until(lambda: "[banana]" in page.find("#sb-lyrics textarea").input_value())  # the draft


def test_a_recording_becomes_the_clip(studio, visit):
    page = visit(studio, permissions=["microphone"])
    page.write("[verse]\nhello")
    page.page.get_by_role("button", name="Record").click()
    stop = page.page.get_by_role("button", name="Stop recording")
    stop.wait_for()
    page.page.wait_for_timeout(2500)
    stop.click()
    page.find(".sb-clip-view canvas").wait_for()
    page.finished(page.made())


def test_a_refused_microphone_is_told(studio, visit):
    page = visit(studio)
    page.page.get_by_role("button", name="Record").click()
    page.find("#sb-toasts").get_by_text("microphone").wait_for()


def test_cancelling_keeps_what_is_done(studio, visit):
    page = _wish(visit(studio))
    page.longest(120)
    job_id = page.made()
    page.until(lambda: float(page.card(job_id).get_attribute("data-song-s") or 0) > 1.5)
    page.card(job_id).locator(".sb-cancel").click()
    card = page.finished(job_id)
    assert "kept" in card.inner_text()
    job = studio.job(job_id)
    assert job["status"] == "cancelled" and 1 < job["samples"][0]["seconds"] < 100


def test_two_sessions_do_not_mix(studio, visit):
    ada, bob = visit(studio), visit(studio)
    _wish(ada, "[verse]\nsong of ada")
    _wish(bob, "[verse]\nsong of bob")
    first, second = ada.made(), bob.made()
    for page, own, other, word in ((ada, first, second, "ada"), (bob, second, first, "bob")):
        page.finished(own)
        assert page.card(other).count() == 0
        assert f"song of {word}" in page.card(own).inner_text()
        assert page.find("#sb-lyrics textarea").input_value().endswith(word)


def test_takes_library_favourites_undo_and_the_same_settings(studio, visit):
    page = _wish(visit(studio), "[verse]\nunmistakable nightingale")
    page.takes(2)
    page.seed("41")
    job_id = page.made()
    card = page.finished(job_id)
    card.get_by_role("button", name="Take 2").click()
    assert card.get_by_role("button", name="Take 2").get_attribute("aria-pressed") == "true"
    card.get_by_role("button", name="Edit").click()
    card.get_by_role("textbox", name="Tags").fill("night, bird")
    card.get_by_role("button", name="Save").click()
    card.locator(".sb-tags").get_by_text("bird").wait_for()
    card.get_by_role("button", name="Favourite").click()
    page.until(lambda: studio.client.get("/library?favourite=true").json()["songs"] != [])
    page.write("something else")
    card.get_by_role("button", name="Use these settings").click()
    page.until(lambda: "nightingale" in page.find("#sb-lyrics textarea").input_value())
    page.until(lambda: page.find("#sb-seed textarea, #sb-seed input").first.input_value() == "42")
    page.find(".sb-clip-view").get_by_text("the clip of").wait_for()

    page.tab(1)
    page.find("#sb-search").fill("BIRD nightingale")
    page.until(lambda: page.find("#sb-library article").count() == 1)
    found = page.card(job_id, "#sb-library")
    found.get_by_role("button", name="Delete").click()
    page.until(lambda: page.card(job_id, "#sb-library").count() == 0)
    page.find("#sb-toasts .sb-toast").filter(has_text="deleted").get_by_role("button", name="Undo").click()
    page.card(job_id, "#sb-library").wait_for()
    page.card(job_id, "#sb-library").get_by_role("button", name="Another take").click()
    page.until(lambda: len(studio.client.get("/library?search=nightingale").json()["songs"]) == 2)


def test_both_cards_of_a_song_tell_the_same_and_deleted_songs_stay_away(studio, visit):
    page = _wish(visit(studio), "[verse]\ntwofold")
    seed = str(2**53 + 1)  # more than a number of JavaScript holds
    page.seed(seed)
    job_id = page.made()
    now = page.finished(job_id)
    now.locator("summary").click()
    page.until(lambda: f'"seed": "{seed}"' in now.locator("pre").inner_text())  # written when the part has opened
    page.tab(1)
    kept = page.card(job_id, "#sb-library")
    kept.get_by_role("button", name="Edit").click()
    kept.get_by_role("textbox", name="Title").fill("A new name")
    kept.get_by_role("textbox", name="Tags").fill("night")
    kept.get_by_role("button", name="Save").click()
    page.tab(0)
    now.locator(".sb-tags").get_by_text("night").wait_for()
    assert now.locator("h3").inner_text() == "A new name"
    now.get_by_role("button", name="Edit").click()
    assert now.get_by_role("textbox", name="Tags").input_value() == "night"
    now.get_by_role("button", name="Delete").click()
    page.until(lambda: now.count() == 0)
    page.page.reload()
    page.find("#sb-now .sb-empty").wait_for()
    page.page.wait_for_timeout(1000)
    assert now.count() == 0


def test_a_click_plays_from_its_place_and_once(studio, visit):
    page = _wish(visit(studio), "[verse]\nonce")
    page.find("#sb-live-first").uncheck()
    page.longest(20)
    job_id = page.made()
    card = page.finished(job_id)
    box = card.locator(".sb-wavebox").bounding_box()
    card.locator(".sb-wavebox").click(position={"x": 0.7 * box["width"], "y": box["height"] / 2})
    seconds = studio.job(job_id)["samples"][0]["seconds"]
    place = "document.querySelector('#sb-player audio').currentTime"
    page.until(lambda: page.page.evaluate(place) > 0.6 * seconds)
    again = card.get_by_role("button", name="Another take")
    before = len(studio.client.get("/jobs").json()["jobs"])
    again.dblclick()
    page.until(lambda: len(studio.client.get("/jobs").json()["jobs"]) > before)
    page.page.wait_for_timeout(500)
    assert len(studio.client.get("/jobs").json()["jobs"]) == before + 1


def test_nothing_is_asked_elsewhere_and_following_is_no_polling(studio, visit):
    page = _wish(visit(studio, locale="zh-CN", color_scheme="dark"), clip="民谣")
    page.longest(20)
    page.requests.clear()
    job_id = page.made()
    page.finished(job_id)
    page.page.wait_for_timeout(300)
    asked = [path for _, path in page.requests if not path.startswith("/studio")]
    assert asked.count("/events") == 1
    told = [path for path in asked if not path.startswith("/download/")]  # which an audio element reads in pieces
    assert len(told) <= 6, told  # generate, events, stream, song, lyrics: however long it takes
    for number in (1, 2):
        page.tab(number)
        page.page.wait_for_timeout(300)
    assert page.hosts == {"127.0.0.1"}


def test_it_speaks_chinese_and_changes_its_colours(studio, visit):
    page = visit(studio, locale="zh-CN")
    assert (page.find("html").get_attribute("lang") or "").startswith("zh")
    page.page.get_by_text("开始创作").wait_for()
    page.page.get_by_text("歌词", exact=True).first.wait_for()
    page.page.get_by_role("button", name="Switch to English").click()
    page.page.get_by_text("Create the song").wait_for()
    dark = "document.body.classList.contains('dark')"
    assert page.page.evaluate(dark) is False
    page.page.get_by_role("button", name="Dark or light").click()
    page.page.reload()
    page.page.get_by_text("Create the song").wait_for()
    assert page.page.evaluate(dark) is True


def test_the_model_panel_loads_and_lets_go(studio, visit):
    page = visit(studio)
    page.tab(2)
    state = page.find("#sb-model .sb-state")
    page.find("#sb-model-name option").first.wait_for(state="attached")
    assert page.find("#sb-dtype option").all_inner_texts() == ["automatic"]  # all that these workers offer
    page.page.get_by_role("button", name="Load", exact=True).click()
    page.until(lambda: "is loaded" in state.inner_text() and "MB" in state.inner_text())
    page.page.get_by_role("button", name="Unload").click()
    page.until(lambda: "No model" in state.inner_text())
    assert studio.client.get("/models").json()["state"] == "resting"
    page.find("#sb-model-name").select_option("songbloom_full_150s")
    assert page.page.get_by_role("button", name="Load", exact=True).is_disabled()
    page.page.get_by_role("button", name="Download it").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_finding_of_axe(studio, visit, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    page = _wish(visit(studio, color_scheme=scheme))
    page.finished(page.made()).locator("summary").click()
    page.settings()
    for number in range(3):
        page.tab(number)
        page.page.wait_for_timeout(500)
        found = axe.Axe().run(page.page).response["violations"]
        bad = [
            (entry["id"], entry["nodes"][0]["html"]) for entry in found if entry["impact"] in ("serious", "critical")
        ]
        assert not bad, (number, bad)


def test_it_fits_a_phone_and_a_keyboard(studio, visit):
    page = visit(studio)
    page.page.set_viewport_size({"width": 390, "height": 844})
    page.page.wait_for_timeout(200)
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 390
    page.page.keyboard.press("Tab")
    assert page.page.evaluate("document.activeElement.className") == "sb-skip"
    page.write("[verse]\nhello")
    page.page.get_by_label("Folk", exact=True).focus()
    page.page.keyboard.press("Space")
    page.find("#sb-create").focus()
    page.page.keyboard.press("Enter")
    page.find("#sb-now .sb-download").first.wait_for()
    wave = page.find("#sb-now .sb-wavebox").first
    wave.focus()
    page.page.keyboard.press("ArrowRight")
    page.find("#sb-player").wait_for()
