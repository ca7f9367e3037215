"""The part that jobs play: they take positions in a conversation, and leave items there when they end."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import bindparam, insert, select, update

from answerback.conversations.model import Entry, Item, Place
from answerback.conversations.store import ConversationStore
from answerback.database.operation import Database, Operation, Statement, Transaction
from answerback.database.tables import conversation_items, conversations

TENANT = "tenant-a"

FIND = Statement(
    select(conversations).where(conversations.c.tenant_id == bindparam("tenant"), conversations.c.key == bindparam("k"))
)
BEGIN = Statement(
    insert(conversations).values(
        tenant_id=bindparam("tenant"),
        key=bindparam("k"),
        last_position=0,
        pending=0,
        erased_through=0,
        window_from=0,
        created_at=0,
        updated_at=0,
    )
)
JOIN = Statement(
    update(conversations)
    .where(conversations.c.id == bindparam("row_id"))
    .values(last_position=conversations.c.last_position + 1, pending=conversations.c.pending + 1)
)
LEAVE = Statement(
    update(conversations)
    .where(conversations.c.id == bindparam("row_id"))
    .values(pending=conversations.c.pending - 1, window_from=bindparam("begins"))
)
KEEP = Statement(
    insert(conversation_items).values(
        conversation_id=bindparam("row_id"),
        position=bindparam("at_position"),
        job_id=bindparam("job"),
        items=bindparam("said"),
        created_at=bindparam("at"),
    )
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
