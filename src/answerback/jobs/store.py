"""Jobs in the database: each method is one transaction, committed when it returns."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from answerback.database.operation import Database, Operation
from answerback.jobs import (
    accept,
    all_tenants,
    cancel,
    claim,
    depth,
    expire,
    finish,
    order,
    pages,
    prune,
    read,
    record,
    recover,
    repeat,
    reschedule,
    resolve,
)
from answerback.jobs.backlog import Backlog, Recount
from answerback.jobs.finish import End
from answerback.jobs.kind import Claimed, Queue, Registry
from answerback.jobs.model import (
    Accepted,
    EndedJob,
    Finished,
    JobClaims,
    JobFilter,
    JobRecord,
    JobRecords,
    Limits,
    NewJob,
    Reached,
    Repeatable,
    Resolved,
    Swept,
    Tried,
)
from answerback.jobs.outcome import Retry, Snooze
from answerback.kernel.shares import Shares
from answerback.kernel.telemetry import Depth
from answerback.queue.attempts import Report, reported
from answerback.queue.fifo import release_orphans
from answerback.queue.leases import Offer, extend
from answerback.queue.unconfirmed import UnconfirmedClaims


class JobStore:
    """Every method raises StorageUnavailable when the database cannot serve it now.

    Methods with a claim are fenced: they return False or None, and have changed nothing, once the row is no longer the
    claim's. `backlog` is the count of open jobs that `accept` compares with the limit.
    """

    def __init__(self, database: Database, kinds: Registry, backlog: Backlog) -> None:
        self._write = database.write.run
        self._read = database.read.run
        self._count = database.count.run
        self._kinds = kinds
        self._backlog = backlog
        self._recount = Recount(self.count_open)
        self.unconfirmed = UnconfirmedClaims()
        self._reached: dict[Queue, Reached] = {}
        self._released_of = ""

    async def accept(self, job: NewJob, limits: Limits, offer: Offer | None = None) -> Accepted:
        """With an `offer` the job is born claimed if no other waits. Raises ConversationFull, TenantFull, Overloaded,
        IdempotencyConflict."""
        self._recount.if_due()
        return await self._write(
            lambda tx: accept.accept(tx, job, limits, self._backlog, offer), accept.ACCEPT_PLAN, len(job.args)
        )

    async def record(self, job: EndedJob) -> None:
        """Inserts a job that has ended already."""
        size = len(job.args) + len(job.result)
        await self._write(lambda tx: record.record(tx, job), record.RECORD_PLAN, size)

    async def find_accepted(self, tenant_id: str, idempotency_key: str, request_hash: str) -> Accepted | None:
        """The earlier acceptance under this key. Raises IdempotencyConflict when its body differed."""
        return await self._read(
            lambda tx: accept.find_accepted(tx, tenant_id, idempotency_key, request_hash),
            accept.FIND_PLAN,
            tenant_id=tenant_id,
        )

    async def take_earlier(self, tenant_id: str, tried: Tried) -> Accepted | None:
        """The job of an earlier try of the same request. Its writes stand behind those of that try, if it is under way
        in this process."""
        return await self._write(lambda tx: repeat.take_earlier(tx, tenant_id, tried), tenant_id=tenant_id)

    async def claim(
        self, owner: str, limit: int, lease_seconds: float, shares: Shares, queue: Queue = Queue.INTERACTIVE
    ) -> JobClaims:
        after = self._reached.get(queue, Reached())

        def claim_as(name: str, unconfirmed: Sequence[str]) -> Any:
            return self._write(
                lambda tx: claim.claim(
                    tx, self._kinds, queue, name, limit, lease_seconds, unconfirmed, shares.copy(), after
                )
            )

        claimed: JobClaims = await self.unconfirmed.claim(owner, claim_as)
        self._reached[queue] = claimed.reached
        return claimed

    async def extend(self, held: Sequence[tuple[str, int]], lease_seconds: float) -> set[str]:
        """Extends leases of `(id, epoch)`; returns the ids still held."""
        return await self._write(lambda tx: extend(tx, reschedule.EXTEND, held, lease_seconds))

    async def release(self, held: Sequence[tuple[str, int]]) -> None:
        """Releases leases of `(id, epoch)`: the rows are due at once; the attempts do not count."""
        await self._write(lambda tx: reschedule.release(tx, held))

    async def finish(
        self, claimed: Claimed[Any], end: End, report: Report, offer: Offer | None = None
    ) -> Finished | None:
        """State and attempt, items, deliveries and release of the next job, in one transaction. With an `offer` the
        delivery to the request's URL is born claimed if no other waits there."""
        return await self._write(
            lambda tx: finish.finish(tx, self._kinds, claimed, end, report, offer), finish.FINISH_PLAN, end.size
        )

    async def put_off(self, claimed: Claimed[Any], retry: Retry, report: Report) -> bool:
        """Schedules the job again after an attempt."""
        return await self._write(lambda tx: reschedule.put_off(tx, claimed, retry, report), reschedule.PUT_OFF_PLAN)

    async def snooze(self, claimed: Claimed[Any], snoozed: Snooze) -> bool:
        """Schedules the job again; no attempt was made, and none is recorded."""
        return await self._write(lambda tx: reschedule.snooze(tx, claimed, snoozed), reschedule.PUT_OFF_PLAN)

    async def hand_over(self, claimed: Claimed[Any], timeout: float, report: Report) -> bool:
        """The LLM has taken the job and is given `timeout` seconds to answer by webhook."""
        return await self._write(
            lambda tx: reschedule.hand_over(tx, claimed, timeout, report), reschedule.HAND_OVER_PLAN
        )

    async def reported(self, job_id: str, epoch: int, report: Report) -> bool:
        """Whether this attempt ended with this report."""
        return await self._read(lambda _: reported(read.ATTEMPTS_OF, job_id, epoch, report))

    async def require(self, job_id: str, kind: str) -> None:
        """Raises NotFound unless there is such a job of this kind, of any tenant."""
        await self._read(lambda tx: resolve.require(tx, job_id, kind))

    async def resolve(self, job_id: str, kind: str, end: End) -> Resolved:
        """Ends a job by an LLM's callback, in any open state. Raises NotFound; Conflict if it ended otherwise."""
        return await self._write(lambda tx: resolve.resolve(tx, self._kinds, job_id, kind, end))

    async def cancel(self, tenant_id: str, job_id: str, *, by_operator: bool = False) -> bool:
        """Whether this call ended the job; cancelling twice is no error. Raises NotFound; Conflict if it ended
        otherwise."""
        return await self._write(
            lambda tx: cancel.cancel(tx, self._kinds, tenant_id, job_id, by_operator=by_operator), tenant_id=tenant_id
        )

    async def retry_source(self, tenant_id: str, job_id: str, deadline_seconds: float) -> Repeatable:
        """Raises NotFound, Conflict."""
        return await self._read(
            lambda tx: read.retry_source(tx, self._kinds, tenant_id, job_id, deadline_seconds), tenant_id=tenant_id
        )

    async def get(self, tenant_id: str, job_id: str) -> JobRecord:
        """Raises NotFound."""
        return await self._read(lambda tx: read.get_job(tx, self._kinds, tenant_id, job_id), tenant_id=tenant_id)

    async def owner(self, job_id: str) -> str:
        """The id of the job's tenant. Raises NotFound."""
        return await self._read(lambda tx: read.owner(tx, job_id))

    async def tenants(self) -> Sequence[str]:
        """The ids of all tenants that have jobs. Raises InvalidField where those are too many to be merged."""
        return await self._read(lambda _: all_tenants.all_tenants())

    async def list(self, wanted: JobFilter, before: str | None, limit: int) -> JobRecords:
        """Newest first, without long results and attempts; `before` is the `following` of the page before."""
        return await self._read(
            lambda tx: pages.list_jobs(tx, self._kinds, wanted, before, limit), tenant_id=wanted.tenant_id
        )

    async def depth(self) -> Depth:
        """How many rows wait now, and for how long."""
        return await self._count(depth.depth)

    async def count_open(self) -> int:
        """How many jobs have not ended; sets the backlog to that. Others write meanwhile."""
        self._backlog.begin_count()
        sizes = await self._count(depth.open_jobs)
        await self._write(lambda _: self._counted(sizes))
        return sum(sizes.values())

    async def recover(self) -> Swept:
        """Takes back a batch of jobs whose lease ran out."""
        return await self._write(partial(recover.recover, kinds=self._kinds))

    async def release_quarantined(self) -> Swept:
        """Lets one job run that has lost its lease twice: the next tenant's."""
        released_of = await self._write(lambda tx: recover.release_quarantined(tx, self._released_of))
        if released_of is None:
            return Swept()
        self._released_of = released_of
        return Swept(jobs_on_probation=1)

    async def expire(self) -> Swept:
        """Ends a batch of jobs whose deadline passed, or whose LLM did not call back in time."""
        return await self._write(partial(expire.expire, kinds=self._kinds))

    async def release_orphans(self) -> Swept:
        """Releases the next job of conversations whose head vanished; none should ever be found."""
        released = await self._write(lambda tx: release_orphans(tx, order.ORPHANED, order.RELEASE_NEXT))
        return Swept(jobs_orphaned=released)

    async def prune(self, retention_ms: int) -> Swept:
        """Deletes a batch of jobs that ended more than `retention_ms` ago, and of idle conversations."""
        return await self._write(lambda tx: prune.prune(tx, retention_ms))

    async def close(self) -> None:
        await self._recount.close()

    def _counted(self, sizes: Mapping[str, int]) -> Operation[None]:
        self._backlog.counted(sizes)
        yield from ()
