"""Operations without I/O: generators that yield statements and receive rows.

An operation is written once; the runner that drives it decides how statements reach a database and which operations
share a transaction. SQLite's is `answerback.database.group_commit`, PostgreSQL's `answerback.database.postgres.runner`.
"""

import asyncio
import collections
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.selectable import ReturnsRows

from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.telemetry import JobEnd

T = TypeVar("T")
Row: TypeAlias = Any
"""A named tuple: one field for each column that its statement returns, named like the column or its label."""
Rows: TypeAlias = Sequence[Row]
Parameters: TypeAlias = Mapping[str, Any]


class Statement:
    """A statement defined once in SQLAlchemy and compiled once per dialect. Calling it binds its parameters.

    `postgresql` replaces the clause there, where more than an expression differs (`Either`). `by` names the parameters
    that identify the rows it locks: a batch locks them in that order, in every transaction, so that no two deadlock.
    `only_locks`: its only effect are locks; its parameters are lists of what to lock, and it returns nothing. SQLite,
    which has one writer at a time, leaves it out.

    `key` names parameters too: PostgreSQL runs a batch as one statement if no two of it are alike in these, where None
    is like nothing. So each must change rows of its own, and may not depend on what the others change. An INSERT that
    returns anything then returns the `id` that it was given or, where the database makes that, its key.

    RETURNING, and an INSERT that selects its row, make SQLite build a table each time, which costs as much as the rest
    of a small statement. A clause without them stands beside that of PostgreSQL, which says what is returned. Either
    `read_back` selects that afterwards, if the clause changed a row; or `computed` selects it before, and the clause
    binds its columns by their names. With neither, SQLite returns an empty row for each that the clause changed.
    """

    def __init__(
        self,
        clause: ClauseElement,
        *,
        postgresql: ClauseElement | None = None,
        by: tuple[str, ...] = (),
        key: tuple[str, ...] = (),
        only_locks: bool = False,
        computed: ClauseElement | None = None,
        read_back: ClauseElement | None = None,
    ) -> None:
        self.clause = clause
        self.postgresql = clause if postgresql is None else postgresql
        self.by = by
        self.key = key
        self.only_locks = only_locks
        self.computed = computed
        self.read_back = read_back

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that it returns."""
        clause = self.postgresql
        return tuple(clause.exported_columns.keys()) if isinstance(clause, ReturnsRows) else ()

    def named(self, rows: Iterable[Iterable[Any]]) -> Rows:
        """The driver's rows as named tuples; none for a statement that returns nothing, even if the driver reports some
        (as the key of an inserted row)."""
        return list(map(self._row, rows)) if self.columns else ()

    @cached_property
    def _row(self) -> Callable[[Iterable[Any]], Row]:
        # Through `getattr`, since type checkers insist on fields that they can read in the source.
        row = getattr(collections, "namedtuple")("Row", self.columns, rename=True)  # noqa: B009
        make: Callable[[Iterable[Any]], Row] = row._make
        return make

    def __call__(self, **parameters: Any) -> "Query":
        return Query(self, parameters)

    def many(self, parameters: Sequence[Parameters]) -> "Query":
        """The statement once per mapping; returns no rows."""
        return Query(self, parameters)

    def each(self, parameters: Sequence[Parameters]) -> "Query":
        """The statement once per mapping; returns `(index of the mapping, row)` for the rows of all."""
        return Query(self, parameters, numbered=True)


class Query(NamedTuple):
    """A statement with its parameters: one mapping, or a sequence of them to be executed in one go."""

    statement: Statement
    parameters: Parameters | Sequence[Parameters]
    numbered: bool = False


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
