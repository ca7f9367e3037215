"""What conversations remember, in the database."""

import json
from collections.abc import Callable, Sequence
from typing import TypeAlias

from sqlalchemy import bindparam, delete, func, select, tuple_, update

from answerback.conversations.model import (
    Conversation,
    ConversationPage,
    ConversationPosition,
    ConversationSummary,
    Entry,
    Recalled,
)
from answerback.database.operation import BatchPlan, Database, Operation, Row, Statement, Transaction
from answerback.database.pages import fitting
from answerback.database.sql import bound
from answerback.database.tables import conversation_items, conversations
from answerback.kernel.errors import NotFound

SHOWN_ENTRIES = 100
AFTER_ALL = 2**62
"""Greater than any position."""

_ENTRY = (
    conversation_items.c.position,
    conversation_items.c.job_id,
    conversation_items.c["items"],  # `c.items` is a method
    conversation_items.c.created_at,
)
_of_conversation = conversation_items.c.conversation_id == bindparam("conversation_id")

_session = (
    conversations.c.tenant_id == bindparam("tenant_id"),
    conversations.c.key == bindparam("key"),
    conversations.c.metadata.is_(None),
)

FIND = Statement(
    select(
        conversations.c.id, conversations.c.pending, conversations.c.erased_through, conversations.c.window_from
    ).where(*_session)
)
REMEMBERED = Statement(
    select(*_ENTRY)
    .where(_of_conversation, conversation_items.c.position >= bindparam("first"))
    .order_by(conversation_items.c.position)
)
_before = conversation_items.c.position < bindparam("before")
_newest_first = conversation_items.c.position.desc()
SIZES = Statement(
    select(conversation_items.c.position, func.length(conversation_items.c["items"]).label("size"))
    .where(_of_conversation, _before)
    .order_by(_newest_first)
    .limit(bindparam("limit"))
)
NEWEST = Statement(
    select(*_ENTRY)
    .where(_of_conversation, _before, conversation_items.c.position >= bindparam("first"))
    .order_by(_newest_first)
)
ERASED_THROUGH = Statement(
    select(conversations.c.erased_through).where(conversations.c.id == bindparam("conversation_id"))
)
ERASE_THROUGH = Statement(
    update(conversations)
    .where(*_session)
    .values(erased_through=conversations.c.last_position)
    .returning(conversations.c.id)
)
ERASE_ITEMS = Statement(delete(conversation_items).where(_of_conversation))

RECENT = Statement(
    select(
        conversations.c.id,
        conversations.c.key,
        (conversations.c.last_position - conversations.c.erased_through).label("messages"),
        conversations.c.pending,
        conversations.c.updated_at,
    )
    .where(
        conversations.c.tenant_id == bindparam("tenant_id"),
        conversations.c.metadata.is_(None),
        # Says what the tuples say already, in a way by which PostgreSQL knows that the index serves.
        conversations.c.updated_at <= bound(conversations.c.updated_at),
        tuple_(conversations.c.updated_at, conversations.c.id)
        < tuple_(bound(conversations.c.updated_at), bound(conversations.c.id)),
    )
    .order_by(conversations.c.updated_at.desc(), conversations.c.id.desc())
    .limit(bindparam("limit"))
)

ENTRIES_PLAN = BatchPlan((REMEMBERED,), "entries")
RECALL_PLAN = BatchPlan((REMEMBERED, ERASED_THROUGH), "recall")

EraseJobs: TypeAlias = Callable[[Transaction, int], Operation[None]]
"""Erases what the ended jobs of the conversation with this id were asked and answered, and the bodies of their settled
deliveries."""


def _entry(row: Row) -> Entry:
    return Entry(row.position, row.job_id, json.loads(row.items), row.created_at)


def entries(_: Transaction, conversation_id: int, first: int) -> Operation[list[Entry]]:
    return [_entry(row) for row in (yield REMEMBERED(conversation_id=conversation_id, first=first))]


def recall(_: Transaction, conversation_id: int, first: int) -> Operation[Recalled]:
    rows = yield REMEMBERED(conversation_id=conversation_id, first=first)
    erased = yield ERASED_THROUGH(conversation_id=conversation_id)
    return Recalled([_entry(row) for row in rows], erased[0].erased_through if erased else 0)


