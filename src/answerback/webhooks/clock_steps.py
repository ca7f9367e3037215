"""Deliveries that wait while the clock is set."""

from answerback.database.operation import Operation, Transaction
from answerback.queue.clock_steps import follow, moving

ENDS = (moving("deliveries", "deadline_at", "state IN ('held', 'pending', 'sending')"),)
WAITS = (
    moving("deliveries", "run_at", "state = 'pending'"),
    moving("deliveries", "lease_expires_at", "state = 'sending'"),
)


def follow_clock(tx: Transaction, step_ms: int) -> Operation[int]:
    return (yield from follow(tx, step_ms, ENDS, WAITS))
