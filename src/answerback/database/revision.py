"""Which schema a database has, asked without Alembic, whose import takes a tenth of a start."""

import contextlib
import sqlite3
from pathlib import Path

HEAD = "2e01"
"""The revision that this version needs: that of the last migration."""


class MigrationError(Exception):
    """The database cannot be brought to this version's schema."""


def is_current(path: Path) -> bool:
    """Whether there is an SQLite database with this version's schema. One that cannot be read is not current."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as connection:
            return connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
    except sqlite3.Error:
        return False
