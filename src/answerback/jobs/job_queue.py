"""How a worker pool reaches jobs."""

from collections.abc import Callable
from typing import Any

from answerback.jobs.kind import Claimed, Queue
from answerback.jobs.run import JobRunner
from answerback.jobs.store import JobStore
from answerback.kernel.log import Log
from answerback.kernel.shares import Shares
from answerback.queue.leased_queue import Claims, Leases, owner_name


class JobQueue:
    """Implements `LeasedQueue[Claimed]`. `moved` is called with the id of each job whose run has ended."""

    outlasts_outages = True

    def __init__(
        self,
        store: JobStore,
        runner: JobRunner,
        moved: Callable[[str], None],
        lease_seconds: float,
        log: Log,
        queue: Queue = Queue.INTERACTIVE,
    ) -> None:
        self.name = "jobs" if queue is Queue.INTERACTIVE else f"{queue} jobs"
        self._store = store
        self._queue = queue
        self._runner = runner
        self._moved = moved
        self._lease_seconds = lease_seconds
        self._log = log
        self._owner = owner_name()

    async def claim(self, limit: int, shares: Shares) -> Claims[Claimed[Any]]:
        claims = await self._store.claim(self._owner, limit, self._lease_seconds, shares, self._queue)
        for job_id in claims.unreadable:
            # At most once a minute for each job, which is put off for that long.
            self._log.error("job_unreadable", job=job_id, reason="another version of answerback wrote it")
        return Claims(claims.jobs, claims.next_in, claims.held_back)

    async def run(self, claim: Claimed[Any]) -> None:
        try:
            await self._runner.run(claim)
        finally:
            self._moved(claim.id)

    async def extend(self, held: Leases) -> set[str]:
        return await self._store.extend(held, self._lease_seconds)

    async def release(self, held: Leases) -> None:
        await self._store.release(held)
