"""Conversation queues: of the rows that belong together one, the head, may run; the others are held behind it.

A transaction that changes the head locks the conversation's row first, then jobs, then deliveries. So a transaction
that ends the head and one that adds a row see each other, and no two deadlock.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Table,
    bindparam,
    collate,
    exists,
    func,
    literal_column,
    select,
    update,
)

from answerback.database.operation import Operation, Statement, Transaction
from answerback.database.sql import ARRAY_OF_IDS, aliased, at_most, in_state
from answerback.database.tables import conversations, one_of

ORPHANS = 200
HELD = "held"

LOCK_CONVERSATIONS = Statement(
    select(conversations.c.id)
    .where(conversations.c.id == func.any(bindparam("conversation_ids", type_=ARRAY_OF_IDS)))
    .order_by(collate(conversations.c.tenant_id, "C"), collate(conversations.c.key, "C"))
    .with_for_update(key_share=True),
    only_locks=True,
)
"""Locks conversations in the order in which messages join them: by tenant and key, compared as Python compares."""
TRY_LOCK_CONVERSATION = Statement(
    select(conversations.c.id)
    .where(conversations.c.id == bindparam("conversation_id"))
    .with_for_update(key_share=True, skip_locked=True)
)
"""Returns no row while another transaction holds the conversation: sweeps come again, and need not wait."""


def try_lock(conversation_id: int | None) -> Operation[bool]:
    """Locks a conversation, if there is one. False while another transaction holds it."""
    return conversation_id is None or bool((yield TRY_LOCK_CONVERSATION(conversation_id=conversation_id)))


def has_head(table: Table, head_states: Sequence[str], **same: Any) -> ColumnElement[bool]:
    """Whether a row is the head of the queue whose columns equal `same`; a queue of NULL has none."""
    ahead = aliased(table, "ahead")
    found: Select[Any] = select(literal_column("1")).select_from(ahead)
    for column, value in same.items():
        found = found.where(ahead.c[column] == value, ahead.c[column].is_not(None))
    return exists(found.where(literal_column(one_of(head_states, "ahead"))).correlate_except(ahead))


def releasing(table: Table, head_states: Sequence[str], columns: tuple[str, ...], **released: Any) -> Statement:
    """Makes the first held row the head if the queue has none. Each of `columns` is bound under its own name. Returns a
    row for one that was released, PostgreSQL its id."""
    same: dict[str, Any] = {column: bindparam(column) for column in columns}
    waiting = aliased(table, "waiting")
    first = (
        select(waiting.c.id)
        .where(*(waiting.c[column] == value for column, value in same.items()), in_state(waiting, HELD))
        .order_by(waiting.c.position)
        .limit(at_most(1))
        .scalar_subquery()
    )
    released_first = (
        update(table)
        .where(table.c.id == first, ~has_head(table, head_states, **same))
        .values(run_at=bindparam("now"), **released)
    )
    return Statement(released_first, postgresql=released_first.returning(table.c.id))


def orphaned(table: Table, head_states: Sequence[str], columns: tuple[str, ...]) -> Statement:
    """Queues whose rows are all held. None should ever be found."""
    same: dict[str, Any] = {column: table.c[column] for column in columns}
    alone = ~has_head(table, head_states, **same)
    return Statement(select(*same.values()).where(in_state(table, HELD), alone).distinct().limit(at_most(ORPHANS)))


def release_orphans(tx: Transaction, orphaned: Statement, release_next: Statement) -> Operation[int]:
    """Releases the next row of queues whose head vanished; returns how many."""
    released = 0
    for row in (yield orphaned()):
        if (yield from try_lock(row.conversation_id)):
            released += len((yield release_next(**row._asdict(), now=tx.now)))
    return released
