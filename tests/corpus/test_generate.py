"""Writing a corpus folder."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from songbloom.corpus import generate
from songbloom.corpus.generate import song_score, write_corpus
from songbloom.corpus.score import Score
from songbloom.corpus.settings import CorpusSettings
from songbloom.corpus.style_clips import style_clip_score, write_style_clips
from songbloom.errors import InvalidInput, OutputError

SETTINGS = CorpusSettings(single_line=True)


class SilentStudio:
    """Stands in for the voice and the band, which test_render hears."""

    rendered: list[int]

    def __init__(self) -> None:
        self.rendered = []

    def render(self, score: Score) -> np.ndarray:
        self.rendered.append(score.seed)
        return np.zeros((2, round(score.duration_s * 48_000)), np.float32)


@pytest.fixture
def studio(monkeypatch: pytest.MonkeyPatch) -> SilentStudio:
    silent = SilentStudio()
    monkeypatch.setattr(generate, "Studio", lambda: silent)
    return silent


def _rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


def test_songs_scores_and_manifest_belong_together(tmp_path: Path, studio: SilentStudio) -> None:
    assert write_corpus(tmp_path, n_songs=4, seed=3, settings=SETTINGS) == 4
    rows = _rows(tmp_path)
    assert [row["number"] for row in rows] == [0, 1, 2, 3]
    assert [row["pair"] for row in rows] == [0, 0, 1, 1]
    assert rows[0]["card"] == rows[1]["card"] != rows[2]["card"]
    assert rows[0]["lyrics"] != rows[1]["lyrics"]
    for row in rows:
        score = Score.from_json((tmp_path / row["score"]).read_text())
        assert score == song_score(row["number"], 3, SETTINGS)
        assert soundfile.info(tmp_path / row["audio"]).duration == pytest.approx(row["duration_s"], abs=0.001)


def test_a_second_run_makes_only_what_is_missing(tmp_path: Path, studio: SilentStudio) -> None:
    write_corpus(tmp_path, n_songs=4, settings=SETTINGS)
    lines = (tmp_path / "manifest.jsonl").read_text().splitlines()
    # A crash: song 1 lost its line, the last line is cut in the middle, song 2 lost its audio.
    (tmp_path / "manifest.jsonl").write_text("\n".join([lines[0], lines[2], lines[3][:40]]))
    (tmp_path / "song000002.flac").unlink()
    studio.rendered.clear()
    assert write_corpus(tmp_path, n_songs=4, settings=SETTINGS) == 4
    assert studio.rendered == [1, 2, 3]
    assert sorted(row["number"] for row in _rows(tmp_path)) == [0, 1, 2, 3]


def test_hours_are_reached(tmp_path: Path, studio: SilentStudio) -> None:
    write_corpus(tmp_path, hours=0.02, settings=SETTINGS)
    assert 72 <= sum(row["duration_s"] for row in _rows(tmp_path)) < 200


def test_corpora_of_other_seeds_share_no_song() -> None:
    assert {song_score(n, 0, SETTINGS).lyrics for n in range(6)}.isdisjoint(
        song_score(n, 1, SETTINGS).lyrics for n in range(6)
    )


def test_a_folder_of_other_settings_is_refused(tmp_path: Path, studio: SilentStudio) -> None:
    write_corpus(tmp_path, n_songs=1, settings=SETTINGS)
    with pytest.raises(InvalidInput, match="other settings"):
        write_corpus(tmp_path, n_songs=2, settings=CorpusSettings())


@pytest.mark.parametrize(
    "wrong", [{}, {"hours": 1.0, "n_songs": 2}, {"hours": 0.0}, {"n_songs": -1}, {"hours": float("nan")}]
)
def test_amounts_that_make_no_sense_are_refused(tmp_path: Path, wrong: dict) -> None:
    with pytest.raises(InvalidInput):
        write_corpus(tmp_path, **wrong)


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Cannot write"):
        write_corpus(tmp_path / "file" / "corpus", n_songs=1)


def test_nothing_half_written_stays_when_the_disk_is_full(
    tmp_path: Path, studio: SilentStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *args: object, **kwargs: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(generate.soundfile, "write", full)
    with pytest.raises(OutputError, match="No space left"):
        write_corpus(tmp_path, n_songs=1, settings=SETTINGS)
    assert not list(tmp_path.glob("*.flac")) and not list(tmp_path.glob(".song*"))


def test_style_clips_last_ten_seconds_and_come_from_no_corpus(tmp_path: Path) -> None:
    silent = SilentStudio()
    paths = write_style_clips(tmp_path, 2, silent)  # type: ignore[arg-type]
    assert [p.name for p in paths] == ["00_piano_ballad_hibari.flac", "01_synthpop_low.flac"]
    assert all(soundfile.info(p).duration == 10 and soundfile.info(p).samplerate == 48_000 for p in paths)
    assert all(seed < 0 for seed in silent.rendered)
    cards = [style_clip_score(n).card for n in range(10)]
    assert len({c.style for c in cards}) == 10 and len({c.bpm for c in cards}) == 10


def test_style_clips_need_a_number_above_zero(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="n_clips"):
        write_style_clips(tmp_path, 0)
