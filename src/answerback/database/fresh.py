"""Making the tables of a new SQLite file as `tables.py` shows them. The migrations lead to the same, but importing
Alembic would take a part of the first start, and memory until the process ends."""

import contextlib
import os
import sqlite3
from pathlib import Path

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from answerback.database.revision import HEAD
from answerback.database.tables import metadata

EMPTY = "SELECT count(*) = 0 FROM sqlite_master"
VERSION_TABLE = (
    "CREATE TABLE alembic_version "
    "(version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)
REMEMBER = "INSERT INTO alembic_version VALUES (?)"


def create_if_empty(path: Path, busy_seconds: float) -> bool:
    """Makes the tables where the file does not exist or has none. Whether it did: another process may have been faster,
    or the file may have another version's tables. Raises sqlite3.Error, OSError."""
    # The file holds messages and secrets: other users of this machine must not read it.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    with contextlib.closing(sqlite3.connect(path, timeout=busy_seconds, isolation_level=None)) as connection:
        # One transaction: a kill in the middle leaves nothing, and of two processes that start together one creates.
        connection.execute("BEGIN IMMEDIATE")
        if not connection.execute(EMPTY).fetchone()[0]:
            connection.execute("ROLLBACK")
            return False
        for statement in (*_definitions(), VERSION_TABLE):
            connection.execute(statement)
        connection.execute(REMEMBER, (HEAD,))
        connection.execute("COMMIT")
        return True


def _definitions() -> list[str]:
    dialect = sqlite.dialect()
    found = []
    for table in metadata.sorted_tables:
        found.append(str(CreateTable(table).compile(dialect=dialect)))
        found.extend(str(CreateIndex(index).compile(dialect=dialect)) for index in table.indexes)
    return found
