"""How jobs ended, and what waits, in the database."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import BigInteger, bindparam, case, delete, func, literal_column, select

from answerback.database.operation import Database, Operation, Statement, Transaction
from answerback.database.pruning import pruning
from answerback.database.sql import at_most, parameters, upsert
from answerback.database.tables import activity, provider_reports
from answerback.jobs.depth import depth, depth_of_tenant
from answerback.kernel.telemetry import Depth
from answerback.overview.model import (
    ALL_TENANTS,
    DAY_MINUTES,
    MINUTE_MS,
    NO_FAILURE,
    SHOWN_MINUTES,
    Count,
    Overview,
    Slot,
    last_minutes,
)
from answerback.webhooks.depth import count_dead
from answerback.webhooks.model import DeliveryState

PRUNED = 1_000
"""Rows of one batch."""

COUNTED = ("jobs", "prompt_tokens", "completion_tokens", "calls")


_new = upsert(activity).values(parameters(activity))
_more = {name: activity.c[name] + _new.excluded[name] for name in COUNTED}
ADD = Statement(_new.on_conflict_do_update(index_elements=[*activity.primary_key], set_=_more))
_of_tenant = activity.c.tenant_id == bindparam("tenant_id")
_since = activity.c.minute >= bindparam("since", type_=BigInteger)
MINUTES = Statement(select(activity.c.minute, activity.c.outcome, activity.c.jobs).where(_of_tenant, _since))
_today = activity.c.minute >= bindparam("midnight", type_=BigInteger)


def _of_today(column: Any) -> Any:
    return func.sum(case((_today, column), else_=literal_column("0"))).label(column.name)


DAY = Statement(
    select(
        activity.c.outcome,
        func.sum(activity.c.jobs).label("jobs"),
        func.sum(activity.c.calls).label("calls"),
        _of_today(activity.c.prompt_tokens),
        _of_today(activity.c.completion_tokens),
    )
    .where(_of_tenant, _since)
    .group_by(activity.c.outcome)
)
PRUNE = pruning(activity, "minute", PRUNED)

OLDEST_REPORT_MS = DAY_MINUTES * MINUTE_MS
MAX_REPORTS = 100
"""How many processes' reports are read: those that were written last."""


_report = upsert(provider_reports).values(parameters(provider_reports))
WRITE_REPORT = Statement(
    _report.on_conflict_do_update(
        index_elements=[provider_reports.c.process_id],
        set_={"seen_at": _report.excluded.seen_at, "report": _report.excluded.report},
    )
)
REPORTS_OF_OTHERS = Statement(
    select(provider_reports.c.report)
    .where(
        provider_reports.c.process_id != bindparam("process_id"),
        provider_reports.c.seen_at >= bindparam("since", type_=BigInteger),
    )
    .order_by(provider_reports.c.seen_at.desc())
    .limit(at_most(MAX_REPORTS))
)
PRUNE_REPORTS = Statement(
    delete(provider_reports).where(provider_reports.c.seen_at < bindparam("before", type_=BigInteger))
)


def add(_: Transaction, counts: Mapping[Slot, Count]) -> Operation[None]:
    # In one order, so that processes that add to the same rows do not deadlock.
    yield ADD.many(
        [
            {
                **slot._asdict(),
                "jobs": counts[slot].jobs,
                "prompt_tokens": counts[slot].prompt_tokens,
                "completion_tokens": counts[slot].completion_tokens,
                "calls": counts[slot].calls,
            }
            for slot in sorted(counts)
        ]
    )


def overview(tx: Transaction, tenant_id: str) -> Operation[Overview]:
    now = tx.wall // MINUTE_MS
    waiting = yield from (_depth_of_all(tx) if tenant_id == ALL_TENANTS else depth_of_tenant(tx, tenant_id))
    shown = yield MINUTES(tenant_id=tenant_id, since=now - SHOWN_MINUTES + 1)
    ended = {(row.minute, row.outcome): row.jobs for row in shown}
    midnight = now - now % DAY_MINUTES
    day = yield DAY(tenant_id=tenant_id, since=now - DAY_MINUTES + 1, midnight=midnight)
    failures = {row.outcome: int(row.jobs) for row in day if row.outcome not in NO_FAILURE}
    return Overview(
        waiting,
        last_minutes(ended, now),
        dict(sorted(failures.items(), key=lambda each: (-each[1], each[0]))),
        Count(
            prompt_tokens=sum(int(row.prompt_tokens) for row in day),
            completion_tokens=sum(int(row.completion_tokens) for row in day),
        ),
        {row.outcome: int(row.calls) for row in day if row.outcome in failures},
    )


def _depth_of_all(tx: Transaction) -> Operation[Depth]:
    counted = yield from depth(tx)
    dead = yield from count_dead()
    return replace(counted, deliveries={**counted.deliveries, DeliveryState.DEAD: dead})


def prune(tx: Transaction, retention_ms: int) -> Operation[int]:
    return len((yield PRUNE(before=tx.shown_before(retention_ms) // MINUTE_MS)))


def write_report(tx: Transaction, process_id: str, report: str) -> Operation[None]:
    yield WRITE_REPORT(process_id=process_id, seen_at=tx.now, report=report)
    yield PRUNE_REPORTS(before=tx.now - OLDEST_REPORT_MS)


def reports_of_others(tx: Transaction, process_id: str) -> Operation[Sequence[str]]:
    rows = yield REPORTS_OF_OTHERS(process_id=process_id, since=tx.now - OLDEST_REPORT_MS)
    return [row.report for row in rows]


class OverviewStore:
    """How jobs ended, and what waits."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, counts: Mapping[Slot, Count]) -> None:
        await self._database.write.run(lambda tx: add(tx, counts))

    async def overview(self, tenant_id: str) -> Overview:
        """Of one tenant, or of all together."""
        return await self._database.count.run(lambda tx: overview(tx, tenant_id), tenant_id=tenant_id)

    async def write_report(self, process_id: str, report: str) -> None:
        """In the place of the process's last one; those of a day ago are deleted."""
        await self._database.write.run(lambda tx: write_report(tx, process_id, report))

    async def reports_of_others(self, process_id: str) -> Sequence[str]:
        """What other processes have seen of the providers in the last 24 hours."""
        return await self._database.read.run(lambda tx: reports_of_others(tx, process_id))

    async def prune(self, retention_ms: int) -> int:
        """Deletes a batch of what was counted more than `retention_ms` ago; returns how many rows."""
        return await self._database.write.run(lambda tx: prune(tx, retention_ms))
