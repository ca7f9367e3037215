"""Group commit for PostgreSQL: operations of one plan that have queued run batched in one transaction.

No operation waits for others to come: a group takes those that queued while two groups of the plan ran. So a lone one
commits at once, and a hundred share the round trips and the flush of one commit. Tenants take turns: in groups, and for
the connections in which operations without a plan run.
"""

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeVar

from answerback.database.batching import UnplannedStatement, batched, sequential
from answerback.database.operation import (
    MAX_GROUP,
    MAX_GROUP_BYTES,
    SERVICE,
    BatchPlan,
    Begin,
    Committed,
    Operation,
    Transaction,
)
from answerback.database.postgres.clock import ClockStepped, PostgresClock
from answerback.database.postgres.connections import (
    CLOSE_SECONDS,
    POOL_SIZE,
    SLOT_SECONDS,
    Connections,
    Locked,
    is_conflict,
)
from answerback.database.postgres.driver import Driver
from answerback.database.postgres.session import LONG_LOCK_TIMEOUT, NO_LOCK_TIMEOUT, SHORT_LOCK_TIMEOUT
from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.round_robin import RoundRobin
from answerback.kernel.telemetry import Fallback, Metrics

T = TypeVar("T")

GROUPS_AT_ONCE = 2
"""Of one plan: while the server works on one group, this process prepares the other. More would make groups small."""
TRIES = 5
"""How often an operation that conflicts is run in a transaction of its own, and one whose server's clock was set."""

SEPARATE_SECONDS = 5.0
"""How long an operation that left its group waits for a place to run in, both tries together."""
SEPARATE_PLACES = POOL_SIZE // 2
"""How many of those run at a time, so that other operations find a connection."""

RunAll: TypeAlias = Callable[[Iterable[Operation[Any]]], Operation[list[Any]]]


@dataclass(slots=True, eq=False)
class _Entry:
    tenant_id: str
    begin: Begin[Any]
    future: "asyncio.Future[Any]"
    payload_bytes: int

    def settle(self, result: object) -> None:
        if self.future.done():
            return
        if isinstance(result, Exception):
            self.future.set_exception(result)
        else:
            self.future.set_result(result)


def _begin_all(run_all: RunAll, entries: Sequence[_Entry], transaction: Transaction) -> Operation[list[Any]]:
    return run_all(entry.begin(transaction) for entry in entries)


def _next_group(queue: RoundRobin[_Entry]) -> list[_Entry]:
    group: list[_Entry] = []
    payload_bytes = 0
    while len(group) < MAX_GROUP and payload_bytes < MAX_GROUP_BYTES and (turn := queue.take()) is not None:
        group.append(turn[1])
        payload_bytes += turn[1].payload_bytes
    return group


