"""How jobs ended, and what waits, in the database."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from answerback.database.changes import version
from answerback.database.operation import Database, Operation, Transaction
from answerback.database.pruning import pruning
from answerback.database.sql import inserting
from answerback.database.statement import Statement
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

ADD = Statement(
    f"""
    {inserting("activity", "tenant_id", "minute", "outcome", *COUNTED)}
    ON CONFLICT (tenant_id, minute, outcome)
    DO UPDATE SET {", ".join(f"{name} = activity.{name} + excluded.{name}" for name in COUNTED)}"""
)
MINUTES = Statement("SELECT minute, outcome, jobs FROM activity WHERE tenant_id = :tenant_id AND minute >= :since")
DAY = Statement(
    """
    SELECT
        outcome,
        sum(jobs) AS jobs,
        sum(calls) AS calls,
        sum(CASE WHEN minute >= :midnight THEN prompt_tokens ELSE 0 END) AS prompt_tokens,
        sum(CASE WHEN minute >= :midnight THEN completion_tokens ELSE 0 END) AS completion_tokens
    FROM activity WHERE tenant_id = :tenant_id AND minute >= :since
    GROUP BY outcome"""
)
PRUNE = pruning("activity", "minute", PRUNED, key="tenant_id, minute, outcome")

OLDEST_REPORT_MS = DAY_MINUTES * MINUTE_MS
LIVE_MS = 10_000
"""A process that has written no report for so long may be gone; one that has models at rest writes each two seconds."""
MAX_REPORTS = 100
"""How many processes' reports are read: those that were written last."""

WRITE_REPORT = Statement(
    f"""
    {inserting("provider_reports", "process_id", "seen_at", "report")}
    ON CONFLICT (process_id) DO UPDATE SET seen_at = excluded.seen_at, report = excluded.report"""
)
REPORTS_OF_OTHERS = Statement(
    f"""
    SELECT report, seen_at FROM provider_reports WHERE process_id <> :process_id AND seen_at >= :since
    ORDER BY seen_at DESC LIMIT {MAX_REPORTS}"""
)
PRUNE_REPORTS = Statement("DELETE FROM provider_reports WHERE seen_at < :before")


class Report(NamedTuple):
    """What a process has seen of the providers, and whether it wrote that just now."""

    text: str
    live: bool


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


def reports_of_others(tx: Transaction, process_id: str) -> Operation[Sequence[Report]]:
    rows = yield REPORTS_OF_OTHERS(process_id=process_id, since=tx.now - OLDEST_REPORT_MS)
    return [Report(row.report, live=row.seen_at >= tx.now - LIVE_MS) for row in rows]


class OverviewStore:
    """How jobs ended, and what waits."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, counts: Mapping[Slot, Count]) -> None:
        await self._database.write.run(lambda tx: add(tx, counts))

    async def overview(self, tenant_id: str) -> Overview:
        """Of one tenant, or of all together."""
        return await self._database.count.run(lambda tx: overview(tx, tenant_id), tenant_id=tenant_id)

    async def version(self) -> str:
        """Another one as soon as anything was written to the database."""
        return await self._database.read.run(version)

    async def write_report(self, process_id: str, report: str) -> None:
        """In the place of the process's last one; those of a day ago are deleted."""
        await self._database.write.run(lambda tx: write_report(tx, process_id, report))

    async def reports_of_others(self, process_id: str) -> Sequence[Report]:
        """What other processes have seen of the providers in the last 24 hours."""
        return await self._database.read.run(lambda tx: reports_of_others(tx, process_id))

    async def prune(self, retention_ms: int) -> int:
        """Deletes a batch of what was counted more than `retention_ms` ago; returns how many rows."""
        return await self._database.write.run(lambda tx: prune(tx, retention_ms))
