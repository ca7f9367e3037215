"""How much waits, and for how long: counts that partial indexes answer without touching a row."""

from typing import Any

from sqlalchemy import Table, func, select

from answerback.database.operation import Operation, Statement, Transaction
from answerback.database.tables import deliveries, jobs
from answerback.jobs.model import JobState
from answerback.jobs.ports import Depth
from answerback.queue.leases import in_state
from answerback.webhooks.model import DeliveryState

JOB_STATES = (JobState.HELD, JobState.QUEUED, JobState.RUNNING, JobState.AWAITING)
DELIVERY_STATES = (DeliveryState.HELD, DeliveryState.PENDING, DeliveryState.SENDING)


def _count(table: Table, state: Any) -> Statement:
    return Statement(select(func.count()).select_from(table).where(in_state(table, state)))


def _oldest(table: Table, state: Any) -> Statement:
    return Statement(select(func.min(table.c.run_at)).where(in_state(table, state)))


COUNT_JOBS = {state: _count(jobs, state) for state in JOB_STATES}
COUNT_DELIVERIES = {state: _count(deliveries, state) for state in DELIVERY_STATES}
OLDEST_JOB = _oldest(jobs, JobState.QUEUED)
OLDEST_DELIVERY = _oldest(deliveries, DeliveryState.PENDING)


def depth(tx: Transaction) -> Operation[Depth]:
    waiting: dict[str, int] = {}
    for state, statement in COUNT_JOBS.items():
        waiting[state.value] = (yield statement())[0][0]
    owed: dict[str, int] = {}
    for owed_state, statement in COUNT_DELIVERIES.items():
        owed[owed_state.value] = (yield statement())[0][0]
    job = (yield OLDEST_JOB())[0][0]
    delivery = (yield OLDEST_DELIVERY())[0][0]
    return Depth(waiting, owed, _age(tx.now, job), _age(tx.now, delivery))


def _age(now: int, due_at: int | None) -> float:
    return 0.0 if due_at is None else max(0.0, (now - due_at) / 1000)
