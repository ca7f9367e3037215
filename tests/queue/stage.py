"""A worker pool over scripted rows, and a record of what it did with them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from answerback.kernel.instruments import Instruments
from answerback.kernel.shares import Shares
from answerback.queue.leased_queue import Claims
from answerback.queue.pace import Pace
from answerback.queue.spread import Spread
from answerback.queue.worker_pool import WorkerPool
from builders import Journal, RealClock

ALONE = 1_000_000.0
"""A factor at which one tenant takes every place."""
LEASE = 16.0
"""Seconds of a lease that ends during a test, whose time flies."""
PATIENCE = 60.0


@dataclass(frozen=True)
class Row:
    id: str
    epoch: int = 1
    tenant_id: str = "t"


class Table:
    """Rows to claim, and what a pool did with them. A run lasts until `let_go` is set; a claim waits for `claiming`."""

    name = "test"

    def __init__(self) -> None:
        self.outlasts_outages = False
        self.due: list[Row] = []
        self.limits: list[int] = []
        self.running: set[str] = set()
        self.most = 0
        self.ended: list[str] = []
        self.cancelled: dict[str, float] = {}
        self.released: list[tuple[str, int]] = []
        self.let_go = asyncio.Event()
        self.changed = asyncio.Condition()
        self.extended: Callable[[set[str]], set[str]] = set
        self.extensions = 0
        self.trouble: Exception | None = None
        self.claiming: asyncio.Event | None = None

    async def claim(self, limit: int, shares: Shares) -> Claims[Row]:
        self.limits.append(limit)
        if self.trouble is not None:
            trouble, self.trouble = self.trouble, None
            await self.announce()
            raise trouble
        claimed, self.due = self.due[:limit], self.due[limit:]
        next_in = 0.0 if self.due else None
        await self.announce()
        if self.claiming is not None:
            await self.claiming.wait()
        return Claims(claimed, next_in)

    async def run(self, row: Row) -> None:
        if row.id.startswith("broken"):
            raise ZeroDivisionError("in run")
        self.running.add(row.id)
        self.most = max(self.most, len(self.running))
        await self.announce()
        try:
            await self.let_go.wait()
            self.ended.append(row.id)
        except asyncio.CancelledError:
            self.cancelled[row.id] = asyncio.get_running_loop().time()
            raise
        finally:
            self.running.discard(row.id)
            await self.announce()

    async def extend(self, held: Sequence[tuple[str, int]]) -> set[str]:
        self.extensions += 1
        try:
            return self.extended({row_id for row_id, _ in held})
        finally:
            await self.announce()

    async def release(self, held: Sequence[tuple[str, int]]) -> None:
        self.released += held

    async def announce(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE), self.changed:
            await self.changed.wait_for(condition)


class LoopTime(RealClock):
    """Its monotonic time is the event loop's, which a test may set."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


class Stage:
    def __init__(self) -> None:
        self.table = Table()
        self.journal = Journal()
        self.instruments = Instruments(self.journal, LoopTime())
        self.ready = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    def start(
        self,
        capacity: int = 10,
        lease: float = 60.0,
        *,
        outlasts_outages: bool = False,
        pace: Pace | None = None,
        spread: Spread | None = None,
    ) -> WorkerPool[Row]:
        self.table.outlasts_outages = outlasts_outages
        shares = Shares(capacity, ALONE)
        pool = WorkerPool(self.table, self.ready, shares, lease, self.instruments, pace=pace, spread=spread)
        self.tasks += [asyncio.create_task(pool.claim_forever()), asyncio.create_task(pool.keep_leases_forever())]
        return pool
