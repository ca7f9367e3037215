"""Deleting what is old, a batch at a time: no transaction may take long."""

from typing import Any

from sqlalchemy import ColumnElement, Table, delete, select, tuple_

from answerback.database.operation import Statement
from answerback.database.sql import at_most, bound


def pruning(table: Table, since: str, most: int, *where: ColumnElement[bool]) -> Statement:
    """Deletes the rows whose time `since` lies before the bound `before`, the oldest first. Returns their keys."""
    key, time = tuple(table.primary_key), table.c[since]
    old: Any = select(*key).where(time < bound(time, "before"), *where).order_by(time).limit(at_most(most))
    return Statement(delete(table).where(tuple_(*key).in_(old)).returning(*key))
