"""Showing and erasing what a conversation remembers."""

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, literal_column, select, update

from answerback.conversations.model import Recalled
from answerback.database.operation import BatchPlan, Database, Operation, Statement, Transaction
from answerback.database.tables import conversations, deliveries, jobs, turns
from answerback.jobs.model import Conversation, ConversationTurn, Message
from answerback.jobs.records import dump_message
from answerback.kernel.errors import NotFound
from answerback.llm.model import Turn

SHOWN_TURNS = 100

FIND = Statement(
    select(conversations.c.id, conversations.c.pending).where(
        conversations.c.tenant_id == bindparam("tenant_id"), conversations.c.key == bindparam("key")
    )
)
TURNS = Statement(
    select(turns.c.seq, turns.c.job_id, turns.c.user_text, turns.c.assistant_text, turns.c.created_at)
    .where(turns.c.conversation_id == bindparam("conversation_id"))
    .order_by(turns.c.seq.desc())
    .limit(bindparam("limit"))
)
ERASE_TURNS = Statement(delete(turns).where(turns.c.conversation_id == bindparam("conversation_id")))
ERASE_THROUGH = Statement(
    update(conversations)
    .where(conversations.c.id == bindparam("conversation_id"))
    .values(erased_through=conversations.c.last_seq)
)
ERASE_JOBS = Statement(
    update(jobs)
    .where(jobs.c.conversation_id == bindparam("conversation_id"), jobs.c.finished_at.is_not(None))
    .values(request=bindparam("blank"), answer=None)
)
ERASE_BODIES = Statement(
    update(deliveries)
    .where(
        deliveries.c.job_id.in_(
            select(jobs.c.id).where(
                jobs.c.conversation_id == bindparam("conversation_id"), jobs.c.finished_at.is_not(None)
            )
        ),
        literal_column("deliveries.state IN ('delivered', 'dead')"),
    )
    .values(body=b"")
)
RECENT_TURNS = Statement(
    select(turns.c.seq, turns.c.user_text, turns.c.assistant_text, turns.c.created_at)
    .where(turns.c.conversation_id == bindparam("conversation_id"))
    .order_by(turns.c.seq.desc())
    .limit(bindparam("limit"))
)
ERASED_THROUGH = Statement(
    select(conversations.c.erased_through).where(conversations.c.id == bindparam("conversation_id"))
)
RECENT_PLAN = BatchPlan((RECENT_TURNS,), "recent_turns")
RECALL_PLAN = BatchPlan((RECENT_TURNS, ERASED_THROUGH), "recall")
BLANK = dump_message(Message(message=""))


def get_conversation(_: Transaction, tenant_id: str, key: str) -> Operation[Conversation]:
    rows = yield FIND(tenant_id=tenant_id, key=key)
    if not rows:
        raise NotFound(f"there is no conversation {key!r}")
    conversation_id, pending = rows[0]
    newest_first = yield TURNS(conversation_id=conversation_id, limit=SHOWN_TURNS)
    return Conversation(key, pending, tuple(ConversationTurn(*row) for row in reversed(newest_first)))


def erase_conversation(_: Transaction, tenant_id: str, key: str) -> Operation[None]:
    """Erases turns, and the texts of ended jobs and settled callbacks. Messages still waiting are answered and
    delivered as owed, but not remembered."""
    rows = yield FIND(tenant_id=tenant_id, key=key)
    if not rows:
        raise NotFound(f"there is no conversation {key!r}")
    conversation_id = rows[0][0]
    # First, because it holds the line: an answer then comes before all of this, or after it and is not remembered.
    yield ERASE_THROUGH(conversation_id=conversation_id)
    yield ERASE_TURNS(conversation_id=conversation_id)
    yield ERASE_JOBS(conversation_id=conversation_id, blank=BLANK)
    yield ERASE_BODIES(conversation_id=conversation_id)


def recent_turns(_: Transaction, conversation_id: int, limit: int) -> Operation[list[Turn]]:
    return [Turn(*row) for row in (yield RECENT_TURNS(conversation_id=conversation_id, limit=limit))]


def recall(tx: Transaction, conversation_id: int, limit: int) -> Operation[Recalled]:
    newest_first = yield from recent_turns(tx, conversation_id, limit)
    erased = yield ERASED_THROUGH(conversation_id=conversation_id)
    return Recalled(newest_first, erased[0][0])


class ConversationStore:
    """What conversations remember, in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def recent_turns(self, conversation_id: int, limit: int) -> Sequence[Turn]:
        """Newest first."""
        return await self._database.read.run(lambda tx: recent_turns(tx, conversation_id, limit), RECENT_PLAN)

    async def recall(self, conversation_id: int, limit: int) -> Recalled:
        """As `recent_turns`, with what it takes to go on from there without asking again."""
        return await self._database.read.run(lambda tx: recall(tx, conversation_id, limit), RECALL_PLAN)

    async def get_conversation(self, tenant_id: str, key: str) -> Conversation:
        """Raises NotFound."""
        return await self._database.read.run(lambda tx: get_conversation(tx, tenant_id, key))

    async def erase_conversation(self, tenant_id: str, key: str) -> None:
        """Raises NotFound."""
        await self._database.write.run(lambda tx: erase_conversation(tx, tenant_id, key))
