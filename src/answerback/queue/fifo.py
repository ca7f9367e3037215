"""Conversation queues: of the rows that belong together one, the head, may run; the others are held behind it.

A transaction that changes the head locks the conversation's row first, then jobs, then deliveries. So a transaction
that ends the head and one that adds a row see each other, and no two deadlock.
"""

from collections.abc import Callable, Mapping, Sequence

from answerback.database.dialect import Dialect
from answerback.database.operation import Operation, Transaction
from answerback.database.sql import PROBED, one_of
from answerback.database.statement import Statement

ORPHANS = 200

LOCK_CONVERSATIONS = Statement(
    """
    SELECT id FROM conversations WHERE id = ANY(CAST(:conversation_ids AS bigint[]))
    ORDER BY tenant_id COLLATE "C", key COLLATE "C"
    FOR NO KEY UPDATE""",
    only_locks=True,
)
"""Locks conversations in the order in which messages join them: by tenant and key, compared as Python compares."""
TRY_LOCK_CONVERSATION = Statement(
    lambda dialect: (
        f"""
    SELECT id FROM conversations WHERE id = :conversation_id
    {dialect.locking("FOR NO KEY UPDATE SKIP LOCKED")}"""
    )
)
"""Returns no row while another transaction holds the conversation: sweeps come again, and need not wait."""


def try_lock(conversation_id: int | None) -> Operation[bool]:
    """Locks a conversation, if there is one. False while another transaction holds it."""
    return conversation_id is None or bool((yield TRY_LOCK_CONVERSATION(conversation_id=conversation_id)))


def has_head(table: str, head_states: Sequence[str], end: str = "", **same: str) -> str:
    """Whether a row is the head of the queue whose columns equal `same`; a queue of NULL has none. `end` ends the
    subquery."""
    queue = " AND ".join(f"ahead.{column} = {value} AND ahead.{column} IS NOT NULL" for column, value in same.items())
    return f"EXISTS (SELECT 1 FROM {table} AS ahead WHERE {queue} AND {one_of(head_states, 'ahead')} {end})"


def releasing(
    table: str, head_states: Sequence[str], columns: Sequence[str], released: Callable[[Dialect], Mapping[str, str]]
) -> Statement:
    """Makes the first held row the head if the queue has none, with the values `released`. Each of `columns` is bound
    under its own name. Returns a row for one that was released, PostgreSQL its id."""
    queue = " AND ".join(f"waiting.{column} = :{column}" for column in columns)
    first = (
        f"(SELECT waiting.id FROM {table} AS waiting WHERE {queue} AND waiting.state = 'held' "
        "ORDER BY waiting.position LIMIT 1)"
    )
    head = has_head(table, head_states, **{column: f":{column}" for column in columns})

    def release(dialect: Dialect) -> str:
        values = ", ".join(f"{name} = {value}" for name, value in released(dialect).items())
        return f"""
        UPDATE {table} SET run_at = :now, {values} WHERE {table}.id = {first} AND NOT {head}
        {dialect.either("", "RETURNING id")}"""

    return Statement(release)


def orphaned(table: str, head_states: Sequence[str], columns: Sequence[str]) -> Statement:
    """Queues whose rows are all held. None should ever be found."""
    same = {column: f"{table}.{column}" for column in columns}
    return Statement(
        f"""
        SELECT DISTINCT {", ".join(same.values())} FROM {table}
        WHERE {table}.state = 'held' AND {table}.conversation_id > 0
            AND NOT {has_head(table, head_states, PROBED, **same)}
        LIMIT {ORPHANS}"""
    )


def release_orphans(tx: Transaction, orphaned: Statement, release_next: Statement) -> Operation[int]:
    """Releases the next row of queues whose head vanished; returns how many."""
    released = 0
    for row in (yield orphaned()):
        if (yield from try_lock(row.conversation_id)):
            released += len((yield release_next(**row._asdict(), now=tx.now)))
    return released