def remembered(_: Transaction, tenant_id: str, key: str) -> Operation[list[Entry]]:
    for found in (yield FIND(tenant_id=tenant_id, key=key)):
        first = max(found.window_from, found.erased_through + 1)
        return [_entry(row) for row in (yield REMEMBERED(conversation_id=found.id, first=first))]
    return []


def show(_: Transaction, tenant_id: str, key: str, before: int | None) -> Operation[Conversation]:
    for found in (yield FIND(tenant_id=tenant_id, key=key)):
        below = {"conversation_id": found.id, "before": AFTER_ALL if before is None else before}
        sizes = yield SIZES(**below, limit=SHOWN_ENTRIES + 1)
        shown = fitting((row.size for row in sizes), SHOWN_ENTRIES)
        if not shown:
            return Conversation(key, found.pending, [], None)
        first = sizes[shown - 1].position
        newest_first = yield NEWEST(**below, first=first)
        older = first if shown < len(sizes) else None
        return Conversation(key, found.pending, [_entry(row) for row in reversed(newest_first)], older)
    raise _unknown(key)


def recent(
    _: Transaction, tenant_id: str, before: ConversationPosition | None, limit: int
) -> Operation[ConversationPage]:
    below = before or ConversationPosition(AFTER_ALL, AFTER_ALL)
    rows = yield RECENT(tenant_id=tenant_id, limit=limit + 1, **below._asdict())
    shown = rows[:limit]
    summaries = [ConversationSummary(row.key, row.messages, row.pending, row.updated_at) for row in shown]
    return ConversationPage(
        summaries, ConversationPosition(shown[-1].updated_at, shown[-1].id) if len(rows) > limit else None
    )


def erase(tx: Transaction, tenant_id: str, key: str, erase_jobs: EraseJobs) -> Operation[int]:
    # First, because it locks the conversation: a job then ends before all of this, or after it and is not remembered.
    erased = yield ERASE_THROUGH(tenant_id=tenant_id, key=key)
    for conversation in erased:
        yield ERASE_ITEMS(conversation_id=conversation.id)
        yield from erase_jobs(tx, conversation.id)
        return int(conversation.id)
    raise _unknown(key)


def _unknown(key: str) -> NotFound:
    return NotFound(f"there is no conversation {key!r}")


class ConversationStore:
    """What conversations remember, in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def entries(self, tenant_id: str, conversation_id: int, first: int) -> Sequence[Entry]:
        """Those from position `first` on, oldest first."""
        return await self._database.read.run(
            lambda tx: entries(tx, conversation_id, first), ENTRIES_PLAN, tenant_id=tenant_id
        )

    async def recall(self, tenant_id: str, conversation_id: int, first: int) -> Recalled:
        """As `entries`, with what was erased by then."""
        return await self._database.read.run(
            lambda tx: recall(tx, conversation_id, first), RECALL_PLAN, tenant_id=tenant_id
        )

    async def remembered(self, tenant_id: str, key: str) -> Sequence[Entry]:
        """What the next message of this conversation may remember, oldest first; nothing where there is no such
        conversation."""
        return await self._database.read.run(lambda tx: remembered(tx, tenant_id, key), tenant_id=tenant_id)

    async def show(self, tenant_id: str, key: str, before: int | None = None) -> Conversation:
        """The newest 100 entries below position `before`, fewer if they are large. Raises NotFound."""
        return await self._database.read.run(lambda tx: show(tx, tenant_id, key, before), tenant_id=tenant_id)

    async def recent(self, tenant_id: str, before: ConversationPosition | None, limit: int) -> ConversationPage:
        """The last used ones first, those before a position."""
        return await self._database.read.run(lambda tx: recent(tx, tenant_id, before, limit), tenant_id=tenant_id)

    async def erase(self, tenant_id: str, key: str, erase_jobs: EraseJobs) -> int:
        """Erases the items, and with `erase_jobs` what ended jobs hold. Open jobs are answered and delivered as owed,
        but not remembered. Returns the conversation's id. Raises NotFound."""
        return await self._database.write.run(lambda tx: erase(tx, tenant_id, key, erase_jobs), tenant_id=tenant_id)
