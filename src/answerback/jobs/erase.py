"""Erasing what ended jobs of a conversation hold: their arguments, as far as their kind says, their results, what
they emitted, and the bodies of their settled deliveries."""

from answerback.database.operation import Operation, Transaction
from answerback.database.statement import Statement
from answerback.jobs.events import DELETE as DELETE_EVENTS
from answerback.jobs.kind import Registry
from answerback.jobs.rows import JOB_COLUMNS, job_of
from answerback.webhooks.erase import ERASE_BODIES

UNREADABLE = "{}"
"""What is left of arguments that only another version could have redacted."""

ENDED_OF = Statement(
    f"SELECT {JOB_COLUMNS} FROM jobs WHERE conversation_id = :conversation_id AND finished_at IS NOT NULL"
)
REDACT = Statement("UPDATE jobs SET args = :redacted, result = NULL WHERE id = :row_id", by=("row_id",))


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
