"""The statements that a step sends to the database, by name, and the rows that they write."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from answerback.database.dialect import Dialect
from answerback.database.operation import BatchPlan, Begin, Database, Operation, Runner, T
from answerback.database.statement import Statement

ROWS_WRITTEN = Statement(
    lambda dialect: dialect.either(
        "SELECT total_changes() AS written",
        "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint AS written FROM pg_stat_xact_user_tables",
    )
)
"""Of a connection; the difference within a transaction is the transaction's."""


@dataclass
class Cost:
    """What a step sent. Reads and writes are counted alike; an update of a row counts as one row."""

    statements: list[str] = field(default_factory=list)
    rows_written: int = 0

    def __str__(self) -> str:
        return f"{len(self.statements)} statements ({', '.join(self.statements)}), {self.rows_written} rows written"


class Recorder:
    """Records each step of the operations that its `database` runs. They must come one by one: a transaction with
    several has no step of its own."""

    def __init__(self, database: Database, *, locks: bool) -> None:
        """`locks`: whether statements that only lock are sent."""
        self._locks = locks
        self._step: Cost | None = None
        sides = (database.write, database.read, database.count)
        self.database = Database(*(_Recorded(side, self) for side in sides))

    @contextmanager
    def step(self) -> Iterator[Cost]:
        """The cost is complete when the block has ended."""
        self._step = cost = Cost()
        try:
            yield cost
        finally:
            self._step = None

    def recorded(self, begin: Begin[T]) -> Begin[T]:
        return begin if self._step is None else lambda tx: self._run(begin(tx), self._step or Cost())

    def _run(self, operation: Operation[T], cost: Cost) -> Operation[T]:
        (before,) = yield ROWS_WRITTEN()
        try:
            query = next(operation)
            while True:
                if self._locks or not query.statement.only_locks:
                    cost.statements.append(name_of(query.statement))
                query = operation.send((yield query))
        except StopIteration as stop:
            (after,) = yield ROWS_WRITTEN()
            cost.rows_written += after.written - before.written
            result: T = stop.value
            return result


class _Recorded:
    """Implements `Runner` around another."""

    def __init__(self, runner: Runner, recorder: Recorder) -> None:
        self._runner = runner
        self._recorder = recorder

    async def run(
        self, begin: Begin[T], plan: BatchPlan | None = None, payload_bytes: int = 0, tenant_id: str = ""
    ) -> T:
        return await self._runner.run(self._recorder.recorded(begin), plan, payload_bytes)

    async def close(self) -> None:
        await self._runner.close()


def name_of(statement: Statement) -> str:
    """The name of the constant that the statement is."""
    for name, module in list(sys.modules.items()):
        if name.startswith("answerback."):
            for constant, value in list(vars(module).items()):
                if value is statement:
                    return constant
    raise LookupError(f"no module of the service holds the statement {statement.clause(Dialect.SQLITE)}")
