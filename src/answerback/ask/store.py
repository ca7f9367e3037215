"""The history of questions: stored when answered, listed newest first, deleted with age."""

from sqlalchemy import Text, bindparam, func, insert, select
from sqlalchemy.dialects.postgresql import ARRAY

from answerback.ask.model import Question, QuestionPage
from answerback.database.operation import Database, Operation, Statement, Transaction
from answerback.database.pages import fitting
from answerback.database.pruning import pruning
from answerback.database.sql import at_most, parameters
from answerback.database.tables import questions

BATCH = 200
AFTER_ALL = 2**62
"""Greater than any id."""

# A tenant may have no row to lock: processes that add to its history lock a hash of its id.
LOCK_HISTORIES = Statement(
    select(
        func.pg_advisory_xact_lock(func.hashtextextended(func.unnest(bindparam("tenant_ids", type_=ARRAY(Text))), 0))
    ),
    only_locks=True,
)
INSERT_QUESTION = Statement(insert(questions).values(parameters(questions, "id")))
LAST_ANSWERED_AT = Statement(
    select(questions.c.created_at)
    .where(questions.c.tenant_id == bindparam("tenant_id"))
    .order_by(questions.c.id.desc())
    .limit(at_most(1))
)
_of_tenant = (questions.c.tenant_id == bindparam("tenant_id"), questions.c.id < bindparam("before_id"))
SIZES = Statement(
    select(questions.c.id, (func.length(questions.c.question) + func.length(questions.c.answer)).label("size"))
    .where(*_of_tenant)
    .order_by(questions.c.id.desc())
    .limit(bindparam("limit"))
)
LIST_QUESTIONS = Statement(
    select(questions.c.question, questions.c.answer, questions.c.created_at, questions.c.finish_reason)
    .where(*_of_tenant, questions.c.id >= bindparam("first_id"))
    .order_by(questions.c.id.desc())
)
PRUNE_QUESTIONS = pruning(questions, "created_at", BATCH)


def keep_question(tx: Transaction, tenant_id: str, question: str, answer: str, finish_reason: str) -> Operation[None]:
    """Gives each of a tenant's questions a time of its own, later than the one before: many may share a transaction
    and its time."""
    yield LOCK_HISTORIES(tenant_ids=[tenant_id])
    answered_at = tx.wall
    for last in (yield LAST_ANSWERED_AT(tenant_id=tenant_id)):
        answered_at = max(answered_at, last.created_at + 1)
    yield INSERT_QUESTION(
        tenant_id=tenant_id,
        question=question,
        answer=answer,
        finish_reason=finish_reason,
        created_at=answered_at,
    )


def list_questions(_: Transaction, tenant_id: str, before: int | None, limit: int) -> Operation[QuestionPage]:
    below = {"tenant_id": tenant_id, "before_id": AFTER_ALL if before is None else before}
    sizes = yield SIZES(**below, limit=limit + 1)
    shown = fitting((row.size for row in sizes), limit)
    if not shown:
        return QuestionPage((), None)
    first = sizes[shown - 1].id
    rows = yield LIST_QUESTIONS(**below, first_id=first)
    questions = [Question(row.question, row.answer, row.created_at, row.finish_reason) for row in rows]
    return QuestionPage(questions, first if shown < len(sizes) else None)


def prune(tx: Transaction, retention_ms: int) -> Operation[int]:
    return len((yield PRUNE_QUESTIONS(before=tx.shown_before(retention_ms))))


class QuestionStore:
    """The history of questions, in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep_question(self, tenant_id: str, question: str, answer: str, finish_reason: str) -> None:
        await self._database.write.run(
            lambda tx: keep_question(tx, tenant_id, question, answer, finish_reason), tenant_id=tenant_id
        )

    async def list_questions(self, tenant_id: str, limit: int, before: int | None = None) -> QuestionPage:
        """Newest first; at most `limit`, fewer if they are long. `before` is the `older` of the page before."""
        return await self._database.read.run(
            lambda tx: list_questions(tx, tenant_id, before, limit), tenant_id=tenant_id
        )

    async def prune(self, retention_ms: int) -> int:
        """Deletes a batch of questions answered more than `retention_ms` ago; returns how many."""
        return await self._database.write.run(lambda tx: prune(tx, retention_ms))
