"""The engine of a process: worker pools for jobs, batch jobs and deliveries, and the sweep, in one event loop."""

import asyncio
from collections.abc import Callable
from typing import Any, assert_never

from answerback.jobs.kind import Claimed
from answerback.jobs.sweep import Sweep
from answerback.kernel.instruments import Instruments
from answerback.queue.birth import Births
from answerback.queue.notifier import Topic
from answerback.queue.notifiers.local import LocalNotifier
from answerback.queue.worker_pool import WorkerPool
from answerback.webhooks.model import ClaimedDelivery

GRACE_SECONDS = 5.0
"""How long a graceful stop waits for answers that are on their way and paid for."""
LAST_CALLBACKS_SECONDS = 1.5
"""How long it then waits for callbacks."""
STOP_SECONDS = 7.0
"""How long all of that takes at most, even if the database hangs; with the closing of connections that follows, less
than the ten seconds after which supervisors kill."""


class Engine:
    """Claims, runs and sweeps from `start` to `stop`. `births` are of jobs."""

    def __init__(
        self,
        jobs: WorkerPool[Claimed[Any]],
        births: Births[Claimed[Any]],
        batch: WorkerPool[Claimed[Any]],
        deliveries: WorkerPool[ClaimedDelivery],
        sweep: Sweep,
        notifier: LocalNotifier,
        instruments: Instruments,
    ) -> None:
        self._jobs = jobs
        self.births = births
        self._batch = batch
        self._deliveries = deliveries
        self._sweep = sweep
        self._notifier = notifier
        self._log = instruments.log
        self._broke: Callable[[], None] | None = None
        notifier.on_job_cancelled(self._drop)
        self._claiming: list[asyncio.Task[None]] = []
        self._keeping: list[asyncio.Task[None]] = []
        self._stopping: asyncio.Task[None] | None = None

    def start(self, broke: Callable[[], None] | None = None) -> None:
        """Begins to work in the running event loop. `broke` is called if one of its own loops ever ends by itself."""
        self._broke = broke
        pools = (self._jobs, self._batch, self._deliveries)
        self._claiming = [asyncio.create_task(pool.claim_forever()) for pool in pools]
        self._keeping = [asyncio.create_task(pool.keep_leases_forever()) for pool in pools]
        self._keeping.append(asyncio.create_task(self._sweep_forever()))
        for task in (*self._claiming, *self._keeping):
            task.add_done_callback(self._ended)

    @property
    def healthy(self) -> bool:
        """Whether every loop of the engine runs."""
        return bool(self._claiming) and not any(task.done() for task in (*self._claiming, *self._keeping))

    def full(self, topic: Topic) -> bool:
        """Whether the topic's worker pool has no room for another claim."""
        return self._pool(topic).full

    async def wake(self, topic: Topic) -> None:
        """Returns when the topic's worker pool has room for another claim, or stops."""
        await self._pool(topic).room()
        self._notifier.wake(topic)

    async def stop(self) -> None:
        """Claims nothing more, lets paid answers in, gives the rest back. A second call waits for the same stop."""
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop())
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        pools = asyncio.create_task(self._stop_pools())
        pools.add_done_callback(self._ended)
        await asyncio.wait((pools, *self._claiming), timeout=STOP_SECONDS)
        # A task that is not done by then waits for a database that does not answer: nothing could be given back.
        tasks = (pools, *self._claiming, *self._keeping)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _stop_pools(self) -> None:
        # One after the other: an answer that comes within the grace is still called back.
        await asyncio.gather(self._jobs.stop(GRACE_SECONDS), self._batch.stop(GRACE_SECONDS))
        await self._deliveries.claim_once()
        await self._deliveries.stop(LAST_CALLBACKS_SECONDS)

    def _drop(self, job_id: str) -> None:
        self._jobs.drop(job_id)
        self._batch.drop(job_id)

    async def _sweep_forever(self) -> None:
        while True:
            try:
                moved = await self._sweep.sweep()
            except Exception:  # noqa: BLE001 - without sweeps, no lost lease would ever be taken back
                self._log.exception("sweep_broke")
                moved = 0
            if not moved:
                await asyncio.sleep(self._sweep.pause)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("engine_loop_broke", error=repr(error))
            if self._broke is not None:
                self._broke()

    def _pool(self, topic: Topic) -> WorkerPool[Claimed[Any]] | WorkerPool[ClaimedDelivery]:
        match topic:
            case Topic.JOBS:
                return self._jobs
            case Topic.DELIVERIES:
                return self._deliveries
            case _:
                assert_never(topic)
