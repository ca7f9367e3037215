"""A job whose caller waited for its end: inserted once it is there, as ended."""

from answerback.database.operation import BatchPlan, Operation, Transaction
from answerback.database.statement import Statement
from answerback.jobs.model import EndedJob

_GIVEN = (
    *("id", "tenant_id", "kind", "queue", "run_at", "deadline_at", "key_id", "args", "result"),
    *("created_at", "finished_at", "traceparent"),
)
_ZERO = ("priority", "rank", "attempts_made", "attempt", "lease_epoch", "lease_losses")
_VALUES = {
    **{name: f":{name}" for name in _GIVEN},
    **dict.fromkeys(_ZERO, "0"),
    "state": "'completed'",
    "attempts": "'[]'",
}
INSERT = Statement(f"INSERT INTO jobs ({', '.join(_VALUES)}) VALUES ({', '.join(_VALUES.values())})", by=("id",))
RECORD_PLAN = BatchPlan((INSERT,), "record")


def record(tx: Transaction, job: EndedJob) -> Operation[None]:
    """It was never open: it counts in no backlog, and notifies nobody. The call that answered it was counted."""
    yield INSERT(
        id=job.id,
        tenant_id=job.tenant_id,
        kind=job.kind,
        queue=job.queue,
        run_at=tx.now,
        deadline_at=tx.now,
        key_id=job.key_id,
        args=job.args,
        result=job.result,
        created_at=job.created_at,
        finished_at=job.finished_at,
        traceparent=job.traceparent,
    )
