"""Many operations as one: batched, where each step is one batch for all of them, or in turn.

Like the operations they are made of, these hold no I/O. A batch of 256 costs one round trip to a server.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from answerback.database.operation import BatchPlan, Operation, Parameters, Query, Row, Rows, Statement
from answerback.kernel.errors import Refusal

T = TypeVar("T")


def sequential(operations: Iterable[Operation[T]]) -> Operation[list[T | Refusal]]:
    """One after the other, each seeing what the earlier ones wrote. A refusal is a result like any other."""
    results: list[T | Refusal] = []
    for operation in operations:
        try:
            results.append((yield from operation))
        except Refusal as refusal:
            results.append(refusal)
    return results


def batched(operations: Iterable[Operation[T]], together: BatchPlan) -> Operation[list[T | Refusal]]:
    """All at once: whoever waits for the earliest statement moves on, in one batch.

    Operations of one kind pass through the same statements in one order, so each statement is executed once for all
    that need it, and whatever rows it locks are locked in the order of its `by`. None sees what another will write in
    a later step; that two must not meet there is for the database to say, by a conflict.
    """
    crowd = _Crowd(operations)
    while (statement := crowd.earliest(together)) is not None:
        waiting = crowd.waiting_for(statement)
        sets = [parameters for _, parameters in waiting]
        if statement.only_locks:
            yield statement(**{name: [one for each in sets for one in each[name]] for name in sets[0]})
            found: Rows = ()
        else:
            found = yield statement.each(sets)
        crowd.advance([each for each, _ in waiting], found)
    return crowd.results


class _Crowd:
    """Operations under way, and how those that have arrived ended."""

    def __init__(self, operations: Iterable[Operation[Any]]) -> None:
        self._operations = list(operations)
        self._queries: dict[int, Query] = {}
        self.results: list[Any] = [None] * len(self._operations)
        for index in range(len(self._operations)):
            self._step(index, None)

    def earliest(self, together: BatchPlan) -> Statement | None:
        awaited = {query.statement for query in self._queries.values()}
        return min(awaited, key=together.steps.index) if awaited else None

    def waiting_for(self, statement: Statement) -> list[tuple[int, Parameters]]:
        """The operations that wait for a statement, in the order of the rows they will lock."""
        waiting = [
            (index, query.parameters)
            for index, query in self._queries.items()
            if query.statement is statement and isinstance(query.parameters, Mapping)
        ]
        if by := statement.by:
            waiting.sort(key=lambda each: [(each[1][name] is not None, each[1][name]) for name in by])
        return waiting

    def advance(self, indices: Sequence[int], found: Rows) -> None:
        rows: dict[int, list[Row]] = {}
        for index, row in found:
            rows.setdefault(index, []).append(row)
        for place, index in enumerate(indices):
            self._step(index, rows.get(place, ()))

    def _step(self, index: int, rows: Rows | None) -> None:
        operation = self._operations[index]
        try:
            query = next(operation) if rows is None else operation.send(rows)
            if not isinstance(query.parameters, Mapping):
                raise TypeError("an operation that sends batches of its own cannot go batched")
            self._queries[index] = query
        except StopIteration as stop:
            self._queries.pop(index, None)
            self.results[index] = stop.value
        except Refusal as refusal:
            self._queries.pop(index, None)
            self.results[index] = refusal
