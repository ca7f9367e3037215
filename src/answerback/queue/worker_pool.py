"""A worker pool: claims rows of one kind, runs each in a task, and gives back unfinished rows when it stops."""

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Generic

from answerback.kernel.current_request import no_request
from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.instruments import Instruments
from answerback.kernel.shares import Shares
from answerback.kernel.timed_wait import set_within
from answerback.queue.lease_keeper import LeaseKeeper, Run
from answerback.queue.leased_queue import C, Claims, LeasedQueue
from answerback.queue.pace import Pace
from answerback.queue.spread import TICK_SECONDS, Spread

POLL_SECONDS = 1.0
"""How often a pool looks for rows that no notification announced."""
LOCKED_SECONDS = 0.05
"""How long a pool waits for a due row that another transaction has locked."""
CLAIM_BATCH = 100
LATELY_SECONDS = 10.0
"""For how long after a row was started more of its kind are expected."""
RELEASE_SECONDS = 1.5
"""How long a stop waits for the database to take unfinished rows back."""


class WorkerPool(Generic[C]):
    """Runs claims, as many at once as `shares` has places. `ready` is set by a notifier when a row may be due; `left`
    is called when a run has left its place. `pace` bounds what a claim brings, `spread` what claims bring together."""

    def __init__(
        self,
        queue: LeasedQueue[C],
        ready: asyncio.Event,
        shares: Shares,
        lease_seconds: float,
        instruments: Instruments,
        left: Callable[[], None] | None = None,
        pace: Pace | None = None,
        spread: Spread | None = None,
    ) -> None:
        self._queue = queue
        self._ready = ready
        self._shares = shares
        self.lease_seconds = lease_seconds
        self._clock = instruments.clock
        self._log = instruments.log
        self._left = left
        self._pace = pace
        self._spread = spread
        self._runs: dict[str, Run[C]] = {}
        self._keeper = LeaseKeeper(queue, self._runs, lease_seconds, instruments)
        self._claiming = asyncio.Lock()
        self._room = asyncio.Event()
        self._room.set()
        self._held_back = False
        self._promised = 0
        """Places for the rows that a claim under way may bring."""
        self._begun = False
        self._stopping = self._postponed = False
        self._started_at = -math.inf

    @property
    def full(self) -> bool:
        """Whether it has no room, or none for a tenant whose rows wait."""
        return self._held_back or not self._shares.free

    def started_lately(self) -> bool:
        """Whether more rows are expected to start soon."""
        return self._clock.monotonic() - self._started_at < LATELY_SECONDS

    async def room(self) -> None:
        """Returns when there is room for another claim, or the pool stops."""
        await self._room.wait()

    async def claim_forever(self) -> None:
        """Claims due rows, when notified and at every poll, until `stop`."""
        self._begun = True
        while not self._stopping:
            # Before the claim: a notification that comes during it must lead to another claim.
            self._ready.clear()
            pause = await self.claim_once()
            if pause > 0 and not self._stopping:
                await set_within(self._ready, pause)

    async def keep_leases_forever(self) -> None:
        """Extends the leases of running claims, and cancels a run whose row another worker may take."""
        await self._keeper.run_forever()

    async def claim_once(self) -> float:
        """Claims and starts one batch, as far as there is room; returns the seconds until the next claim. A claim under
        way finishes first and starts its rows."""
        async with self._claiming:
            return await self._claim()

    async def _claim(self) -> float:
        limit = min(self._shares.free, CLAIM_BATCH)
        if limit <= 0:
            self._room.clear()
            return POLL_SECONDS
        if self._pace is not None and not (limit := min(limit, await self._pace.next())):
            return 0.0
        if self._spread is not None and not (limit := min(limit, self._spread.room())):
            return TICK_SECONDS
        leased_until = self.lease_end()
        self._promised = limit
        try:
            claims = await self._queue.claim(limit, self._shares.copy())
        except StorageUnavailable as error:
            if not self._postponed:
                self._log.warning("claim_postponed", pool=self._queue.name, reason=str(error))
            self._postponed = True
            return POLL_SECONDS
        except Exception:  # noqa: BLE001 - a row that cannot be read must not end the pool
            self._log.exception("claim_broke", pool=self._queue.name)
            return POLL_SECONDS
        finally:
            self._promised = 0
        if self._postponed:
            self._postponed = False
            self._log.info("claim_resumed", pool=self._queue.name)
        if self._stopping:
            await self._release(claims.rows)
            return POLL_SECONDS
        self._begin(claims, leased_until)
        if claims.next_in == 0 and not claims.rows:
            return LOCKED_SECONDS
        return POLL_SECONDS if claims.next_in is None else min(POLL_SECONDS, claims.next_in)

    def _begin(self, claims: Claims[C], leased_until: float) -> None:
        self._held_back = claims.held_back
        if self._spread is not None:
            self._spread.began(len(claims.rows))
        for claim in claims.rows:
            self._shares.take(claim.tenant_id)
            self._start(claim, leased_until)
        if self.full:
            self._room.clear()
        else:
            self._room.set()

    def lease_end(self) -> float:
        """When a lease that the database grants from now on ends at the earliest, in seconds of the monotonic clock."""
        return self._clock.monotonic() + self.lease_seconds

    def reserve(self, tenant_id: str) -> bool:
        """Takes a place for a row that is about to be inserted, to be followed by `adopt` or `give_back`. False: there
        is none for this tenant, or the pool does not claim."""
        if not self._begun or self._stopping or not self._shares.admits(tenant_id, self._promised):
            return False
        self._shares.take(tenant_id)
        return True

    def give_back(self, tenant_id: str) -> None:
        """The row did not need its place."""
        self._leave(tenant_id)

    async def adopt(self, claim: C, leased_until: float) -> None:
        """Runs a row that was born claimed, in the place that was taken for it."""
        if self._stopping:
            self._leave(claim.tenant_id)
            await self._release([claim])
        else:
            self._start(claim, leased_until)

    def _start(self, claim: C, leased_until: float) -> None:
        self._started_at = self._clock.monotonic()
        row_id = claim.id
        if (older := self._runs.get(row_id)) is not None:
            # The older claim's lease ended before this process noticed, as after a stall of the whole process.
            older.cancel()
        task = asyncio.create_task(self._queue.run(claim), context=no_request())
        run = self._runs[row_id] = Run(claim, task, leased_until, self._started_at)
        task.add_done_callback(lambda _: self._ended(run))

    def _ended(self, run: Run[C]) -> None:
        self._leave(run.claim.tenant_id)
        if self._spread is not None:
            self._spread.ended(self._clock.monotonic() - run.started_at)
        row_id = run.claim.id
        if self._runs.get(row_id) is run:
            del self._runs[row_id]
        if not run.task.cancelled() and (error := run.task.exception()) is not None:
            # The row stays leased until its lease ends, and counts as lost then.
            self._log.error("attempt_broke", pool=self._queue.name, id=row_id, error=repr(error))

    def _leave(self, tenant_id: str) -> None:
        was_full, self._held_back = self.full, False
        self._shares.give(tenant_id)
        if was_full and not self.full:
            self._ready.set()
            self._room.set()
        if self._left is not None:
            self._left()

    def may_have_room(self) -> None:
        """Another pool, which runs its rows in the same places, has left one."""
        if not self._room.is_set():
            self._ready.set()
            self._room.set()

    def drop(self, row_id: str) -> None:
        """Cancels the run of a row that its owner has cancelled."""
        if (run := self._runs.get(row_id)) is not None:
            run.cancel()

    async def stop(self, grace_seconds: float) -> None:
        """Claims no more, lets runs end within the grace, cancels the others and gives their rows back."""
        self._stopping = True
        self._ready.set()
        self._room.set()
        tasks = [run.task for run in self._runs.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=grace_seconds)
        unfinished = [run for run in self._runs.values() if not run.task.done()]
        for run in unfinished:
            run.cancel()
        await asyncio.gather(*(run.task for run in unfinished), return_exceptions=True)
        await self._release([run.claim for run in unfinished])

    async def _release(self, claims: Sequence[C]) -> None:
        if not claims:
            return
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._queue.release([(claim.id, claim.epoch) for claim in claims])
            self._log.info("given_back", pool=self._queue.name, rows=len(claims))
        except (StorageUnavailable, TimeoutError) as error:
            self._log.warning("not_given_back", pool=self._queue.name, rows=len(claims), reason=str(error))
        except Exception:  # noqa: BLE001 - the rest of the stop must go on
            self._log.exception("not_given_back", pool=self._queue.name, rows=len(claims))
