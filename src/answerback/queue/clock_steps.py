"""After the clock that schedules was set: rows that waited for a time of it wait as long as they were to."""

from collections.abc import Sequence

from answerback.database.dialect import Dialect
from answerback.database.operation import Operation, Transaction
from answerback.database.statement import Statement

BATCH = 5_000
"""Of each statement. One pass may read every row that waits."""


def moving(table: str, column: str, waits: str) -> Statement:
    """Moves a batch of times with a clock's step. It waits for rows that others have locked, in the order in which all
    lock them: one that was passed over would be left behind, and end early."""

    def text(dialect: Dialect) -> str:
        within = f"SELECT id FROM {table} WHERE {waits} AND {column} >= :first AND {column} < :behind LIMIT {BATCH}"
        locked = f"""
            SELECT id FROM {table} WHERE {dialect.is_one_of("id", within)}
            ORDER BY id {dialect.locking("FOR UPDATE")}"""
        # Compared again, for another process may have moved it; no index serves that, but the one of ids.
        return f"""
        UPDATE {table} SET {column} = {column} + :step
        WHERE {dialect.is_one_of("id", locked)} AND {column} + 0 >= :first AND {column} + 0 < :behind
        RETURNING id"""

    return Statement(text)


def follow(tx: Transaction, step_ms: int, ends: Sequence[Statement], waits: Sequence[Statement]) -> Operation[int]:
    """Moves a batch of times by a step of the clock; returns how many. A step forward would end early what `ends`; one
    back would delay what `waits` for its time.

    Moved are times within the step: those that came when the clock was set forward, and those that are as far ahead as
    it was set back, up to twice as far. Moved, they are so no more. So a time is moved once, however many processes
    notice the step; and one that was written after it is moved, if at all, to no more than it was to be.
    """
    if step_ms > 0:
        first, behind, statements = tx.now - step_ms + 1, tx.now + 1, ends
    else:
        first, behind, statements = tx.now - step_ms, tx.now - 2 * step_ms, waits
    moved = 0
    for statement in statements:
        moved += len((yield statement(first=first, behind=behind, step=step_ms)))
    return moved
