"""Lines: of a conversation's jobs, and of its callbacks, one at a time is under way and the others are held.

Whoever changes who is under way holds the conversation's row first, then those of jobs, then those of callbacks: what
ends and what joins then see each other, and nobody waits in a circle.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
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
from sqlalchemy.dialects.postgresql import ARRAY

from answerback.database.operation import Statement
from answerback.database.tables import LINE_STATES, conversations, jobs
from answerback.jobs.model import JobState
from answerback.jobs.records import at_most

ORPHANS = 200

LOCK_CONVERSATIONS = Statement(
    select(conversations.c.id)
    .where(conversations.c.id == func.any(bindparam("conversation_ids", type_=ARRAY(BigInteger))))
    .order_by(collate(conversations.c.tenant_id, "C"), collate(conversations.c.key, "C"))
    .with_for_update(key_share=True),
    only_locks=True,
)
"""Waits for lines in the order in which messages join them: that of Python's strings."""
TRY_LOCK_CONVERSATION = Statement(
    select(conversations.c.id)
    .where(conversations.c.id == bindparam("conversation_id"))
    .with_for_update(key_share=True, skip_locked=True)
)
"""Returns no row while somebody else holds the line: sweeps come again, and need not wait."""


def occupied(table: Table, under_way: str, conversation: Any = None) -> ColumnElement[bool]:
    """Whether a row of the conversation is under way."""
    ahead = table.alias("ahead")
    same = ahead.c.conversation_id == (bindparam("conversation_id") if conversation is None else conversation)
    found: Select[Any] = select(literal_column("1")).select_from(ahead)
    return exists(
        found.where(same, ahead.c.conversation_id.is_not(None), literal_column(f"ahead.{under_way}")).correlate(table)
    )


def _release_next(table: Table, under_way: str, **released: Any) -> Statement:
    waiting = table.alias("waiting")
    first = (
        select(waiting.c.id)
        .where(
            waiting.c.conversation_id == bindparam("conversation_id"),
            waiting.c.state == literal_column(f"'{JobState.HELD}'"),
        )
        .order_by(waiting.c.seq)
        .limit(at_most(1))
        .scalar_subquery()
    )
    return Statement(
        update(table)
        .where(table.c.id == first, ~occupied(table, under_way))
        .values(run_at=bindparam("now"), **released)
        .returning(table.c.id)
    )


RELEASE_NEXT_JOB = _release_next(jobs, LINE_STATES, state=JobState.QUEUED)


def _orphaned(table: Table, under_way: str) -> Statement:
    held = table.c.state == literal_column(f"'{JobState.HELD}'")
    alone = ~occupied(table, under_way, table.c.conversation_id)
    return Statement(select(table.c.conversation_id).where(held, alone).distinct().limit(at_most(ORPHANS)))


ORPHANED_JOBS = _orphaned(jobs, LINE_STATES)
