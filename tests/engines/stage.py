"""A pool on a stage: rows for it to claim, and a record of what it did with them."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from answerback.queue.worker_pool import Rows, WorkerPool
from builders import Journal, RealClock

SHORT = 0.16
"""A lease in seconds of real time, for stories about its end."""


@dataclass(frozen=True)
class Row:
    id: str
    epoch: int = 1


class Table:
    """Rows to claim, and what a pool did with them. A run lasts until `let_go` is set."""

    def __init__(self) -> None:
        self.due: list[Row] = []
        self.limits: list[int] = []
        self.running: set[str] = set()
        self.most = 0
        self.ended: list[str] = []
        self.cancelled: dict[str, float] = {}
        self.released: list[tuple[str, int, float]] = []
        self.let_go = asyncio.Event()
        self.changed = asyncio.Condition()
        self.extended: Callable[[set[str]], set[str]] = set
        self.extensions = 0
        self.trouble: Exception | None = None
        self.gate: asyncio.Event | None = None

    async def claim(self, limit: int) -> tuple[Sequence[Row], float | None]:
        self.limits.append(limit)
        if self.trouble is not None:
            trouble, self.trouble = self.trouble, None
            await self.tell()
            raise trouble
        claimed, self.due = self.due[:limit], self.due[limit:]
        next_in = 0.0 if self.due else None
        await self.tell()
        if self.gate is not None:
            await self.gate.wait()
        return claimed, next_in

    async def run(self, row: Row) -> None:
        if row.id.startswith("broken"):
            raise ZeroDivisionError("in run")
        self.running.add(row.id)
        self.most = max(self.most, len(self.running))
        await self.tell()
        try:
            await self.let_go.wait()
            self.ended.append(row.id)
        except asyncio.CancelledError:
            self.cancelled[row.id] = time.monotonic()
            raise
        finally:
            self.running.discard(row.id)
            await self.tell()

    async def extend(self, held: Sequence[tuple[str, int]]) -> set[str]:
        self.extensions += 1
        try:
            return self.extended({row_id for row_id, _ in held})
        finally:
            await self.tell()

    async def release(self, held: Sequence[tuple[str, int, float]]) -> None:
        self.released += held

    async def tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(condition)


class Stage:
    def __init__(self) -> None:
        self.table = Table()
        self.journal = Journal()
        self.ready = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    def start(self, capacity: int = 10, lease: float = 60.0, *, outlasts: bool = False) -> WorkerPool[Row]:
        table = self.table
        rows = Rows(table.claim, table.run, table.extend, table.release, outlasts)
        pool = WorkerPool("test", rows, self.ready, capacity, lease, RealClock(), self.journal)
        self.tasks += [asyncio.create_task(pool.claim_forever()), asyncio.create_task(pool.keep_leases_forever())]
        return pool