class PostgresRunner:
    """Implements `Runner`."""

    def __init__(
        self,
        connections: Connections,
        begin: str,
        clock: PostgresClock,
        metrics: Metrics,
        committed: Committed | None = None,
    ) -> None:
        self._connections = connections
        self._begin = begin
        self._clock = clock
        self._committed = committed
        self._metrics = metrics
        self._driver = Driver()
        self._queues: defaultdict[BatchPlan, RoundRobin[_Entry]] = defaultdict(RoundRobin)
        self._serving: Counter[BatchPlan] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._separate = asyncio.Semaphore(SEPARATE_PLACES)
        self._waiting: set[asyncio.Future[Any]] = set()
        self._ended = 0
        self._closed = False

    async def run(
        self, begin: Begin[T], plan: BatchPlan | None = None, payload_bytes: int = 0, tenant_id: str = SERVICE
    ) -> T:
        """As `Runner.run`. Cancelling the caller does not stop the operation."""
        if self._closed:
            raise StorageUnavailable("the database is closed")
        entry = _Entry(tenant_id, begin, asyncio.get_running_loop().create_future(), payload_bytes)
        self._waiting.add(entry.future)
        entry.future.add_done_callback(self._waiting.discard)
        if plan is None:
            self._spawn(self._run_in_turn(entry))
        else:
            self._queues[plan].add(tenant_id, entry)
            if self._serving[plan] < GROUPS_AT_ONCE:
                self._serving[plan] += 1
                self._spawn(self._serve_queue(plan))
        result: T = await entry.future
        return result

    async def close(self) -> None:
        """Finishes the operations that have queued, as long as the server answers, then closes the connections."""
        self._closed = True
        while self._tasks:
            before = self._ended
            await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)
            if self._ended == before:
                await self._give_up()
        await self._connections.close()

    async def _give_up(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for future in list(self._waiting):
            future.set_exception(StorageUnavailable("the database was closed before it answered"))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve_queue(self, plan: BatchPlan) -> None:
        queue = self._queues[plan]
        try:
            while queue:
                await self._serve(_next_group(queue), plan)
        finally:
            self._serving[plan] -= 1

    async def _serve(self, entries: Sequence[_Entry], plan: BatchPlan) -> None:
        if len(entries) == 1:
            # Awaited, so that operations that come meanwhile form groups.
            with contextlib.suppress(Locked):
                await self._run_alone(entries[0], SHORT_LOCK_TIMEOUT)
                return
        elif await self._run_together(entries, plan):
            return
        for entry in entries:
            self._spawn(self._run_separately(entry))

    async def _run_together(self, entries: Sequence[_Entry], plan: BatchPlan) -> bool:
        """Batched, then sequentially on a conflict or error. False if both failed or a lock was held: no entry has its
        result yet."""
        ways: Sequence[tuple[RunAll, Fallback]] = (
            (partial(batched, plan=plan), Fallback.SEQUENTIAL),
            (sequential, Fallback.ALONE),
        )
        for run_all, fallback in ways:
            try:
                results = await self._transact(partial(_begin_all, run_all, entries), SHORT_LOCK_TIMEOUT)
            except Locked:
                self._metrics.fell_back(plan.name, Fallback.ALONE)
                return False
            except StorageUnavailable as error:
                results = [error] * len(entries)
            except UnplannedStatement:
                self._metrics.fell_back(plan.name, Fallback.UNPLANNED_STATEMENT)
                continue
            except Exception:  # noqa: BLE001 - running each alone shows which one failed
                self._metrics.fell_back(plan.name, fallback)
                continue
            for entry, result in zip(entries, results, strict=True):
                entry.settle(result)
            return True
        return False

    async def _run_in_turn(self, entry: _Entry) -> None:
        if entry.tenant_id == SERVICE:
            await self._run_alone(entry, NO_LOCK_TIMEOUT)
            return
        try:
            await self._connections.turns.wait(entry.tenant_id, SLOT_SECONDS)
        except TimeoutError:
            entry.settle(StorageUnavailable("PostgreSQL: every connection is busy"))
            return
        try:
            await self._run_alone(entry, NO_LOCK_TIMEOUT)
        finally:
            self._connections.turns.give(entry.tenant_id)

    async def _run_separately(self, entry: _Entry) -> None:
        give_up_at = asyncio.get_running_loop().time() + SEPARATE_SECONDS
        try:
            try:
                async with self._separate_place(give_up_at):
                    await self._run_alone(entry, SHORT_LOCK_TIMEOUT)
            except Locked:
                # Queues again, behind operations that may not need the lock.
                async with self._separate_place(give_up_at):
                    await self._run_alone(entry, LONG_LOCK_TIMEOUT)
        except Locked as error:
            entry.settle(error)

    @contextlib.asynccontextmanager
    async def _separate_place(self, give_up_at: float) -> AsyncIterator[None]:
        """Raises Locked if no place becomes free: the operations in all places then wait for locks."""
        try:
            async with asyncio.timeout_at(give_up_at):
                await self._separate.acquire()
        except TimeoutError:
            raise Locked("PostgreSQL: too many operations wait for locks; try again soon") from None
        try:
            yield
        finally:
            self._separate.release()

    async def _run_alone(self, entry: _Entry, settings: str) -> None:
        """Settles the entry. With `SHORT_LOCK_TIMEOUT` it raises Locked instead of settling the entry with it."""
        for last in (False,) * (TRIES - 1) + (True,):
            try:
                entry.settle(await self._transact(entry.begin, settings))
            except Exception as error:
                if isinstance(error, Locked) and settings is SHORT_LOCK_TIMEOUT:
                    raise
                if is_conflict(error) and not last:
                    continue
                entry.settle(error)
            return

    async def _transact(self, begin: Begin[T], settings: str) -> T:
        async def work(connection: Any) -> tuple[Transaction, T]:
            began = self._clock.began()
            transaction = self._clock.transaction(began, (await connection.fetchrow(settings))[0])
            return transaction, await self._driver.run(connection, begin(transaction))

        for _ in range(TRIES):
            try:
                transaction, result = await self._connections.transaction(self._begin, work)
                break
            except ClockStepped:
                await self._clock.follow(self._connections)
        else:
            raise StorageUnavailable("the database's clock jumps: do several servers answer at its address?")
        if self._clock.must_be_seen(transaction):
            self._spawn(self._store_time())
        if self._committed is not None:
            self._committed(transaction)
        self._ended += 1
        return result

    async def _store_time(self) -> None:
        with contextlib.suppress(StorageUnavailable):
            await self._clock.see(self._connections)
