"""Keeps the leases of running claims, and cancels a run whose row another worker may take."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic

from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.instruments import Instruments
from answerback.queue.leased_queue import C, LeasedQueue

OUTAGE_RETRY_SECONDS = 1.0
"""The longest pause between two tries to extend leases while the database is away."""
EXTEND_BATCH = 200


@dataclass(slots=True)
class Run(Generic[C]):
    """A claim that runs in this process.

    `leased_until` is in seconds of the monotonic clock, counted from before the database granted the lease: this
    process ends the run no later than the database ends the lease.
    """

    claim: C
    task: "asyncio.Task[None]"
    leased_until: float
    started_at: float
    refused: bool = False
    """An extension found the row ended, or leased by another worker."""

    def cancel(self) -> None:
        """Cancels after the first step: a task that never began skips its `finally`, and its delivery's place at the
        origin stays taken."""
        self.task.get_loop().call_soon(self.task.cancel)


class LeaseKeeper(Generic[C]):
    """Extends each lease four times before it would end.

    A run is cancelled when an extension is refused, or shortly before its lease ends by the monotonic clock, because
    another worker may claim the row then. A run that outlasts outages is not cancelled while the database is away, or
    because this process stood still: most likely every worker did, a worker that did not has fenced what is still
    written for the older claim, and the next extension says so.
    """

    def __init__(
        self, queue: LeasedQueue[C], runs: Mapping[str, Run[C]], lease_seconds: float, instruments: Instruments
    ) -> None:
        self._queue = queue
        self._runs = runs
        self._lease_seconds = lease_seconds
        self._clock = instruments.clock
        self._log = instruments.log
        self._away = self._broke = False

    async def run_forever(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._extend_forever(group))
            # A loop of its own: an extension that waits for a locked database must not delay it.
            group.create_task(self._cancel_overdue_forever())

    async def _extend_forever(self, group: asyncio.TaskGroup) -> None:
        interval = self._lease_seconds / 4
        while True:
            await asyncio.sleep(min(OUTAGE_RETRY_SECONDS, interval / 4) if self._away else interval)
            refused = await self._extend_due(self._clock.monotonic() + self._lease_seconds - interval / 2)
            # Beside this loop, so that the next heartbeat is not late.
            group.create_task(self._cancel_refused(refused))

    async def _extend_due(self, horizon: float) -> list[Run[C]]:
        """Extends the leases that end before `horizon`; returns the claims whose extension was refused."""
        due = [run for run in self._runs.values() if run.leased_until <= horizon and not run.refused]
        refused: list[Run[C]] = []
        for start in range(0, len(due), EXTEND_BATCH):
            batch = due[start : start + EXTEND_BATCH]
            if not await self._extend(batch):
                # Each of the other batches would wait as long for the same database, past the next heartbeat.
                return refused
            refused += [run for run in batch if run.refused]
        # Only after the last batch: until then, overdue claims in it must not be cancelled.
        self._has_come_back()
        return refused

    def _has_come_back(self) -> None:
        if self._away:
            self._log.info("heartbeat_resumed", pool=self._queue.name)
        self._away = False

    async def _extend(self, batch: Sequence[Run[C]]) -> bool:
        """Whether the database answered."""
        leased_until = self._clock.monotonic() + self._lease_seconds
        try:
            extended = await self._queue.extend([(run.claim.id, run.claim.epoch) for run in batch])
        except StorageUnavailable as error:
            if not self._away:
                self._log.warning("heartbeat_missed", pool=self._queue.name, rows=len(batch), reason=str(error))
            self._away, self._broke = True, False
            return False
        except Exception:  # noqa: BLE001 - without heartbeats the pool would lose every row that it holds
            self._has_come_back()
            self._broke = True
            self._log.exception("heartbeat_broke", pool=self._queue.name, rows=len(batch))
            return False
        self._broke = False
        for run in batch:
            if run.claim.id in extended:
                run.leased_until = leased_until
            else:
                run.refused = True
        return True

    async def _cancel_refused(self, refused: Sequence[Run[C]]) -> None:
        running = {run.task for run in refused if not run.task.done()}
        if running:
            # The row may have been ended by this very run, and the refusal have overtaken the answer to that write.
            _, running = await asyncio.wait(running, timeout=self._lease_seconds / 16)
        cancelled = [run for run in refused if run.task in running]
        for run in cancelled:
            run.cancel()
        if running:
            await asyncio.wait(running)
        for run in cancelled:
            # A run that was storing its outcome has ended uncancelled: the outcome's own line says what became of it.
            if run.task.cancelled():
                self._log.warning("lease_lost", pool=self._queue.name, id=run.claim.id)

    async def _cancel_overdue_forever(self) -> None:
        step = self._lease_seconds / 16
        while True:
            await asyncio.sleep(step)
            self.cancel_overdue(self._clock.monotonic() + 2 * step)

    def cancel_overdue(self, horizon: float) -> None:
        """Cancels the runs whose leases end before `horizon`."""
        if self._queue.outlasts_outages and not self._broke:
            return
        for run in list(self._runs.values()):
            if run.leased_until <= horizon and not run.refused and not run.task.cancelling():
                self._log.warning("lease_not_kept", pool=self._queue.name, id=run.claim.id)
                run.cancel()
