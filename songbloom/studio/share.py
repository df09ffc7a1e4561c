"""A public address for ``--share``: Gradio's tunnel, with a key, so that only who has the link may come in."""

from __future__ import annotations

import secrets
from typing import NamedTuple

from songbloom.errors import InvalidInput, NotAvailable
from songbloom.serve.auth import create_key, revoke_key
from songbloom.serve.database import connect, migrate, private_folder
from songbloom.serve.gate import PAGE_PATH
from songbloom.serve.settings import ServeSettings

#: Owners of songs made through the public address, and on this machine meanwhile.
GUEST, HOST = "shared", "studio"


class Addresses(NamedTuple):
    """Where the page is; each address carries a new key, which is not kept anywhere else."""

    public: str
    local: str


def share(settings: ServeSettings) -> Addresses:
    """Open the tunnel; it closes with this process. Keys of an earlier time no longer hold.

    Raises:
        InvalidInput: the port is not known yet.
        NotAvailable: the tunnel cannot be opened, for instance without a network.
    """
    if not settings.port:
        raise InvalidInput("port", 0, "must be chosen with --share, for instance 7860")
    from gradio import networking

    try:
        public = networking.setup_tunnel("127.0.0.1", settings.port, secrets.token_urlsafe(32), None, None)
    except Exception as error:  # what it raises is nowhere said
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        advice = "leave it out, or see docs/studio.md"
        raise NotAvailable(f"--share could not open Gradio's tunnel ({reason}); {advice}") from error
    guest, host = (f"{PAGE_PATH}/#key={key}" if key else "/" for key in _new_keys(settings))
    return Addresses(public + guest, f"http://127.0.0.1:{settings.port}{host}")


def _new_keys(settings: ServeSettings) -> tuple[str | None, str | None]:
    """For the guests and, as an admin, for the host; none if the operator wants none."""
    if not settings.auth_on:
        return None, None
    private_folder(settings.data_dir)
    engine = connect(settings)
    migrate(settings, engine)
    try:
        for name in (GUEST, HOST):
            try:
                revoke_key(engine, name)
            except InvalidInput:  # the first time
                continue
        return create_key(engine, GUEST), create_key(engine, HOST, admin=True)
    finally:
        engine.dispose()
