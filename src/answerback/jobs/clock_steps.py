"""Jobs that wait while the clock is set."""

from answerback.database.operation import Operation, Transaction
from answerback.database.predicates import OPEN
from answerback.queue.clock_steps import follow, moving

ENDS = (moving("jobs", "deadline_at", OPEN), moving("jobs", "run_at", "state = 'awaiting'"))
WAITS = (
    moving("jobs", "run_at", "state IN ('scheduled', 'quarantined', 'awaiting')"),
    moving("jobs", "lease_expires_at", "state = 'running'"),
)


def follow_clock(tx: Transaction, step_ms: int) -> Operation[int]:
    return (yield from follow(tx, step_ms, ENDS, WAITS))
