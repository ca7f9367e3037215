"""Conversations of `/v1/conversations` in the database: rows of `conversations` beside the relay's sessions, and what
they hold. A response with a conversation appends to it when its job ends (`jobs/finish.py`)."""

import json
from collections.abc import Mapping, Sequence

from answerback.conversations.store import AFTER_ALL, ERASE_ITEMS
from answerback.database.operation import Database, Operation, Transaction
from answerback.database.statement import Row, Statement
from answerback.jobs.finish import INSERT_ITEMS
from answerback.kernel.errors import NotFound
from answerback.kernel.ids import new_id
from answerback.kernel.json import encoded
from answerback.responses import ids
from answerback.responses.conversations.entries import (
    ENTRIES,
    SIZE_BEFORE,
    delete_from,
    entry_of,
    newest_items,
    page_of,
)
from answerback.responses.conversations.model import Conversation, ItemPage
from answerback.responses.conversations.references import added_items
from answerback.responses.items.history import ChainTooLong, from_a_turn_on
from answerback.responses.items.input import Given
from answerback.responses.items.pairs import are_paired, check_added
from answerback.responses.model import Item
from answerback.responses.stored.rows import named
from answerback.responses.stored.store import MOST_CHARACTERS

DELETED = ""
"""Stands in place of the metadata of a conversation that was deleted, as long as jobs of it are kept."""

_SAME = f"tenant_id = :tenant_id AND key = :key AND metadata <> '{DELETED}'"
_SHOWN = "id, metadata, created_at, pending"
CREATE = Statement(
    f"""
    INSERT INTO conversations
        (tenant_id, key, last_position, pending, erased_through, window_from, metadata, created_at, updated_at)
    VALUES (:tenant_id, :key, 0, 0, 0, 0, :metadata, :wall, :wall)
    RETURNING {_SHOWN}"""
)
FIND = Statement(f"SELECT {_SHOWN} FROM conversations WHERE {_SAME}")
CHANGE = Statement(
    f"UPDATE conversations SET metadata = :new_metadata, updated_at = :wall WHERE {_SAME} RETURNING {_SHOWN}"
)
EXTEND = Statement(
    f"""
    UPDATE conversations SET last_position = last_position + 1, updated_at = :wall WHERE {_SAME}
    RETURNING id, last_position"""
)
LOCK = Statement(f"UPDATE conversations SET updated_at = :wall WHERE {_SAME} RETURNING {_SHOWN}")
DELETE = Statement(
    f"UPDATE conversations SET metadata = '{DELETED}', erased_through = last_position WHERE {_SAME} RETURNING id"
)
KEPT = Statement("SELECT metadata FROM conversations WHERE id = :conversation_id")


class ConversationLog:
    """What `/v1/conversations` holds. Every method raises StorageUnavailable when the database cannot serve it now, and
    NotFound for a conversation that the tenant does not have."""

    def __init__(self, database: Database) -> None:
        self._write = database.write.run
        self._read = database.read.run

    async def create(self, tenant_id: str, given: Given, metadata: Mapping[str, str]) -> Conversation:
        """Raises UnansweredCall."""
        check_added((), given.items, given.paths)
        return await self._write(lambda tx: _create(tx, tenant_id, given.items, metadata), tenant_id=tenant_id)

    async def get(self, tenant_id: str, conversation_id: str) -> Conversation:
        return await self._read(lambda _: _get(tenant_id, conversation_id), tenant_id=tenant_id)

    async def change(self, tenant_id: str, conversation_id: str, metadata: Mapping[str, str]) -> Conversation:
        """Replaces its metadata."""
        return await self._write(lambda tx: _change(tx, tenant_id, conversation_id, metadata), tenant_id=tenant_id)

    async def delete(self, tenant_id: str, conversation_id: str) -> None:
        """Deletes it with its items. Responses that wait in it fail; those that run are not added."""
        await self._write(lambda _: _delete(tenant_id, conversation_id), tenant_id=tenant_id)

    async def add(self, tenant_id: str, conversation_id: str, given: Given) -> Sequence[Item]:
        """The items as they are stored, with their ids: behind all that was there, or is being answered. Raises
        UnansweredCall, ChainTooLong."""
        if are_paired(given.items):
            check_added(await self.all(tenant_id, conversation_id), given.items, given.paths)
        return await self._write(lambda tx: _add(tx, tenant_id, conversation_id, given.items), tenant_id=tenant_id)

    async def all(self, tenant_id: str, conversation_id: str, *, shortened: bool = False) -> Sequence[Item]:
        """All that stands in it now; `shortened` as in `before`. Raises ChainTooLong."""
        return await self._read(lambda _: _all(tenant_id, conversation_id, shortened=shortened), tenant_id=tenant_id)

    async def page(
        self, tenant_id: str, conversation_id: str, after: str | None, limit: int, *, newest_first: bool
    ) -> ItemPage | None:
        """At most `limit` items, fewer where they are large; None if `after` was never an item of it."""
        return await self._read(
            lambda _: _page(tenant_id, conversation_id, after, limit, newest_first=newest_first), tenant_id=tenant_id
        )

    async def item(self, tenant_id: str, conversation_id: str, item_id: str) -> Item:
        return await self._read(lambda _: _item(tenant_id, conversation_id, item_id), tenant_id=tenant_id)

    async def items(self, tenant_id: str, wanted: Sequence[str]) -> Mapping[str, Item]:
        """The items that clients added to any conversation, by their ids, as far as there are any. Raises
        ChainTooLong."""
        return await self._read(lambda _: added_items(tenant_id, wanted), tenant_id=tenant_id)

    async def delete_item(self, tenant_id: str, conversation_id: str, item_id: str) -> Conversation:
        return await self._write(lambda tx: _delete_item(tx, tenant_id, conversation_id, item_id), tenant_id=tenant_id)

    async def before(
        self, tenant_id: str, row_id: int, position: int, *, shortened: bool = False
    ) -> Sequence[Item] | None:
        """What stands before a response at this position of the conversation in this row; None if the conversation was
        deleted. `shortened`: the newest turns of it, as many as may be held. Raises ChainTooLong."""
        return await self._read(lambda _: _before(row_id, position, shortened=shortened), tenant_id=tenant_id)


