"""What conversations remember, in the database."""

import json
from collections.abc import Callable, Sequence
from typing import TypeAlias

from sqlalchemy import bindparam, delete, select, update

from answerback.conversations.model import Conversation, Entry, Recalled
from answerback.database.operation import BatchPlan, Database, Operation, Row, Statement, Transaction
from answerback.database.tables import conversation_items, conversations
from answerback.kernel.errors import NotFound

SHOWN_ENTRIES = 100

_ENTRY = (
    conversation_items.c.position,
    conversation_items.c.job_id,
    conversation_items.c["items"],  # `c.items` is a method
    conversation_items.c.created_at,
)
_of_conversation = conversation_items.c.conversation_id == bindparam("conversation_id")

FIND = Statement(
    select(
        conversations.c.id, conversations.c.pending, conversations.c.erased_through, conversations.c.window_from
    ).where(conversations.c.tenant_id == bindparam("tenant_id"), conversations.c.key == bindparam("key"))
)
REMEMBERED = Statement(
    select(*_ENTRY)
    .where(_of_conversation, conversation_items.c.position >= bindparam("first"))
    .order_by(conversation_items.c.position)
)
NEWEST = Statement(
    select(*_ENTRY).where(_of_conversation).order_by(conversation_items.c.position.desc()).limit(bindparam("limit"))
)
ERASED_THROUGH = Statement(
    select(conversations.c.erased_through).where(conversations.c.id == bindparam("conversation_id"))
)
ERASE_THROUGH = Statement(
    update(conversations)
    .where(conversations.c.tenant_id == bindparam("tenant_id"), conversations.c.key == bindparam("key"))
    .values(erased_through=conversations.c.last_position)
    .returning(conversations.c.id)
)
ERASE_ITEMS = Statement(delete(conversation_items).where(_of_conversation))

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


def show(_: Transaction, tenant_id: str, key: str) -> Operation[Conversation]:
    for found in (yield FIND(tenant_id=tenant_id, key=key)):
        newest_first = yield NEWEST(conversation_id=found.id, limit=SHOWN_ENTRIES)
        return Conversation(key, found.pending, [_entry(row) for row in reversed(newest_first)])
    raise _unknown(key)


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

    async def show(self, tenant_id: str, key: str) -> Conversation:
        """The newest 100 entries. Raises NotFound."""
        return await self._database.read.run(lambda tx: show(tx, tenant_id, key), tenant_id=tenant_id)

    async def erase(self, tenant_id: str, key: str, erase_jobs: EraseJobs) -> int:
        """Erases the items, and with `erase_jobs` what ended jobs hold. Open jobs are answered and delivered as owed,
        but not remembered. Returns the conversation's id. Raises NotFound."""
        return await self._database.write.run(lambda tx: erase(tx, tenant_id, key, erase_jobs))
