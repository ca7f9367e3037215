"""Inboxes in the database: of each tenant the newest callbacks, for a day."""

import json

from answerback.database.operation import Database, Operation, Transaction
from answerback.database.pages import fitting
from answerback.database.pruning import pruning
from answerback.database.sql import inserting
from answerback.database.statement import Row, Statement
from answerback.inbox.model import KEPT_MS, MAX_ITEMS, Received, ReceivedPage, Verdict
from answerback.kernel.ids import new_id

BATCH = 200
AFTER_ALL = "inbz"
"""Sorts after every id, in whatever order a database sorts text."""

ADD = Statement(inserting("inbox", "id", "tenant_id", "received_at", "headers", "body", "size", "signature", "job_id"))
DROP_OLDEST = Statement(
    f"""
    DELETE FROM inbox WHERE tenant_id = :tenant_id AND id < (
        SELECT min(newest.id) FROM (
            SELECT id FROM inbox WHERE tenant_id = :tenant_id ORDER BY id DESC LIMIT {MAX_ITEMS}
        ) AS newest
    )"""
)
SIZES = Statement(
    """
    SELECT id, length(body) + length(headers) AS size FROM inbox WHERE tenant_id = :tenant_id AND id < :before
    ORDER BY id DESC LIMIT :limit"""
)
LIST = Statement(
    """
    SELECT id, received_at, headers, body, size, signature, job_id FROM inbox
    WHERE tenant_id = :tenant_id AND id < :before AND id >= :last ORDER BY id DESC"""
)
CLEAR = Statement("DELETE FROM inbox WHERE tenant_id = :tenant_id")
PRUNE = pruning("inbox", "received_at", BATCH)


def add(tx: Transaction, tenant_id: str, came: Received) -> Operation[None]:
    yield ADD(
        id=new_id("inb_", tx.wall),
        tenant_id=tenant_id,
        received_at=tx.wall,
        headers=json.dumps(dict(came.headers)),
        body=came.body,
        size=came.size,
        signature=came.signature,
        job_id=came.job_id,
    )
    yield DROP_OLDEST(tenant_id=tenant_id)


def listed(_: Transaction, tenant_id: str, before: str | None, limit: int) -> Operation[ReceivedPage]:
    below = {"tenant_id": tenant_id, "before": before or AFTER_ALL}
    sizes = yield SIZES(**below, limit=limit + 1)
    if not sizes:
        return ReceivedPage((), None)
    shown = fitting((row.size for row in sizes), limit)
    last = sizes[shown - 1].id
    items = tuple(_received(row) for row in (yield LIST(**below, last=last)))
    return ReceivedPage(items, last if shown < len(sizes) else None)


def clear(_: Transaction, tenant_id: str) -> Operation[None]:
    yield CLEAR(tenant_id=tenant_id)


def prune(tx: Transaction) -> Operation[int]:
    return len((yield PRUNE(before=tx.shown_before(KEPT_MS))))


def _received(row: Row) -> Received:
    return Received(
        id=row.id,
        received_at=row.received_at,
        headers=json.loads(row.headers),
        body=bytes(row.body),
        size=row.size,
        signature=Verdict(row.signature),
        job_id=row.job_id,
    )


class InboxStore:
    """What came to each tenant's inbox."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, tenant_id: str, came: Received) -> None:
        """Its id and time are given by the store; of very many the oldest go."""
        await self._database.write.run(lambda tx: add(tx, tenant_id, came), tenant_id=tenant_id)

    async def list(self, tenant_id: str, limit: int, before: str | None = None) -> ReceivedPage:
        """The newest first, of those that are older than `before`."""
        return await self._database.read.run(lambda tx: listed(tx, tenant_id, before, limit), tenant_id=tenant_id)

    async def clear(self, tenant_id: str) -> None:
        await self._database.write.run(lambda tx: clear(tx, tenant_id), tenant_id=tenant_id)

    async def prune(self) -> int:
        """Deletes a batch of what came more than a day ago; returns how many."""
        return await self._database.write.run(prune)
