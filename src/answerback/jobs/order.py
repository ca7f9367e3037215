"""The order of jobs: those of a conversation are a queue, and what is queued has a rank among that of all tenants."""

from typing import Any

from answerback.database.tables import JOB_HEAD_STATES, jobs
from answerback.jobs.kind import JobState
from answerback.queue.fair_order import next_rank
from answerback.queue.fifo import orphaned, releasing

QUEUE = ("conversation_id",)


def rank(queue: Any, tenant_id: Any, nth: Any = None) -> Any:
    """The rank of a job that becomes queued now. `nth` is as for `next_rank`."""
    return next_rank(jobs, queue, tenant_id, nth, queued=JobState.QUEUED, running=JobState.RUNNING)


RELEASE_NEXT = releasing(jobs, JOB_HEAD_STATES, QUEUE, state=JobState.QUEUED, rank=rank(jobs.c.queue, jobs.c.tenant_id))
ORPHANED = orphaned(jobs, JOB_HEAD_STATES, QUEUE)
