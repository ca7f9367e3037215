"""Pieces of statements that several rooms share."""

from collections.abc import Iterable

PROBED = "LIMIT 1 OFFSET 0"
"""Ends the subquery of an EXISTS that an index is to answer for each row. One without an offset PostgreSQL turns into
a join and, by statistics from when there were few rows, compares each row with all of them."""


def columns_of(table: str, names: Iterable[str]) -> str:
    return ", ".join(f"{table}.{name}" for name in names)


def inserting(table: str, *names: str) -> str:
    """An INSERT that binds each column under its own name."""
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})"


def one_of(states: Iterable[str], table: str) -> str:
    """Whether a row of the table is in one of these states. Not by IN: of more than two values SQLite would make a
    table, for each row that it changes."""
    compared = " OR ".join(f"{table}.state = '{state}'" for state in states)
    return f"({compared})"


def still_in_state(table: str, state: str) -> str:
    """For statements that find their row by its id. No partial index serves the comparison, so the primary key does."""
    return f"{table}.state || '' = '{state}'"
