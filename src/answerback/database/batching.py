"""Many operations as one: batched, where each step is one batch for all of them, or sequential.

Like the operations they are made of, these hold no I/O. A batch of 256 costs one round trip to a server.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from answerback.database.dialect import Dialect
from answerback.database.operation import BatchPlan, Operation
from answerback.database.statement import Parameters, Query, Row, Rows, Statement
from answerback.kernel.errors import Refusal

T = TypeVar("T")


class UnplannedStatement(Exception):
    """An operation of a batch yielded a statement that its plan does not list."""


def sequential(operations: Iterable[Operation[T]]) -> Operation[list[T | Refusal]]:
    """One operation after the other, each seeing what the earlier ones wrote. A refusal is a result like any other."""
    results: list[T | Refusal] = []
    for operation in operations:
        try:
            results.append((yield from operation))
        except Refusal as refusal:
            results.append(refusal)
    return results


def batched(operations: Iterable[Operation[T]], plan: BatchPlan) -> Operation[list[T | Refusal]]:
    """All operations at once, step by step: each statement of the plan runs once, for all operations that yielded it.

    A statement locks its rows in the order of its `by`. No operation sees what another writes in a later step: where
    two may conflict, a constraint of the database must refuse one. Raises UnplannedStatement.
    """
    batch = _Batch(operations, plan)
    while (statement := batch.earliest()) is not None:
        waiting = batch.waiting_for(statement)
        sets = [parameters for _, parameters in waiting]
        if statement.only_locks:
            yield statement(**{name: [one for each in sets for one in each[name]] for name in sets[0]})
            found: Rows = ()
        else:
            found = yield statement.each(sets)
        batch.advance([index for index, _ in waiting], found)
    return batch.results


class _Batch:
    """Operations that have each yielded a statement and wait for its rows, and the results of those that ended."""

    def __init__(self, operations: Iterable[Operation[Any]], plan: BatchPlan) -> None:
        self._operations = list(operations)
        self._plan = plan
        self._queries: dict[int, Query] = {}
        self.results: list[Any] = [None] * len(self._operations)
        for index in range(len(self._operations)):
            self._step(index, None)

    def earliest(self) -> Statement | None:
        """The first of the plan's statements that an operation waits for; None when all have ended."""
        awaited = {query.statement for query in self._queries.values()}
        return min(awaited, key=self._plan.steps.index) if awaited else None

    def waiting_for(self, statement: Statement) -> list[tuple[int, Parameters]]:
        """`(index, parameters)` of the operations that wait for the statement, in the order in which it locks rows."""
        waiting = [
            (index, query.parameters)
            for index, query in self._queries.items()
            if query.statement is statement and isinstance(query.parameters, Mapping)
        ]
        if by := statement.by:
            waiting.sort(key=lambda each: [(each[1][name] is not None, each[1][name]) for name in by])
        return waiting

    def advance(self, indices: Sequence[int], found: Rows) -> None:
        """Hands each operation its rows: `found` holds `(place among indices, row)`."""
        rows: dict[int, list[Row]] = {}
        for place, row in found:
            rows.setdefault(place, []).append(row)
        for place, index in enumerate(indices):
            self._step(index, rows.get(place, ()))

    def _step(self, index: int, rows: Rows | None) -> None:
        operation = self._operations[index]
        try:
            query = next(operation) if rows is None else operation.send(rows)
        except StopIteration as stop:
            self._end(index, stop.value)
        except Refusal as refusal:
            self._end(index, refusal)
        else:
            self._queries[index] = self._checked(query)

    def _end(self, index: int, result: object) -> None:
        self._queries.pop(index, None)
        self.results[index] = result

    def _checked(self, query: Query) -> Query:
        if query.statement not in self._plan.steps:
            text = query.statement.clause(Dialect.SQLITE)
            raise UnplannedStatement(f"{text} is not in the batch plan {self._plan.name!r}")
        if not isinstance(query.parameters, Mapping):
            raise TypeError("an operation that sends batches of its own cannot run batched")
        return query
