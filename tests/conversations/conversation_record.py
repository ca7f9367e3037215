"""The part that jobs play: they take positions in a conversation, and leave items there when they end."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from answerback.conversations.model import Entry, Item, Place
from answerback.conversations.store import ConversationStore
from answerback.database.operation import Database, Operation, Transaction
from answerback.database.statement import Statement

TENANT = "tenant-a"

FIND = Statement("SELECT * FROM conversations WHERE tenant_id = :tenant AND key = :k")
BEGIN = Statement(
    """
    INSERT INTO conversations
        (tenant_id, key, last_position, pending, erased_through, window_from, created_at, updated_at)
    VALUES (:tenant, :k, 0, 0, 0, 0, 0, 0)"""
)
JOIN = Statement("UPDATE conversations SET last_position = last_position + 1, pending = pending + 1 WHERE id = :row_id")
LEAVE = Statement("UPDATE conversations SET pending = pending - 1, window_from = :begins WHERE id = :row_id")
KEEP = Statement(
    """
    INSERT INTO conversation_items (conversation_id, position, job_id, items, created_at)
    VALUES (:row_id, :at_position, :job, :said, :at)"""
)


@dataclass
class Record:
    """The conversations of one tenant, in the database. `erased` are the conversations whose jobs were erased."""

    database: Database
    tenant: str = TENANT
    erased: list[int] = field(default_factory=list)
    claims: int = 0

    @property
    def store(self) -> ConversationStore:
        return ConversationStore(self.database)

    def erase_jobs(self, _: Transaction, conversation_id: int) -> Operation[None]:
        self.erased.append(conversation_id)
        yield from ()

    async def join(self, key: str = "s") -> int:
        """The position of a job that was accepted."""

        def operation(_: Transaction) -> Operation[int]:
            if not (yield FIND(tenant=self.tenant, k=key)):
                yield BEGIN(tenant=self.tenant, k=key)
            row = (yield FIND(tenant=self.tenant, k=key))[0]
            yield JOIN(row_id=row.id)
            return int(row.last_position) + 1

        return await self.database.write.run(operation)

    async def claim(self, position: int, key: str = "s") -> Place:
        """The place of the job at this position, claimed now."""

        def operation(_: Transaction) -> Operation[Place]:
            row = (yield FIND(tenant=self.tenant, k=key))[0]
            self.claims += 1
            claim = f"job_{position}/{self.claims}"
            return Place(self.tenant, row.id, position, row.erased_through, row.window_from, claim)

        return await self.database.read.run(operation)

    async def finish(
        self, place: Place, items: Sequence[Item], at: int, window_from: int | None = None, key: str = "s"
    ) -> Entry | None:
        """Ends the job at this place; what its conversation remembers of it."""
        entry = Entry(place.position, f"job_{place.position}", list(items), at)

        def operation(_: Transaction) -> Operation[Entry | None]:
            row = (yield FIND(tenant=self.tenant, k=key))[0]
            yield LEAVE(row_id=row.id, begins=row.window_from if window_from is None else window_from)
            if not items or place.position <= row.erased_through:
                return None
            said = json.dumps(entry.items, ensure_ascii=False)
            yield KEEP(row_id=row.id, at_position=entry.position, job=entry.job_id, said=said, at=at)
            return entry

        return await self.database.write.run(operation)

    async def add(self, *items: Item, key: str = "s", at: int = 0, window_from: int | None = None) -> Entry | None:
        """A whole job."""
        place = await self.claim(await self.join(key), key)
        return await self.finish(place, items, at, window_from, key)
