"""Operations that run batched: one batch a step, and to each operation its own rows."""

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pytest

from answerback.database.batching import UnplannedStatement, batched, sequential
from answerback.database.operation import BatchPlan, Operation
from answerback.database.statement import Query, Rows, Statement
from answerback.kernel.errors import Conflict

FIND = Statement("find")
LOCK = Statement("lock", only_locks=True)
WRITE = Statement("write", by=("row",))
PLAN = BatchPlan((FIND, LOCK, WRITE), "add")

RunAll = Callable[[Iterable[Operation[Any]]], Operation[list[Any]]]
Found = namedtuple("Found", "value")


class Table:
    """Runs an operation on a dictionary, and remembers the statements that were sent."""

    def __init__(self, **rows: int) -> None:
        self.rows = rows
        self.sent: list[tuple[Statement, object]] = []

    def run(self, operation: Operation[Any]) -> Any:
        rows: Rows | None = None
        try:
            while True:
                rows = self._answer(next(operation) if rows is None else operation.send(rows))
        except StopIteration as stop:
            return stop.value

    def _answer(self, query: Query) -> Rows:
        if isinstance(query.parameters, Mapping):
            self.sent.append((query.statement, dict(query.parameters)))
            return () if query.statement.only_locks else self._one(query.parameters)
        self.sent.append((query.statement, [each.get("row") for each in query.parameters]))
        return [(index, row) for index, each in enumerate(query.parameters) for row in self._one(each)]

    def _one(self, parameters: Mapping[str, Any]) -> Sequence[Found]:
        row = parameters["row"]
        if "value" in parameters:
            self.rows[row] = parameters["value"]
        return [Found(self.rows[row])] if row in self.rows else []


def add(row: str, value: int, *, find: bool = True) -> Operation[int]:
    """Overwrites a row; refuses where there is none."""
    if find and not (yield FIND(row=row)):
        raise Conflict(f"no {row}")
    yield LOCK(rows=[row])
    (written,) = yield WRITE(row=row, value=value)
    return int(written.value)


def in_a_batch(operations: Iterable[Operation[Any]]) -> Operation[list[Any]]:
    return batched(operations, PLAN)


both_ways = pytest.mark.parametrize("run_all", [in_a_batch, sequential])


def test_each_statement_is_sent_one_time_for_all() -> None:
    table = Table(a=1, b=2)

    assert table.run(in_a_batch([add("b", 20), add("a", 10)])) == [20, 10]

    assert table.sent == [(FIND, ["b", "a"]), (LOCK, {"rows": ["b", "a"]}), (WRITE, ["a", "b"])]


def test_rows_are_locked_in_their_order_and_equal_ones_as_they_came() -> None:
    table = Table(a=1, b=2)

    results = table.run(in_a_batch([add("b", 3), add("b", 1), add("a", 5), add("b", 2)]))

    assert results == [3, 1, 5, 2]
    assert table.sent[-1] == (WRITE, ["a", "b", "b", "b"])
    assert table.rows == {"a": 5, "b": 2}


def test_an_operation_that_skips_a_step_waits_for_the_others_at_the_next() -> None:
    table = Table(a=1, b=2)

    table.run(in_a_batch([add("a", 1, find=False), add("b", 1)]))

    assert [statement for statement, _ in table.sent] == [FIND, LOCK, WRITE]


@both_ways
def test_a_refusal_is_a_result_and_the_others_go_on(run_all: RunAll) -> None:
    refused, added = Table(a=1).run(run_all([add("none", 1), add("a", 7)]))

    assert isinstance(refused, Conflict)
    assert added == 7


@both_ways
def test_an_operation_that_breaks_breaks_them_all(run_all: RunAll) -> None:
    def breaks() -> Operation[int]:
        yield FIND(row="a")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Table(a=1).run(run_all([add("a", 1), breaks()]))


def test_sequential_operations_see_what_the_earlier_ones_wrote() -> None:
    table = Table(a=1)

    table.run(sequential([add("a", 2), add("a", 3)]))

    assert [statement for statement, _ in table.sent] == [FIND, LOCK, WRITE] * 2


def test_a_statement_that_the_plan_lacks_is_named_with_the_plan() -> None:
    without_lock = BatchPlan((FIND, WRITE), "add")

    with pytest.raises(UnplannedStatement, match="lock is not in the batch plan 'add'"):
        Table(a=1).run(batched([add("a", 2)], without_lock))


def test_an_operation_that_sends_batches_of_its_own_cannot_run_batched() -> None:
    def batch() -> Operation[None]:
        yield WRITE.many([{"row": "a", "value": 1}])

    with pytest.raises(TypeError, match="batched"):
        Table().run(in_a_batch([batch()]))


@both_ways
def test_no_operations_are_no_work(run_all: RunAll) -> None:
    table = Table()

    assert table.run(run_all([])) == []
    assert table.sent == []