def _create(
    tx: Transaction, tenant_id: str, items: Sequence[Item], metadata: Mapping[str, str]
) -> Operation[Conversation]:
    conversation_id = new_id(ids.CONVERSATION, tx.now)
    key = ids.conversation_key(conversation_id)
    made = yield CREATE(tenant_id=tenant_id, key=key, metadata=_encoded(metadata), wall=tx.wall)
    if items:
        yield from _add(tx, tenant_id, conversation_id, items)
    return _conversation(conversation_id, made[0])


def _get(tenant_id: str, conversation_id: str) -> Operation[Conversation]:
    return _conversation(conversation_id, (yield from _find(tenant_id, conversation_id)))


def _find(tenant_id: str, conversation_id: str) -> Operation[Row]:
    for row in (yield FIND(tenant_id=tenant_id, key=ids.conversation_key(conversation_id))):
        return row
    raise _no_such_conversation(conversation_id)


def _change(
    tx: Transaction, tenant_id: str, conversation_id: str, metadata: Mapping[str, str]
) -> Operation[Conversation]:
    key = ids.conversation_key(conversation_id)
    for row in (yield CHANGE(tenant_id=tenant_id, key=key, new_metadata=_encoded(metadata), wall=tx.wall)):
        return _conversation(conversation_id, row)
    raise _no_such_conversation(conversation_id)


def _delete(tenant_id: str, conversation_id: str) -> Operation[None]:
    # First, because it locks the conversation: a response then ends before all of this, or after it and adds nothing.
    for row in (yield DELETE(tenant_id=tenant_id, key=ids.conversation_key(conversation_id))):
        yield ERASE_ITEMS(conversation_id=row.id)
        return
    raise _no_such_conversation(conversation_id)


def _add(tx: Transaction, tenant_id: str, conversation_id: str, items: Sequence[Item]) -> Operation[Sequence[Item]]:
    for row in (yield EXTEND(tenant_id=tenant_id, key=ids.conversation_key(conversation_id), wall=tx.wall)):
        entry_id = new_id(ids.ENTRY, tx.now)
        stored = named(ids.RESPONSE + entry_id.removeprefix(ids.ENTRY), items)
        yield INSERT_ITEMS(
            conversation_id=row.id,
            position=row.last_position,
            job_id=entry_id,
            items=encoded(stored).decode(),
            wall=tx.wall,
        )
        return stored
    raise _no_such_conversation(conversation_id)


def _page(
    tenant_id: str, conversation_id: str, after: str | None, limit: int, *, newest_first: bool
) -> Operation[ItemPage | None]:
    row = yield from _find(tenant_id, conversation_id)
    return (yield from page_of(row.id, after, limit, newest_first=newest_first))


def _item(tenant_id: str, conversation_id: str, item_id: str) -> Operation[Item]:
    row = yield from _find(tenant_id, conversation_id)
    entry = yield from entry_of(row.id, item_id)
    for item in json.loads(entry.items) if entry is not None else ():
        if item["id"] == item_id:
            return dict(item)
    raise _no_such_item(conversation_id, item_id)


def _delete_item(tx: Transaction, tenant_id: str, conversation_id: str, item_id: str) -> Operation[Conversation]:
    yield from _item(tenant_id, conversation_id, item_id)
    for row in (yield LOCK(tenant_id=tenant_id, key=ids.conversation_key(conversation_id), wall=tx.wall)):
        # Read under the lock: another request may have deleted a neighbour meanwhile.
        yield from delete_from(row.id, item_id)
        return _conversation(conversation_id, row)
    raise _no_such_conversation(conversation_id)


def _all(tenant_id: str, conversation_id: str, *, shortened: bool) -> Operation[Sequence[Item]]:
    row = yield from _find(tenant_id, conversation_id)
    return (yield from _before(row.id, AFTER_ALL, shortened=shortened)) or ()


def _before(row_id: int, position: int, *, shortened: bool) -> Operation[Sequence[Item] | None]:
    if not any(row.metadata for row in (yield KEPT(conversation_id=row_id))):
        return None
    if ((yield SIZE_BEFORE(conversation_id=row_id, before=position))[0].size or 0) > MOST_CHARACTERS:
        if shortened:
            return from_a_turn_on((yield from newest_items(row_id, position - 1, MOST_CHARACTERS)))
        words = f"the conversation holds more than {MOST_CHARACTERS} characters"
        raise ChainTooLong("conversation", f"{words}: begin a new one, or ask with 'truncation': 'auto'")
    rows = yield ENTRIES(conversation_id=row_id, first=0, last=position - 1)
    return [item for row in rows for item in json.loads(row.items)]


def _conversation(conversation_id: str, row: Row) -> Conversation:
    return Conversation(conversation_id, json.loads(row.metadata), row.created_at, row.pending)


def _encoded(metadata: Mapping[str, str]) -> str:
    return json.dumps(metadata, ensure_ascii=False)


def _no_such_conversation(conversation_id: str) -> NotFound:
    return NotFound(f"there is no conversation {conversation_id[:100]!r}: it was never created, or is deleted")


def _no_such_item(conversation_id: str, item_id: str) -> NotFound:
    return NotFound(f"the conversation {conversation_id[:100]!r} has no item {item_id[:100]!r}")
