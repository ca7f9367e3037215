"""Operations without I/O: generators that yield statements and receive rows.

An operation is written once; the runner that drives it decides how statements reach a database and which operations
share a transaction: SQLite's is `sqlite/group_commit.py`, PostgreSQL's `postgres/runner.py`.
"""

import asyncio
import collections
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, TypeVar

from answerback.database.statement import Query, Rows, Statement
from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.telemetry import JobEnd

T = TypeVar("T")
Operation: TypeAlias = Generator[Query, Rows, T]


@dataclass(slots=True)
class Transaction:
    """What the operations of one transaction share. Times are epoch milliseconds.

    `now` is the scheduling clock's, which no step of the wall clock moves: it decides what is due, when a lease ends
    and when a deadline has passed. `wall` is the wall clock's, for times that are shown. `opened` counts the jobs that
    the transaction opened, less those that it ended, by tenant; `ended` are the ends of jobs.
    """

    now: int
    wall: int
    opened: collections.Counter[str] = field(default_factory=collections.Counter)
    ended: list[JobEnd] = field(default_factory=list)

    def shown_before(self, age_ms: int) -> int:
        """Which shown times are older than that: by both clocks, since one may have been set forward in between."""
        return min(self.now, self.wall) - age_ms

    @property
    def wall_ahead(self) -> int:
        """Milliseconds from the scheduling clock to the wall clock, rounded to seconds: the two are not read at the
        same moment, and a time that is shown twice must be the same."""
        return round(self.wall - self.now, -3)


Begin: TypeAlias = Callable[[Transaction], Operation[T]]
Committed: TypeAlias = Callable[[Transaction], None]
"""Called with each transaction that committed."""


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """Operations of one kind, which may share a transaction and run batched: all the statements that they may yield, in
    the order in which they yield them. `name` labels metrics."""

    steps: tuple[Statement, ...]
    name: str


MAX_GROUP = 256
"""How many operations share a transaction at most."""
MAX_GROUP_BYTES = 8 * 1024 * 1024
"""A group is closed when its payloads reach this size: a transaction must end within seconds, and holds locks."""


SERVICE = ""
"""Stands for the tenant of operations that are nobody's: maintenance, keys, claims."""


class Runner(Protocol):
    """Drives operations against a database, in transactions of its own making."""

    async def run(
        self, begin: Begin[T], plan: BatchPlan | None = None, payload_bytes: int = 0, tenant_id: str = SERVICE
    ) -> T:
        """The operation's result, after its transaction has committed. Operations with the same `plan` may share a
        transaction; `payload_bytes` is about how much this one writes. Operations that wait for each other take turns
        between tenants.

        Raises StorageUnavailable, and what the operation raises.
        """

    async def close(self) -> None: ...


class CountedFailures:
    """Implements `Runner` around another: counts the operations that could not be served."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.failures = 0

    async def run(
        self, begin: Begin[T], plan: BatchPlan | None = None, payload_bytes: int = 0, tenant_id: str = SERVICE
    ) -> T:
        try:
            return await self.runner.run(begin, plan, payload_bytes, tenant_id)
        except StorageUnavailable:
            self.failures += 1
            raise

    async def close(self) -> None:
        await self.runner.close()


class Database:
    """The database's sides: `write` commits operations, `read` serves them from a snapshot, and so does `count` where
    reading takes long: it delays no other read. Every method of a room's store is one transaction, and raises
    StorageUnavailable when the database cannot serve it now."""

    def __init__(self, write: Runner, read: Runner, count: Runner) -> None:
        self.write = CountedFailures(write)
        self.read = read
        self.count = count

    async def close(self) -> None:
        """Ends what is under way, then closes the connections."""
        await asyncio.gather(*(side.close() for side in {self.write.runner, self.read, self.count}))
