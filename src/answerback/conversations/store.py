"""What conversations remember, in the database."""

import json
from collections.abc import Callable, Sequence
from typing import TypeAlias

from answerback.conversations.model import (
    Conversation,
    ConversationPage,
    ConversationPosition,
    ConversationSummary,
    Entry,
    Recalled,
)
from answerback.database.operation import BatchPlan, Database, Operation, Transaction
from answerback.database.pages import fitting
from answerback.database.statement import Row, Statement
from answerback.kernel.errors import NotFound
from answerback.kernel.ids import EVERY_TENANT

SHOWN_ENTRIES = 100
AFTER_ALL = 2**62
"""Greater than any position."""

_SESSION = "tenant_id = :tenant_id AND key = :key AND metadata IS NULL"
_OF_CONVERSATION = "conversation_id = :conversation_id"
_ENTRIES = f"SELECT position, job_id, items, created_at FROM conversation_items WHERE {_OF_CONVERSATION}"

FIND = Statement(f"SELECT id, pending, erased_through, window_from FROM conversations WHERE {_SESSION}")
REMEMBERED = Statement(f"{_ENTRIES} AND position >= :first ORDER BY position")
SIZES = Statement(
    f"""
    SELECT position, length(items) AS size FROM conversation_items WHERE {_OF_CONVERSATION} AND position < :before
    ORDER BY position DESC LIMIT :limit"""
)
NEWEST = Statement(f"{_ENTRIES} AND position < :before AND position >= :first ORDER BY position DESC")
ERASED_THROUGH = Statement("SELECT erased_through FROM conversations WHERE id = :conversation_id")
ERASE_THROUGH = Statement(f"UPDATE conversations SET erased_through = last_position WHERE {_SESSION} RETURNING id")
ERASE_ITEMS = Statement(f"DELETE FROM conversation_items WHERE {_OF_CONVERSATION}")

_SUMMARY = """
    SELECT id, tenant_id, key, last_position - erased_through AS messages, pending, updated_at,
        metadata IS NULL AS is_session
    FROM conversations"""
# `updated_at <=` says what the tuples say already, in a way by which PostgreSQL knows that the index serves.
_BEFORE = "updated_at <= :updated_at AND (updated_at, id) < (:updated_at, :id)"
_LAST_USED_FIRST = "ORDER BY updated_at DESC, id DESC"
RECENT = Statement(
    f"{_SUMMARY} WHERE tenant_id = :tenant_id AND metadata IS NULL AND {_BEFORE} {_LAST_USED_FIRST} LIMIT :limit"
)
LOOKED_AT = 500
"""Of the conversations of all tenants so many are looked at for those that are sessions: no index has these alone."""
RECENT_OF_ALL = Statement(f"{_SUMMARY} WHERE {_BEFORE} {_LAST_USED_FIRST} LIMIT {LOOKED_AT}")

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
    if tenant_id == EVERY_TENANT:
        rows = yield RECENT_OF_ALL(**below._asdict())
    else:
        rows = yield RECENT(tenant_id=tenant_id, limit=limit + 1, **below._asdict())
    sessions = [row for row in rows if row.is_session]
    last = sessions[limit - 1] if len(sessions) > limit else rows[-1] if len(rows) == LOOKED_AT else None
    return ConversationPage(
        [
            ConversationSummary(row.tenant_id, row.key, row.messages, row.pending, row.updated_at)
            for row in sessions[:limit]
        ],
        None if last is None else ConversationPosition(last.updated_at, last.id),
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
        """The last used ones first, those before a position; a page of `EVERY_TENANT` may be short, or empty, and not
        the last."""
        return await self._database.read.run(lambda tx: recent(tx, tenant_id, before, limit), tenant_id=tenant_id)

    async def erase(self, tenant_id: str, key: str, erase_jobs: EraseJobs) -> int:
        """Erases the items, and with `erase_jobs` what ended jobs hold. Open jobs are answered and delivered as owed,
        but not remembered. Returns the conversation's id. Raises NotFound."""
        return await self._database.write.run(lambda tx: erase(tx, tenant_id, key, erase_jobs), tenant_id=tenant_id)
