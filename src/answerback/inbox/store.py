"""Inboxes in the database: of each tenant the newest callbacks, for a day."""

import json
from collections.abc import Sequence

from sqlalchemy import bindparam, delete, func, insert, select

from answerback.database.operation import Database, Operation, Row, Statement, Transaction
from answerback.database.pruning import pruning
from answerback.database.sql import at_most, parameters
from answerback.database.tables import inbox
from answerback.inbox.model import KEPT_MS, MAX_ITEMS, Received, Verdict
from answerback.kernel.ids import new_id

BATCH = 200
_COLUMNS = (
    inbox.c.id,
    inbox.c.received_at,
    inbox.c.headers,
    inbox.c.body,
    inbox.c.size,
    inbox.c.signature,
    inbox.c.job_id,
)
_of_tenant = inbox.c.tenant_id == bindparam("tenant_id")
ADD = Statement(insert(inbox).values(parameters(inbox)))
_newest = select(inbox.c.id).where(_of_tenant).order_by(inbox.c.id.desc()).limit(at_most(MAX_ITEMS)).subquery("newest")
_oldest_kept = select(func.min(_newest.c.id)).scalar_subquery()
DROP_OLDEST = Statement(delete(inbox).where(_of_tenant, inbox.c.id < _oldest_kept))
LIST = Statement(select(*_COLUMNS).where(_of_tenant).order_by(inbox.c.id.desc()).limit(bindparam("limit")))
CLEAR = Statement(delete(inbox).where(_of_tenant))
PRUNE = pruning(inbox, "received_at", BATCH)


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


def listed(_: Transaction, tenant_id: str, limit: int) -> Operation[list[Received]]:
    return [_received(row) for row in (yield LIST(tenant_id=tenant_id, limit=limit))]


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

    async def list(self, tenant_id: str, limit: int) -> Sequence[Received]:
        """The newest first."""
        return await self._database.read.run(lambda tx: listed(tx, tenant_id, limit), tenant_id=tenant_id)

    async def clear(self, tenant_id: str) -> None:
        await self._database.write.run(lambda tx: clear(tx, tenant_id), tenant_id=tenant_id)

    async def prune(self) -> int:
        """Deletes a batch of what came more than a day ago; returns how many."""
        return await self._database.write.run(prune)
