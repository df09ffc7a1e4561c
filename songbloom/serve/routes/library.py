"""``/library``: the songs made here, their titles, tags and favourites; deleted ones can be brought back."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from songbloom.serve.context import Context, JobId, Who
from songbloom.serve.errors import Invalid, NotFound, Unavailable
from songbloom.serve.problems import responses
from songbloom.serve.schemas import LibraryPage, LibraryQuery, LibrarySongView, SongChange

router = APIRouter(tags=["library"])
_REFUSALS = (NotFound, Invalid, Unavailable)


@router.get("/library", responses=responses(Invalid, Unavailable))
def list_library(context: Context, who: Who, query: Annotated[LibraryQuery, Query()]) -> LibraryPage:
    """Your songs, the newest first."""
    found, following = context.library.songs(
        who.name, search=query.search, favourite=query.favourite, trashed=query.trashed,
        limit=query.limit, before=query.before,
    )  # fmt: skip
    return LibraryPage(songs=[LibrarySongView.of(song) for song in found], next=following)


@router.get("/library/{job_id}", responses=responses(*_REFUSALS))
def get_song(context: Context, who: Who, job_id: JobId) -> LibrarySongView:
    """A job and what is said of its song."""
    return LibrarySongView.of(context.library.get(who.name, job_id))


@router.patch("/library/{job_id}", responses=responses(400, *_REFUSALS))
def change_song(context: Context, who: Who, job_id: JobId, change: SongChange) -> LibrarySongView:
    """Say what a song is called, how it is tagged, whether it is a favourite. What is left out stays."""
    changes: dict[str, Any] = change.model_dump(exclude_none=True)
    song = context.library.change(who.name, job_id, **changes) if changes else context.library.get(who.name, job_id)
    return LibrarySongView.of(song)


@router.delete("/library/{job_id}", responses=responses(*_REFUSALS))
def trash_song(context: Context, who: Who, job_id: JobId) -> LibrarySongView:
    """Put a song into the bin, from which it can be restored for a week. DELETE /jobs/{job_id} is for good."""
    return LibrarySongView.of(context.library.trash(who.name, job_id))


@router.post("/library/{job_id}/restore", responses=responses(*_REFUSALS))
def restore_song(context: Context, who: Who, job_id: JobId) -> LibrarySongView:
    """Bring a song back from the bin."""
    return LibrarySongView.of(context.library.restore(who.name, job_id))
