"""Erasing what ended jobs of a conversation hold: their arguments, as far as their kind says, their results, what
they emitted, and the bodies of their settled deliveries."""

from sqlalchemy import bindparam, select, update

from answerback.database.operation import Operation, Statement, Transaction
from answerback.database.tables import jobs
from answerback.jobs.events import DELETE as DELETE_EVENTS
from answerback.jobs.kind import Registry
from answerback.jobs.rows import JOB_COLUMNS, job_of
from answerback.webhooks.erase import ERASE_BODIES

UNREADABLE = "{}"
"""What is left of arguments that only another version could have redacted."""

ENDED_OF = Statement(
    select(*JOB_COLUMNS).where(jobs.c.conversation_id == bindparam("conversation_id"), jobs.c.finished_at.is_not(None))
)
REDACT = Statement(
    update(jobs).where(jobs.c.id == bindparam("row_id")).values(args=bindparam("redacted"), result=None), by=("row_id",)
)


def erase(_: Transaction, conversation_id: int, kinds: Registry) -> Operation[None]:
    redacted = []
    for row in (yield ENDED_OF(conversation_id=conversation_id)):
        kind, job = job_of(row, kinds)
        args = UNREADABLE if kind is None or job.args is None else kind.encode(kind.redact(job.args))
        redacted.append({"row_id": row.id, "redacted": args})
    if redacted:
        yield REDACT.many(redacted)
        yield DELETE_EVENTS.many([{"row_id": each["row_id"]} for each in redacted])
        yield ERASE_BODIES(conversation_id=conversation_id)
