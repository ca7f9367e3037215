"""Claiming jobs: due ones are promoted (`promote.py`), and queued ones leased in the order of their ranks."""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from answerback.database.dialect import Dialect
from answerback.database.operation import Operation, Transaction
from answerback.database.statement import Row, Statement
from answerback.jobs.kind import Claimed, JobState, Queue, Registry
from answerback.jobs.model import JobClaims, Reached
from answerback.jobs.promote import NEXT_SCHEDULED, promote
from answerback.jobs.reschedule import PUT_OFF_UNREADABLE, RELEASE_UNCONFIRMED
from answerback.jobs.rows import CLAIMED_COLUMNS, claimed_of
from answerback.kernel.shares import Shares
from answerback.queue.fair_order import has_rank
from answerback.queue.leases import claiming
from answerback.queue.loose_scan import around, loose_scan

WALK_LENGTH = 256
"""How many tenants a claim looks at where some hold their shares; the next claim goes on behind them."""
UNREADABLE_SECONDS = 60.0
"""A job that only another version of this service can read is due again after this time; that version may then claim it
first."""


def _claiming(which: str) -> Statement:
    """Leases at most `limit` queued jobs, in the order of their ranks. One past its deadline is left to the sweep."""

    def chosen(dialect: Dialect) -> str:
        return f"""
            SELECT id FROM jobs
            WHERE state = 'queued' AND queue = :queue AND {which} AND deadline_at > :now
            ORDER BY rank LIMIT :limit
            {dialect.locking("FOR UPDATE SKIP LOCKED")}"""

    return claiming("jobs", chosen, JobState.RUNNING, CLAIMED_COLUMNS)


CLAIM = _claiming(has_rank("jobs"))
CLAIM_OF_TENANT = _claiming("tenant_id = :tenant_id")
WALK = loose_scan("jobs", JobState.QUEUED, ("tenant_id",), "rank", ("tenant_id", "rank"), WALK_LENGTH, same="queue")


def claim(
    tx: Transaction,
    kinds: Registry,
    queue: Queue,
    owner: str,
    limit: int,
    lease_seconds: float,
    unconfirmed: Sequence[str],
    shares: Shares,
    after: Reached,
) -> Operation[JobClaims]:
    """`unconfirmed` are names of claims whose commit was not answered: their jobs are given back first. A job that only
    another version of this service can read is put off, and its attempt does not count. `shares` are a copy; walks
    go on `after` those of the claim before."""
    for name in unconfirmed:
        yield RELEASE_UNCONFIRMED(owner=name)
    promoted = yield from promote(tx, queue, after.promoted)
    expires_at = tx.now + int(lease_seconds * 1000)
    lease = {"now": tx.now, "wall": tx.wall, "owner": owner, "expires_at": expires_at, "queue": queue}
    taken = yield from _take(limit, lease, shares, after.claimed)
    claimed: list[Claimed[Any]] = []
    unreadable: list[dict[str, Any]] = []
    for row in sorted(taken.rows, key=lambda row: str(row.id)):
        if (each := claimed_of(row, kinds, tx)) is not None:
            claimed.append(each)
        else:
            due_at = tx.now + int(UNREADABLE_SECONDS * 1000)
            unreadable.append({"row_id": row.id, "epoch": row.lease_epoch, "due_at": due_at})
    if unreadable:
        yield PUT_OFF_UNREADABLE.many(unreadable)
    if len(taken.rows) == limit or promoted is not None:
        next_in: float | None = 0.0
    else:
        scheduled = yield NEXT_SCHEDULED(queue=queue)
        next_in = max(0.0, (scheduled[0].run_at - tx.now) / 1000) if scheduled else None
    ids = [each["row_id"] for each in unreadable]
    return JobClaims(claimed, next_in, ids, taken.held_back, Reached(taken.walked_to, promoted or ""))


@dataclass(slots=True)
class _Taken:
    rows: list[Row]
    held_back: bool = False
    walked_to: str = ""


def _take(limit: int, lease: dict[str, Any], shares: Shares, after: str) -> Operation[_Taken]:
    """Leases jobs by rank, whosever they are, as long as no tenant holds its share; then tenant by tenant, past those
    that do: their jobs would have to be read one by one."""
    taken = _Taken([])
    while len(taken.rows) < limit and (room := min(limit - len(taken.rows), shares.least)):
        rows = yield CLAIM(**lease, limit=room)
        for row in rows:
            shares.take(row.tenant_id)
        taken.rows += rows
        if len(rows) < room:
            return taken
    if len(taken.rows) < limit:
        yield from _take_past(taken, limit, lease, shares, after)
    return taken


def _take_past(taken: _Taken, limit: int, lease: dict[str, Any], shares: Shares, after: str) -> Operation[None]:
    stops, taken.walked_to = yield from around(WALK, after, WALK_LENGTH, queue=lease["queue"])
    waiting = [stop.tenant_id for stop in sorted(stops, key=lambda stop: int(stop.rank))]
    while wanted := _in_turn(waiting, limit - len(taken.rows), shares):
        each = [{**lease, "tenant_id": tenant_id, "limit": places} for tenant_id, places in sorted(wanted.items())]
        found = [row for _, row in (yield CLAIM_OF_TENANT.each(each))]
        taken.rows += found
        missing = wanted - Counter(row.tenant_id for row in found)
        for tenant_id, places in missing.items():
            shares.give(tenant_id, places)
        waiting = [tenant_id for tenant_id in waiting if tenant_id not in missing]
    taken.held_back = len(taken.rows) < limit and bool(waiting)


def _in_turn(tenant_ids: Sequence[str], places: int, shares: Shares) -> Counter[str]:
    """Takes so many places, one of each tenant after the other, as far as its share allows."""
    wanted: Counter[str] = Counter()
    turns = deque(tenant_ids)
    while turns and wanted.total() < places:
        tenant_id = turns.popleft()
        if shares.allowance(tenant_id):
            shares.take(tenant_id)
            wanted[tenant_id] += 1
            turns.append(tenant_id)
    return wanted
