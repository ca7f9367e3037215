"""Many rows in a service's SQLite database, copied from one of each."""

import sqlite3
from contextlib import closing
from pathlib import Path

LOOSE = {"conversation_id": "NULL", "position": "NULL"}
"""Copies belong to no conversation: one has a single job at each position."""


def multiply(path: Path, rows: int) -> None:
    """Copies one finished job and its delivery until there are so many rows of each."""
    with closing(sqlite3.connect(path)) as database, database:
        [present] = database.execute("SELECT count(*) FROM jobs").fetchone()
        copy(database, "jobs", rows - present, LOOSE, "state = 'completed'", first=present)
        copy(
            database,
            "deliveries",
            rows - present,
            LOOSE | {"job_id": _number("job_")},
            "state = 'delivered'",
            first=present,
        )
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _number(prefix: str) -> str:
    return f"'{prefix}' || printf('%032x', n.i)"


def copy(
    database: sqlite3.Connection, table: str, rows: int, changes: dict[str, str], where: str = "1", first: int = 0
) -> None:
    prefix = {"jobs": "job_", "deliveries": "msg_"}[table]
    columns = [name for _, name, *_ in database.execute(f"PRAGMA table_info({table})")]
    values = {name: f"one.{name}" for name in columns} | {"id": _number(prefix)} | changes
    database.execute(
        f"INSERT INTO {table} ({', '.join(columns)}) "
        f"WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n LIMIT {max(rows, 0)}) "
        f"SELECT {', '.join(values[name] for name in columns)} "
        f"FROM n, (SELECT * FROM {table} WHERE {where} LIMIT 1) one"
    )
