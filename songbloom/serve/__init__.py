"""The REST service: jobs that survive anything, made by worker processes; see docs/serving.md.

The way of a job::

    routes/generate.py    form fields and a clip, checked
    uploads.py            the clip, decoded in a process of its own
    jobs.py               JobService: a row and its queue entry in one transaction
    worker.py             takes it from the queue (DBOS), one at a time
    song_work.py          composes, stores every block, so that it can go on after a crash
    routes/audio.py       the song, while it is composed and after

The API process never loads torch; the workers are processes of their own.
"""

from __future__ import annotations

from importlib.util import find_spec

from songbloom.errors import NotAvailable

_NEEDED = ("dbos", "fastapi", "uvicorn", "python_multipart", "fsspec", "prometheus_client", "sqlalchemy")


def require_extra() -> None:
    """Raises NotAvailable, with the line that installs it, if the extra ``serve`` is not there."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise NotAvailable(f"the service needs {', '.join(missing)}; install it with: pip install 'songbloom[serve]'")
