"""Bringing an SQLite file to the current schema."""

import contextlib
import os
import sqlite3
from pathlib import Path

from answerback.database import revision
from answerback.database.dialect import Dialect


def migrate(path: Path, busy_seconds: float) -> None:
    """Applies the migrations that are missing, all of them to a file that does not exist; a current database is not
    written to. Raises sqlite3.Error, OSError, MigrationError."""
    if _is_current(path):
        return
    # The file holds messages and secrets: other users of this machine must not read it.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    with contextlib.closing(sqlite3.connect(path, timeout=busy_seconds, isolation_level=None)) as connection:
        # One transaction: a kill in the middle leaves nothing, and of two processes that start together one migrates.
        connection.execute("BEGIN IMMEDIATE")
        for statements in revision.migrations_since(_revision(connection), Dialect.SQLITE):
            for statement in statements:
                connection.execute(statement)
        connection.execute("COMMIT")


def _is_current(path: Path) -> bool:
    """Whether there is an SQLite database with this version's schema. One that cannot be read is not current."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as connection:
            return connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(revision.HEAD,)]
    except sqlite3.Error:
        return False


def _revision(connection: sqlite3.Connection) -> str | None:
    """None in an empty database."""
    named = "SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'"
    if not connection.execute(named).fetchone()[0]:
        return None
    found: str = connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
    return found
