"""Events that a job emits while it runs: stored in groups, in their order, before anybody reads them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from answerback.database.operation import BatchPlan, Database, Operation
from answerback.database.statement import Row, Statement
from answerback.jobs.kind import ENDED, Claimed, JobState
from answerback.jobs.moves import JobMoves
from answerback.jobs.rows import OWN
from answerback.queue.leases import fenced

MOST_GROUPS = 64
MOST_BYTES = 256 * 1024
"""How many groups are read at a time, and how many bytes before the last of them: thousands may follow, and be slow."""


# Locked, so that no event is stored behind the job's end. The same again where a commit was not answered.
APPEND = Statement(
    lambda dialect: (
        f"""
    INSERT INTO job_events (job_id, seq, data)
    SELECT id, :seq, :data FROM jobs WHERE {fenced("jobs", JobState.RUNNING)}
    {dialect.locking("FOR NO KEY UPDATE")}
    ON CONFLICT (job_id, seq) DO UPDATE SET data = excluded.data
    RETURNING seq"""
    ),
    by=("row_id",),
)
FORGIVE = Statement(
    f"""
    UPDATE jobs SET lease_losses = 0, first_loss_at = NULL
    WHERE {fenced("jobs", JobState.RUNNING)} AND lease_losses > 0""",
    by=("row_id",),
)
LOOK = Statement(f"SELECT state, claimed_at FROM jobs WHERE id = :row_id AND {OWN}")
ALL = Statement("SELECT seq, data FROM job_events WHERE job_id = :row_id ORDER BY seq")
AFTER = Statement(
    f"""
    SELECT seq, data FROM (
        SELECT seq, data, sum(length(data)) OVER (ORDER BY seq) - length(data) AS before FROM (
            SELECT seq, data FROM job_events WHERE job_id = :row_id AND seq > :after ORDER BY seq LIMIT {MOST_GROUPS}
        ) AS next_groups
    ) AS sized WHERE before < {MOST_BYTES} ORDER BY seq"""
)
LAST = Statement("SELECT max(seq) AS seq FROM job_events WHERE job_id = :row_id")
DELETE = Statement("DELETE FROM job_events WHERE job_id = :row_id", by=("row_id",))

APPEND_PLAN = BatchPlan((APPEND, FORGIVE), "append_events")
READING = (LOOK, AFTER, LAST)
READ_PLAN = BatchPlan(READING, "read_events")
ALL_PLAN = BatchPlan((ALL,), "all_events")


@dataclass(frozen=True, slots=True)
class Group:
    """Events that were stored together, as their kind encoded them; `last` is the number of the last one."""

    last: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Emitted:
    """The job at one moment, and its next groups. `claimed` says whether a worker ever had it, `more` whether there may
    be further groups; `last` is the number of its last event, if it has ended and emitted any."""

    state: JobState
    claimed: bool
    groups: Sequence[Group]
    more: bool
    last: int | None


class JobEvents:
    """Every method raises StorageUnavailable when the database cannot serve it now. `moves` wakes readers."""

    def __init__(self, database: Database) -> None:
        self._write = database.write.run
        self._read = database.read.run
        self.moves = JobMoves()

    async def append(self, claim: Claimed[Any], last: int, data: bytes) -> bool:
        """Stores the events through number `last`. False, and nothing changed, once the row is not the claim's."""
        return await self._write(lambda _: _store(claim, last, data), APPEND_PLAN, len(data))

    async def all(self, job_id: str) -> Sequence[Group]:
        """Of a job whose tenant is known."""
        return await self._read(lambda _: _all(job_id), ALL_PLAN)

    async def read(self, tenant_id: str, kind: str, job_id: str, after: int) -> Emitted | None:
        """The groups that hold events behind number `after`; None if the tenant has no such job."""
        return await self._read(lambda _: emitted(tenant_id, kind, job_id, after), READ_PLAN, tenant_id=tenant_id)


def _store(claim: Claimed[Any], last: int, data: bytes) -> Operation[bool]:
    if not (yield APPEND(row_id=claim.id, epoch=claim.epoch, seq=last, data=data)):
        return False
    if claim.epoch > 1:
        # A job that gets further each time is not what stops its workers.
        yield FORGIVE(row_id=claim.id, epoch=claim.epoch)
    return True


def _all(job_id: str) -> Operation[Sequence[Group]]:
    return _groups((yield ALL(row_id=job_id)))


def emitted(tenant_id: str, kind: str, job_id: str, after: int) -> Operation[Emitted | None]:
    rows = yield LOOK(row_id=job_id, tenant_id=tenant_id, kind=kind)
    if not rows:
        return None
    state, claimed = JobState(rows[0].state), rows[0].claimed_at is not None
    groups = _groups((yield AFTER(row_id=job_id, after=after)))
    last = (yield LAST(row_id=job_id))[0].seq if state in ENDED else None
    more = len(groups) == MOST_GROUPS or sum(len(each.data) for each in groups) >= MOST_BYTES
    return Emitted(state, claimed, groups, more, last)


def _groups(rows: Sequence[Row]) -> Sequence[Group]:
    return [Group(row.seq, bytes(row.data)) for row in rows]
