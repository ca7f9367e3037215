"""The history of questions: stored when answered, listed newest first, deleted with age."""

from answerback.ask.model import Question, QuestionPage
from answerback.database.operation import Database, Operation, Transaction
from answerback.database.pages import fitting
from answerback.database.pruning import pruning
from answerback.database.sql import inserting
from answerback.database.statement import Statement

BATCH = 200
AFTER_ALL = 2**62
"""Greater than any id."""

# A tenant may have no row to lock: processes that add to its history lock a hash of its id.
LOCK_HISTORIES = Statement(
    "SELECT pg_advisory_xact_lock(hashtextextended(unnest(CAST(:tenant_ids AS text[])), 0))", only_locks=True
)
INSERT_QUESTION = Statement(inserting("questions", "tenant_id", "question", "answer", "finish_reason", "created_at"))
LAST_ANSWERED_AT = Statement("SELECT created_at FROM questions WHERE tenant_id = :tenant_id ORDER BY id DESC LIMIT 1")
SIZES = Statement(
    lambda dialect: (
        f"""
    SELECT id, length(question) + length(answer) AS size FROM questions
    WHERE {dialect.equals("tenant_id")} AND id < :before_id ORDER BY tenant_id DESC, id DESC LIMIT :limit"""
    )
)
LIST_QUESTIONS = Statement(
    """
    SELECT question, answer, created_at, finish_reason FROM questions
    WHERE tenant_id = :tenant_id AND id < :before_id AND id >= :first_id ORDER BY id DESC"""
)
PRUNE_QUESTIONS = pruning("questions", "created_at", BATCH)


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
