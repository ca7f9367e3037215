"""How a worker pool reaches jobs."""

from collections.abc import Sequence
from typing import Any

from answerback.jobs.kind import Claimed
from answerback.jobs.run import Runner
from answerback.jobs.store import JobStore
from answerback.kernel.log import Log
from answerback.queue.leased_queue import Leases, owner_name


class JobQueue:
    """Implements `LeasedQueue[Claimed]`."""

    name = "jobs"
    outlasts_outages = True

    def __init__(self, store: JobStore, runner: Runner, lease_seconds: float, log: Log) -> None:
        self._store = store
        self._lease_seconds = lease_seconds
        self._log = log
        self._owner = owner_name()
        self.run = runner.run
        self.release = store.give_back

    async def claim(self, limit: int) -> tuple[Sequence[Claimed[Any]], float | None]:
        claims = await self._store.claim(self._owner, limit, self._lease_seconds)
        for job_id in claims.unreadable:
            # At most once a minute for each job, which is put off for that long.
            self._log.error("job_unreadable", job=job_id, reason="another version of answerback wrote it")
        return claims.jobs, claims.next_in

    async def extend(self, held: Leases) -> set[str]:
        return await self._store.extend(held, self._lease_seconds)
