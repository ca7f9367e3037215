"""The engine: two pools and the maintenance in one event loop, the server's own or that of a worker."""

import asyncio
import os
import secrets
import socket
from collections.abc import Callable, Sequence
from typing import assert_never

from answerback.jobs.maintenance import Maintenance
from answerback.jobs.model import ClaimedJob
from answerback.jobs.ports import Store
from answerback.jobs.run import Executor
from answerback.kernel.clock import Clock
from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.log import Log
from answerback.queue.notifiers.local import Kind, LocalNotifier
from answerback.queue.worker_pool import Rows, WorkerPool
from answerback.webhooks.deliver import Deliverer
from answerback.webhooks.model import ClaimedDelivery

SWEEP_SECONDS = 1.0
GRACE_SECONDS = 5.0
"""How long a graceful stop waits for answers that are on their way and paid for."""
LAST_CALLBACKS_SECONDS = 1.5
"""How long it then waits for callbacks."""
STOP_SECONDS = 7.0
"""How long all of that takes at most, whatever the database does; with what then closes, less than the ten seconds
after which supervisors kill."""


class EmbeddedEngine:
    """Claims, runs, sweeps. `concurrency` bounds the jobs in flight, and likewise the callbacks."""

    def __init__(
        self,
        store: Store,
        executor: Executor,
        deliverer: Deliverer,
        maintenance: Maintenance,
        notifier: LocalNotifier,
        concurrency: int,
        lease_seconds: float,
        clock: Clock,
        log: Log,
    ) -> None:
        self._maintenance = maintenance
        self._deliverer = deliverer
        self._notifier = notifier
        self._log = log
        self._unreadable: set[str] = set()
        self._broke: Callable[[], None] | None = None
        owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"

        async def claim_jobs(limit: int) -> tuple[Sequence[ClaimedJob], float | None]:
            claims = await store.claim_jobs(owner, limit, lease_seconds)
            self._tell_unreadable(claims.unreadable)
            return claims.jobs, claims.next_in

        async def claim_deliveries(limit: int) -> tuple[Sequence[ClaimedDelivery], float | None]:
            claims = await deliverer.claim(owner, limit, lease_seconds)
            return claims.deliveries, claims.next_in

        jobs = Rows(
            claim=claim_jobs,
            run=executor.run,
            extend=lambda held: store.extend_jobs(held, lease_seconds),
            release=store.release_jobs,
            outlasts=True,
        )
        deliveries = Rows(
            claim=claim_deliveries,
            run=deliverer.run,
            extend=lambda held: store.extend_deliveries(held, lease_seconds),
            release=store.release_deliveries,
            # One that was cut off from the database and came late could arrive after those behind it.
            outlasts=False,
        )
        self._jobs = WorkerPool("jobs", jobs, notifier.jobs, concurrency, lease_seconds, clock, log)
        self._deliveries = WorkerPool(
            "deliveries", deliveries, notifier.deliveries, concurrency, lease_seconds, clock, log
        )
        notifier.on_job_cancelled(self._jobs.drop)
        self._claiming: list[asyncio.Task[None]] = []
        self._keeping: list[asyncio.Task[None]] = []
        self._stopping: asyncio.Task[None] | None = None

    def start(self, broke: Callable[[], None] | None = None) -> None:
        """Begins to work in the running event loop. `broke` is called if one of its own loops ever ends by itself."""
        self._broke = broke
        self._claiming = [asyncio.create_task(pool.claim_forever()) for pool in (self._jobs, self._deliveries)]
        self._keeping = [asyncio.create_task(pool.keep_leases_forever()) for pool in (self._jobs, self._deliveries)]
        self._keeping.append(asyncio.create_task(self._sweep_forever()))
        for task in (*self._claiming, *self._keeping):
            task.add_done_callback(self._ended)

    @property
    def healthy(self) -> bool:
        """Whether every loop of the engine runs."""
        return bool(self._claiming) and not any(task.done() for task in (*self._claiming, *self._keeping))

    def full(self, kind: Kind) -> bool:
        """Whether it could take no more of this kind now."""
        return self._pool(kind).full

    async def wake(self, kind: Kind) -> None:
        """Looks for what is due as soon as there is room for it; returns then, or when the engine stops."""
        await self._pool(kind).room()
        match kind:
            case Kind.JOBS:
                self._notifier.job_ready()
            case Kind.DELIVERIES:
                self._notifier.delivery_ready()
            case _:
                assert_never(kind)

    async def stop(self) -> None:
        """Claims nothing more, lets paid answers in, gives the rest back. Whoever calls again waits for the same."""
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop())
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        pools = asyncio.create_task(self._stop_lanes())
        pools.add_done_callback(self._ended)
        await asyncio.wait((pools, *self._claiming), timeout=STOP_SECONDS)
        # Whoever is not done by then waits for a database that does not answer, and nothing could be given back.
        tasks = (pools, *self._claiming, *self._keeping)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _stop_lanes(self) -> None:
        # One after the other: an answer that comes within the grace is still called back.
        await self._jobs.stop(GRACE_SECONDS)
        await self._deliveries.claim_once()
        await self._deliveries.stop(LAST_CALLBACKS_SECONDS)

    async def _sweep_forever(self) -> None:
        while True:
            try:
                moved = await self._maintenance.sweep() + await self._expire_deliveries()
            except Exception:  # noqa: BLE001 - without sweeps, no lost lease would ever be taken back
                self._log.exception("sweep_broke")
                moved = 0
            if not moved:
                await asyncio.sleep(SWEEP_SECONDS)

    async def _expire_deliveries(self) -> int:
        try:
            return await self._deliverer.expire()
        except StorageUnavailable:
            return 0

    def _tell_unreadable(self, job_ids: Sequence[str]) -> None:
        """Idempotent for each: such a job comes up again every minute until its deadline."""
        for job_id in job_ids:
            if job_id not in self._unreadable:
                self._unreadable.add(job_id)
                self._log.error("job_unreadable", job=job_id, reason="another version of answerback wrote it")

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("engine_loop_broke", error=repr(error))
            if self._broke is not None:
                self._broke()

    def _pool(self, kind: Kind) -> WorkerPool[ClaimedJob] | WorkerPool[ClaimedDelivery]:
        match kind:
            case Kind.JOBS:
                return self._jobs
            case Kind.DELIVERIES:
                return self._deliveries
            case _:
                assert_never(kind)
