"""Group commit over a network: operations of one kind that have queued go batched in one transaction.

Nobody waits for company: what is there when a connection is free goes, so a lone operation commits at once and a crowd
shares the round trips and the flush of one commit.
"""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeVar

from answerback.database.batching import batched, sequential
from answerback.database.operation import MAX_GROUP, MAX_GROUP_BYTES, BatchPlan, Begin, Operation, Transaction
from answerback.database.postgres.connections import CLOSE_SECONDS, POOL_SIZE, Connections, Locked, is_conflict
from answerback.database.postgres.driving import Driver
from answerback.kernel.errors import StorageUnavailable

T = TypeVar("T")

TRIES = 5
"""How often an operation that meets a conflict is tried by itself."""

WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED"
READ = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
"""One snapshot, so that what an owner sees of a job fits together."""

# Set for each transaction and gone with it, since behind a pooler the session is somebody else's too.
SETTINGS = {
    # Whatever the server's default: a commit is on its disk.
    "synchronous_commit": "on",
    # A statement that hangs, or a transaction whose client has vanished, gives its locks back by itself.
    "statement_timeout": "10s",
    "idle_in_transaction_session_timeout": "20s",
    # One that vanished in the middle of a batch is neither: its server process waits for the rest, locks and all, until
    # the server's kernel misses it, which by its own defaults takes hours.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_user_timeout": "20s",
    # Every statement walks along an index made for it, and stops early. The planner must not take a table that was
    # empty a moment ago for one that is cheaper read whole; nor plan each time anew, nor compile for longer than it
    # then runs.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}


def _open(lock_timeout: str) -> str:
    settings = {**SETTINGS, "lock_timeout": lock_timeout}
    chosen = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())
    return f"SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint, {chosen}"  # noqa: S608 (ours, all of it)


ALONE = _open("0")
HASTY = _open("500ms")
"""For a group: what one of them waits for must not hold up those who came along."""
PATIENT = _open("5s")
"""For those who then waited in vain once more, by themselves."""
APART_SECONDS = 5.0
"""How long they wait for their turn, both times together; whoever has none by then tries again later."""
APART_AT_ONCE = POOL_SIZE // 2
"""How many of those parted from their group run at a time, so that others find a connection."""

Way: TypeAlias = Callable[[Iterable[Operation[Any]]], Operation[list[Any]]]


@dataclass(slots=True)
class _Entry:
    begin: Begin[Any]
    future: "asyncio.Future[Any]"
    carries: int

    def settle(self, result: object) -> None:
        if self.future.done():
            return
        if isinstance(result, Exception):
            self.future.set_exception(result)
        else:
            self.future.set_result(result)


def _begin_all(way: Way, entries: Sequence[_Entry], transaction: Transaction) -> Operation[list[Any]]:
    return way(entry.begin(transaction) for entry in entries)


def _next_group(queue: deque[_Entry]) -> list[_Entry]:
    group: list[_Entry] = []
    carried = 0
    while queue and len(group) < MAX_GROUP and carried < MAX_GROUP_BYTES:
        group.append(queue.popleft())
        carried += group[-1].carries
    return group


