"""The order of jobs: those of a conversation are a queue, and what is queued has a rank among that of all tenants."""

from answerback.database.dialect import Dialect
from answerback.database.predicates import JOB_HEAD_STATES
from answerback.queue.fair_order import next_rank
from answerback.queue.fifo import orphaned, releasing

QUEUE = ("conversation_id",)


def rank(dialect: Dialect) -> str:
    """The rank of a row of jobs that becomes queued now."""
    return next_rank(dialect, "jobs", "jobs.queue", "jobs.tenant_id")


RELEASE_NEXT = releasing("jobs", JOB_HEAD_STATES, QUEUE, lambda dialect: {"state": "'queued'", "rank": rank(dialect)})
ORPHANED = orphaned("jobs", JOB_HEAD_STATES, QUEUE)
