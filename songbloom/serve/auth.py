"""API keys: shown once, stored hashed, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass

import sqlalchemy as sa

from songbloom.errors import InvalidInput
from songbloom.serve.database import keys, reached

#: Who everybody is while keys are off.
ANYONE = "local"
_KEY = re.compile(r"sb_([0-9a-f]{16})_([0-9A-Za-z_-]{43})")


@dataclass(frozen=True)
class Caller:
    """Who asks. ``name`` is the owner of the jobs; only an admin may load models and read metrics."""

    name: str
    admin: bool


def create_key(engine: sa.Engine, name: str, *, admin: bool = False) -> str:
    """Make a key and return it; only its hash is kept.

    Raises:
        InvalidInput: there is a key of this name, or it is not a name.
    """
    if not re.fullmatch(r"[\w.@-]{1,100}", name) or name == ANYONE:
        raise InvalidInput("name", name, "must be 1 to 100 letters, digits, '.', '_', '@' or '-', and not 'local'")
    key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)  # 256 bits: one hash is enough
    row = {"id": key_id, "name": name, "hash": _hash(secret), "admin": admin, "created": time.time()}
    try:
        with reached(), engine.begin() as connection:
            connection.execute(sa.insert(keys).values(row))
    except sa.exc.IntegrityError as error:
        raise InvalidInput("name", name, "has a key already; revoke it with --revoke-key") from error
    return f"sb_{key_id}_{secret}"


def revoke_key(engine: sa.Engine, name: str) -> None:
    """Make a key useless. Raises InvalidInput if there is none of this name."""
    with reached(), engine.begin() as connection:
        if not connection.execute(sa.delete(keys).where(keys.c.name == name)).rowcount:
            raise InvalidInput("name", name, "there is no key of this name")


def has_keys(engine: sa.Engine) -> bool:
    with reached(), engine.connect() as connection:
        return connection.execute(sa.select(keys.c.id).limit(1)).first() is not None


def find_caller(engine: sa.Engine, key: str) -> Caller | None:
    """Whose key this is; None if nobody's."""
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    with reached(), engine.connect() as connection:
        row = connection.execute(sa.select(keys).where(keys.c.id == match[1])).first()
    # The hash is computed and compared in any case, so that the time tells nothing.
    same = hmac.compare_digest(_hash(match[2]), row.hash if row is not None else "0" * 64)
    return Caller(row.name, row.admin) if same and row is not None else None


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
