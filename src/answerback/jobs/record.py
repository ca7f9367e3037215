"""A job whose caller waited for its end: inserted once it is there, as ended."""

from sqlalchemy import Integer, bindparam, insert, literal_column

from answerback.database.operation import BatchPlan, Operation, Statement, Transaction
from answerback.database.tables import jobs
from answerback.jobs.kind import JobState
from answerback.jobs.model import EndedJob

_ZERO = literal_column("0", Integer)
INSERT = Statement(
    insert(jobs).values(
        id=bindparam("job_id"),
        tenant_id=bindparam("tenant_id"),
        kind=bindparam("kind"),
        queue=bindparam("queue"),
        priority=_ZERO,
        rank=_ZERO,
        state=JobState.COMPLETED,
        run_at=bindparam("now"),
        deadline_at=bindparam("now"),
        key_id=bindparam("key_id"),
        args=bindparam("args"),
        result=bindparam("result"),
        attempts=literal_column("'[]'"),
        attempts_made=_ZERO,
        attempt=_ZERO,
        lease_epoch=_ZERO,
        lease_losses=_ZERO,
        created_at=bindparam("created_at"),
        finished_at=bindparam("finished_at"),
        traceparent=bindparam("traceparent"),
    ),
    by=("job_id",),
)
RECORD_PLAN = BatchPlan((INSERT,), "record")


def record(tx: Transaction, job: EndedJob) -> Operation[None]:
    """It was never open: it counts in no backlog, and notifies nobody. The call that answered it was counted."""
    yield INSERT(
        job_id=job.id,
        tenant_id=job.tenant_id,
        kind=job.kind,
        queue=job.queue,
        now=tx.now,
        key_id=job.key_id,
        args=job.args,
        result=job.result,
        created_at=job.created_at,
        finished_at=job.finished_at,
        traceparent=job.traceparent,
    )
