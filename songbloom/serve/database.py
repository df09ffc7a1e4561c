"""The database: our tables beside those of DBOS, SQLite or Postgres, the same code for both."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import QueuePool

from songbloom.serve.errors import Unavailable
from songbloom.serve.settings import ServeSettings

log = logging.getLogger(__name__)

metadata = sa.MetaData()

jobs = sa.Table(
    "songbloom_jobs",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("idempotency_key", sa.Text),
    sa.Column("fingerprint", sa.Text, nullable=False),  # of the request's content, to tell a repeat from a misuse
    sa.Column("request", sa.JSON, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("progress", sa.JSON, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("run", sa.Text),  # token of the attempt that may write; another's writes find no row
    sa.Column("worker", sa.Text),
    sa.Column("cancel", sa.Boolean, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False),
    sa.Column("error", sa.JSON),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("created", sa.Float(53), nullable=False),  # seconds since 1970
    sa.Column("started", sa.Float(53)),
    sa.Column("finished", sa.Float(53)),
    sa.Column("keep", sa.Boolean),  # cancelled, but what is composed becomes a song
    sa.UniqueConstraint("owner", "idempotency_key", name="songbloom_jobs_once"),
    sa.Index("songbloom_jobs_queue", "status", "priority", "created"),
    sa.Index("songbloom_jobs_owner", "owner", "created"),
)

workers = sa.Table(
    "songbloom_workers",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("beat", sa.BigInteger, nullable=False),  # counts up while the worker lives
    sa.Column("model", sa.Text),  # loaded now
    sa.Column("problem", sa.Text),  # why it cannot work
    sa.Column("memory", sa.BigInteger),  # bytes it holds, of the device or else of the process
)

library = sa.Table(
    "songbloom_library",
    metadata,
    sa.Column("job_id", sa.String(32), primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("title", sa.Text),
    sa.Column("tags", sa.JSON, nullable=False),
    sa.Column("favourite", sa.Boolean, nullable=False),
    sa.Column("trashed", sa.Float(53)),  # when it was deleted; it can be brought back for some days
    sa.Index("songbloom_library_owner", "owner"),
)

keys = sa.Table(
    "songbloom_keys",
    metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("admin", sa.Boolean, nullable=False),
    sa.Column("created", sa.Float(53), nullable=False),
)

values = sa.Table(
    "songbloom_values",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.JSON, nullable=False),
)

#: What SQLAlchemy raises when the database is away, locked or full, as opposed to asked something wrong.
AWAY = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.InternalError, sa.exc.TimeoutError)


def private_folder(path: Path) -> Path:
    """Make ``path`` a folder that only its owner can enter."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    if os.name == "posix":
        path.chmod(0o700)
    return path


def url_of(settings: ServeSettings) -> str:
    """The database's URL as DBOS and SQLAlchemy read it."""
    if not settings.database_url:
        return f"sqlite:///{settings.data_dir.absolute() / 'jobs.sqlite'}"
    kind, _, rest = settings.database_url.partition("://")
    return settings.database_url if kind.startswith("sqlite") else f"postgresql+psycopg://{rest}"


def connect(
    settings: ServeSettings, *, patience_s: float = 5.0, pool_size: int = 20, listens: bool = False
) -> sa.Engine:
    """An engine; nothing is connected yet.

    Args:
        patience_s: how long to wait for a lock or a connection before the database counts as away.
        listens: some of its connections wait for notifications, so that a long silence is no fault.
    """
    url = url_of(settings)
    options: dict[str, Any] = {"pool_size": pool_size, "max_overflow": pool_size, "pool_timeout": patience_s}
    if not url.startswith("sqlite"):
        timeouts = {
            "connect_timeout": max(2, int(patience_s)),
            "tcp_user_timeout": int(patience_s * 2000),  # a line that is cut without a word
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "application_name": "songbloom",
        }
        engine = sa.create_engine(url, pool_pre_ping=True, connect_args=timeouts, **options)
        if not listens:
            sa.event.listen(engine, "do_connect", _connect_impatiently)
        return engine
    engine = sa.create_engine(url, poolclass=QueuePool, connect_args={"check_same_thread": False}, **options)

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = "IMMEDIATE"  # writers wait for each other instead of failing, as DBOS wants it
        connection.execute(f"PRAGMA busy_timeout={int(patience_s * 1000)}")
        connection.execute("PRAGMA journal_mode=WAL")  # readers do not wait for writers
        connection.execute("PRAGMA synchronous=FULL")  # a committed job is on the disk
        connection.execute("PRAGMA foreign_keys=ON")

    return engine


def _connect_impatiently(dialect: Any, record: Any, arguments: list[Any], options: dict[str, Any]) -> Any:
    from songbloom.serve.postgres import ImpatientConnection

    return ImpatientConnection.connect(*arguments, **options)


def migrate(settings: ServeSettings, engine: sa.Engine) -> None:
    """Make or upgrade DBOS' tables and ours."""
    from dbos import DBOS

    DBOS.migrate(url_of(settings))
    with engine.begin() as connection:
        exclusive(connection)
        metadata.create_all(connection)
        _add_missing_columns(connection)


def _add_missing_columns(connection: sa.Connection) -> None:
    """Bring tables of an earlier version up to date; whatever is added later may be NULL."""
    inspector = sa.inspect(connection)
    for table in metadata.sorted_tables:
        present = {column["name"] for column in inspector.get_columns(table.name)}
        for column in table.columns:
            if column.name not in present:
                kind = column.type.compile(connection.dialect)
                connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind}")


def exclusive(connection: sa.Connection) -> None:
    """Until the transaction's end no other can be past this line: what is counted after it stays true."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7202411)")


@contextmanager
def reached() -> Iterator[None]:
    """Turns an absent database within into :class:`Unavailable`."""
    try:
        yield
    except AWAY as error:
        log.warning("the database does not answer: %s", str(error).splitlines()[0])
        raise Unavailable("The database does not answer now; try again.", retry_after=5) from error


def read_value(connection: sa.Connection, name: str) -> Any:
    """A value kept for all processes, or None."""
    return connection.scalar(sa.select(values.c.value).where(values.c.name == name))


def write_value(connection: sa.Connection, name: str, value: Any) -> None:
    if connection.execute(sa.update(values).where(values.c.name == name).values(value=value)).rowcount == 0:
        connection.execute(sa.insert(values).values(name=name, value=value))
