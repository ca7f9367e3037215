"""Showing and erasing what a conversation remembers."""

from sqlalchemy import bindparam, delete, literal_column, select, update

from answerback.database.operation import Operation, Statement, Transaction
from answerback.database.tables import conversations, deliveries, jobs, turns
from answerback.jobs.model import Conversation, ConversationTurn, Message
from answerback.jobs.records import dump_message
from answerback.kernel.errors import NotFound

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
