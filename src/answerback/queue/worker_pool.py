"""A pool: claims rows of one kind, runs each in a task, keeps their leases alive, gives back what is unfinished."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from answerback.kernel.clock import Clock
from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.log import Log

LOCKED_SECONDS = 0.05
"""How long a pool waits for a row that is due and that somebody else has locked."""
AWAY_SECONDS = 1.0
"""How long it waits at most before it tries again to extend, while the database is away."""
CLAIM_BATCH = 100
EXTEND_BATCH = 200
POLL_SECONDS = 1.0
RELEASE_SECONDS = 1.5


class Claim(Protocol):
    """What a pool needs to know of a claimed row."""

    @property
    def id(self) -> str: ...

    @property
    def epoch(self) -> int: ...


C = TypeVar("C", bound=Claim)


@dataclass(frozen=True, slots=True)
class Rows(Generic[C]):
    """How a pool reaches its kind of row. `claim` takes a limit and returns the claims and in how many seconds the next
    row is due; `extend` returns the ids still held; `release` takes `(id, epoch, seconds until due)`. `outlasts`: a run
    is paid for, and goes on past its lease while nothing but an absent database keeps the lease from being extended."""

    claim: Callable[[int], Awaitable[tuple[Sequence[C], float | None]]]
    run: Callable[[C], Awaitable[None]]
    extend: Callable[[Sequence[tuple[str, int]]], Awaitable[set[str]]]
    release: Callable[[Sequence[tuple[str, int, float]]], Awaitable[None]]
    outlasts: bool


@dataclass(slots=True)
class _Held(Generic[C]):
    claim: C
    task: "asyncio.Task[None]"
    trusted_until: float
    refused: bool = False
    """An extension found it somebody else's, or ended."""