class PostgresRunner:
    """Implements `Runner`. `now` replaces the server's clock (epoch milliseconds); `committed` is called with each
    transaction that committed."""

    def __init__(
        self,
        connections: Connections,
        begin: str,
        now: Callable[[], int] | None = None,
        committed: Callable[[Transaction], None] | None = None,
    ) -> None:
        self._connections = connections
        self._begin = begin
        self._now = now
        self._committed = committed
        self._driver = Driver()
        self._queues: defaultdict[BatchPlan, deque[_Entry]] = defaultdict(deque)
        self._serving: set[BatchPlan] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._apart = asyncio.Semaphore(APART_AT_ONCE)
        self._waiting: set[asyncio.Future[Any]] = set()
        self._ended = 0
        self._closed = False

    async def run(self, begin: Begin[T], together: BatchPlan | None = None, carries: int = 0) -> T:
        """The operation's result, after its transaction has committed. Cancelling the caller does not stop it.

        Raises what the operation raised, and StorageUnavailable when the database cannot serve it now.
        """
        if self._closed:
            raise StorageUnavailable("the database is closed")
        entry = _Entry(begin, asyncio.get_running_loop().create_future(), carries)
        self._waiting.add(entry.future)
        entry.future.add_done_callback(self._waiting.discard)
        if together is None:
            self._spawn(self._serve_alone(entry, ALONE))
        else:
            self._queues[together].append(entry)
            if together not in self._serving:
                self._serving.add(together)
                self._spawn(self._serve_queue(together))
        result: T = await entry.future
        return result

    async def close(self) -> None:
        """Finishes what has queued, as long as the server answers, then closes the connections."""
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

    async def _serve_queue(self, together: BatchPlan) -> None:
        queue = self._queues[together]
        try:
            while queue:
                await self._serve(_next_group(queue), together)
        finally:
            self._serving.discard(together)

    async def _serve(self, entries: Sequence[_Entry], together: BatchPlan) -> None:
        """Abreast; where two of them meet or one breaks, in turn; and if that breaks too, or somebody else holds what
        one of them needs, each by itself."""
        ways: Sequence[Way] = (partial(batched, together=together), sequential)
        for way in ways if len(entries) > 1 else ():
            try:
                results = await self._transact(partial(_begin_all, way, entries), HASTY)
            except Locked:
                break
            except StorageUnavailable as error:
                results = [error] * len(entries)
            except Exception:  # noqa: BLE001, S112 - whose it is shows when each runs by itself
                continue
            for entry, result in zip(entries, results, strict=True):
                entry.settle(result)
            return
        if len(entries) == 1:
            # Awaited, so that those who come meanwhile go together.
            with contextlib.suppress(Locked):
                await self._serve_alone(entries[0], HASTY)
                return
        for entry in entries:
            self._spawn(self._serve_apart(entry))

    async def _serve_apart(self, entry: _Entry) -> None:
        give_up_at = asyncio.get_running_loop().time() + APART_SECONDS
        try:
            try:
                async with self._place_apart(give_up_at):
                    await self._serve_alone(entry, HASTY)
            except Locked:
                # Behind those who wait for nobody.
                async with self._place_apart(give_up_at):
                    await self._serve_alone(entry, PATIENT)
        except Locked as error:
            entry.settle(error)

    @contextlib.asynccontextmanager
    async def _place_apart(self, give_up_at: float) -> AsyncIterator[None]:
        """Raises Locked where none becomes free: as many as there are wait for locks themselves."""
        try:
            async with asyncio.timeout_at(give_up_at):
                await self._apart.acquire()
        except TimeoutError:
            raise Locked("PostgreSQL: too many wait for locks that others hold; try again soon") from None
        try:
            yield
        finally:
            self._apart.release()

    async def _serve_alone(self, entry: _Entry, opening: str) -> None:
        """Settles the entry. Raises Locked where it was `HASTY`."""
        for last in (False,) * (TRIES - 1) + (True,):
            try:
                entry.settle(await self._transact(entry.begin, opening))
            except Exception as error:
                if isinstance(error, Locked) and opening is HASTY:
                    raise
                if is_conflict(error) and not last:
                    continue
                entry.settle(error)
            return

    async def _transact(self, begin: Begin[T], opening: str) -> T:
        async def work(connection: Any) -> tuple[Transaction, T]:
            servers = (await connection.fetchrow(opening))[0]
            now = servers if self._now is None else self._now()
            transaction = Transaction(now, wall=now)
            return transaction, await self._driver.run(connection, begin(transaction))

        transaction, result = await self._connections.transaction(self._begin, work)
        if self._committed is not None:
            self._committed(transaction)
        self._ended += 1
        return result
