"""``/lyrics``: what a model reads in a lyric, before anything is sung."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter

from songbloom.lyrics.parse import NothingToSing
from songbloom.serve.context import Context, ServeContext, Who
from songbloom.serve.errors import Invalid, TooMany, Unavailable
from songbloom.serve.lyric_reader import reader_of
from songbloom.serve.problems import responses
from songbloom.serve.schemas import LyricsAnswer, LyricsQuestion, LyricsSection

router = APIRouter(tags=["generate"])


@router.post("/lyrics", responses=responses(400, Invalid, TooMany, Unavailable))
async def lyrics(context: Context, _: Who, question: LyricsQuestion) -> LyricsAnswer:
    """Sections with expected seconds, phonemes and warnings, as the current model reads them."""
    async with context.reading.turn():  # long lyrics of unknown words take seconds
        return await asyncio.to_thread(_read, context, question.lyrics)


def _read(context: ServeContext, text: str) -> LyricsAnswer:
    model = context.jobs.model()
    try:
        report = reader_of(model, context.settings.local_dir).describe(text)
    except NothingToSing as error:  # no mistake in lyrics that are being written
        return LyricsAnswer(model=model, seconds=0, tokens=0, sections=[], warnings=[error.remedy])
    sections = [
        LyricsSection(kind=part.kind, lines=part.lines, phonemes=part.phonemes, seconds=part.seconds)
        for part in report.sections
    ]
    return LyricsAnswer(
        model=model, seconds=report.seconds, tokens=report.tokens, sections=sections, warnings=report.warnings
    )