class WorkerPool(Generic[C]):
    """Runs up to `capacity` claims at once. `ready` is set by whoever knows of a due row.

    A claim's task is cancelled when its row was taken by somebody else, or shortly before its lease would run out by
    this process's monotonic clock, since then somebody else may take it. One that `outlasts` an absent database is not:
    most likely it is away for everybody, and where others do reach it, they have fenced what is still written here.
    """

    def __init__(
        self,
        name: str,
        rows: Rows[C],
        ready: asyncio.Event,
        capacity: int,
        lease_seconds: float,
        clock: Clock,
        log: Log,
    ) -> None:
        self._name = name
        self._rows = rows
        self._ready = ready
        self._capacity = capacity
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._log = log
        self._held: dict[str, _Held[C]] = {}
        self._room = asyncio.Event()
        self._room.set()
        self._stopping = False
        self._away = False

    @property
    def in_flight(self) -> int:
        return len(self._held)

    @property
    def full(self) -> bool:
        return len(self._held) >= self._capacity

    async def room(self) -> None:
        """Returns when there is room for another claim, or nothing more will be claimed."""
        await self._room.wait()

    async def claim_forever(self) -> None:
        """Claims whatever is due, as notifications and the poll find it, until `stop`."""
        while not self._stopping:
            # Cleared before the claim: a hint that comes during it must not be lost.
            self._ready.clear()
            wait = await self.claim_once()
            if wait > 0 and not self._stopping:
                await _wait(self._ready, wait)

    async def claim_once(self) -> float:
        """Starts a batch of what is due and there is room for; returns the seconds until the next look."""
        free = self._capacity - len(self._held)
        return await self._claim(min(free, CLAIM_BATCH)) if free > 0 else POLL_SECONDS

    async def _claim(self, limit: int) -> float:
        """Starts what it claims; returns the seconds until the next look."""
        trusted_until = self._clock.monotonic() + self._lease_seconds
        try:
            claims, next_in = await self._rows.claim(limit)
        except StorageUnavailable as error:
            self._log.warning("claim_postponed", pool=self._name, reason=str(error))
            return POLL_SECONDS
        except Exception:  # noqa: BLE001 - a row that cannot be read must not end the pool
            self._log.exception("claim_broke", pool=self._name)
            return POLL_SECONDS
        if self._stopping:
            await self._give_back(claims)
            return POLL_SECONDS
        for claim in claims:
            self._start(claim, trusted_until)
        if next_in == 0 and not claims:
            return LOCKED_SECONDS
        return POLL_SECONDS if next_in is None else min(POLL_SECONDS, next_in)

    def _start(self, claim: C, trusted_until: float) -> None:
        if (older := self._held.get(claim.id)) is not None:
            # Its lease ran out unnoticed, as after a stall of the whole process.
            older.task.cancel()
        task = asyncio.ensure_future(self._rows.run(claim))
        held = self._held[claim.id] = _Held(claim, task, trusted_until)
        task.add_done_callback(lambda _: self._ended(held))
        if self.full:
            self._room.clear()

    def _ended(self, held: _Held[C]) -> None:
        if self._held.get(held.claim.id) is held:
            del self._held[held.claim.id]
        if len(self._held) + 1 >= self._capacity:
            self._ready.set()
            self._room.set()
        if not held.task.cancelled() and (error := held.task.exception()) is not None:
            # The row stays leased until its lease runs out; three such losses poison it.
            self._log.error("attempt_broke", pool=self._name, id=held.claim.id, error=repr(error))

    def drop(self, row_id: str) -> None:
        """Stops a claim that its owner no longer wants answered."""
        if (held := self._held.get(row_id)) is not None:
            held.task.cancel()

    async def keep_leases_forever(self) -> None:
        """Extends leases four times per lease, oftener while the database is away, and cancels what is no longer this
        process's to finish."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._extend_forever(group))
            group.create_task(self._cancel_overdue_forever())

    async def _extend_forever(self, group: asyncio.TaskGroup) -> None:
        interval = self._lease_seconds / 4
        while True:
            await asyncio.sleep(min(AWAY_SECONDS, interval / 4) if self._away else interval)
            soon = self._clock.monotonic() + self._lease_seconds - interval / 2
            due = [held for held in self._held.values() if held.trusted_until <= soon and not held.refused]
            refused: list[_Held[C]] = []
            for start in range(0, len(due), EXTEND_BATCH):
                batch = due[start : start + EXTEND_BATCH]
                if not await self._extend(batch):
                    # The other batches would each wait as long for the same database, past the next beat.
                    break
                refused += [held for held in batch if held.refused]
            else:
                # Not with the first batch: what is overdue in the others must not be cancelled meanwhile.
                self._away = False
            # Beside it, so that the next beat is not late.
            group.create_task(self._cancel_lost(refused))

    async def _cancel_overdue_forever(self) -> None:
        # A loop of its own: an extension that waits for a locked database must not delay it.
        step = self._lease_seconds / 16
        while True:
            await asyncio.sleep(step)
            self._cancel_overdue(self._clock.monotonic() + 2 * step)

    async def _extend(self, due: Sequence[_Held[C]]) -> bool:
        """Whether the database took it."""
        trusted_until = self._clock.monotonic() + self._lease_seconds
        try:
            kept = await self._rows.extend([(held.claim.id, held.claim.epoch) for held in due])
        except StorageUnavailable as error:
            self._away = True
            self._log.warning("heartbeat_missed", pool=self._name, rows=len(due), reason=str(error))
            return False
        except Exception:  # noqa: BLE001 - a pool without heartbeats would lose everything it holds
            self._away = False
            self._log.exception("heartbeat_broke", pool=self._name, rows=len(due))
            return False
        for held in due:
            if held.claim.id in kept:
                held.trusted_until = trusted_until
            else:
                held.refused = True
        return True

    async def _cancel_lost(self, refused: Sequence[_Held[C]]) -> None:
        running = {held.task for held in refused if not held.task.done()}
        if running:
            # The refusal may have overtaken the answer to the write that ended the row: that is no loss.
            _, running = await asyncio.wait(running, timeout=self._lease_seconds / 16)
        for held in refused:
            if held.task in running:
                self._log.warning("lease_lost", pool=self._name, id=held.claim.id)
                held.task.cancel()

    def _cancel_overdue(self, horizon: float) -> None:
        if self._away and self._rows.outlasts:
            return
        for held in list(self._held.values()):
            if held.trusted_until <= horizon and not held.refused and not held.task.cancelling():
                self._log.warning("lease_not_kept", pool=self._name, id=held.claim.id)
                held.task.cancel()

    async def stop(self, grace_seconds: float) -> None:
        """Lets what is in flight end within the grace, then cancels the rest and gives its attempts back."""
        self._stopping = True
        self._ready.set()
        self._room.set()
        tasks = [held.task for held in self._held.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=grace_seconds)
        unfinished = [held for held in self._held.values() if not held.task.done()]
        for held in unfinished:
            held.task.cancel()
        await asyncio.gather(*(held.task for held in unfinished), return_exceptions=True)
        await self._give_back([held.claim for held in unfinished])

    async def _give_back(self, claims: Sequence[C]) -> None:
        if not claims:
            return
        given_back = [(claim.id, claim.epoch, 0.0) for claim in claims]
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._rows.release(given_back)
            self._log.info("given_back", pool=self._name, rows=len(given_back))
        except (StorageUnavailable, TimeoutError) as error:
            self._log.warning("not_given_back", pool=self._name, rows=len(given_back), reason=str(error))
        except Exception:  # noqa: BLE001 - what is left to do when stopping must be done all the same
            self._log.exception("not_given_back", pool=self._name, rows=len(given_back))


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
