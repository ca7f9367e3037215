"""The history of questions: kept when answered, shown newest first, forgotten with age."""

from sqlalchemy import bindparam, delete, insert, select

from answerback.domain.chat import Question
from answerback.storage.operation import Operation, Statement, Transaction
from answerback.storage.records import at_most
from answerback.storage.tables import questions

BATCH = 200

INSERT_QUESTION = Statement(
    insert(questions).values(
        tenant_id=bindparam("tenant_id"),
        question=bindparam("question"),
        answer=bindparam("answer"),
        created_at=bindparam("now"),
    )
)
LIST_QUESTIONS = Statement(
    select(questions.c.question, questions.c.answer, questions.c.created_at)
    .where(questions.c.tenant_id == bindparam("tenant_id"))
    .order_by(questions.c.id.desc())
    .limit(bindparam("limit"))
)
PRUNE_QUESTIONS = Statement(
    delete(questions)
    .where(
        questions.c.id.in_(
            select(questions.c.id)
            .where(questions.c.created_at < bindparam("before"))
            .order_by(questions.c.created_at)
            .limit(at_most(BATCH))
        )
    )
    .returning(questions.c.id)
)


def keep_question(tx: Transaction, tenant_id: str, question: str, answer: str) -> Operation[None]:
    yield INSERT_QUESTION(tenant_id=tenant_id, question=question, answer=answer, now=tx.now)


def list_questions(_: Transaction, tenant_id: str, limit: int) -> Operation[list[Question]]:
    return [Question(*row) for row in (yield LIST_QUESTIONS(tenant_id=tenant_id, limit=limit))]


def prune_questions(before: int) -> Operation[int]:
    """Deletes a batch of those answered before `before` (epoch milliseconds); returns how many."""
    return len((yield PRUNE_QUESTIONS(before=before)))
