"""Operations that go batched: one batch a step, and to each its own rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from sqlalchemy import text

from answerback.database.batching import batched, sequential
from answerback.database.operation import BatchPlan, Operation, Query, Row, Rows, Statement
from answerback.kernel.errors import Conflict

LOOK = Statement(text("look"))
LOCK = Statement(text("lock"), only_locks=True)
WRITE = Statement(text("write"), by=("row",))
PLAN = BatchPlan((LOOK, LOCK, WRITE))


class Table:
    """Runs an operation on a dictionary, and remembers what was sent to it."""

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
        return [(*row, n) for n, each in enumerate(query.parameters) for row in self._one(each)]

    def _one(self, parameters: Mapping[str, Any]) -> Sequence[Row]:
        row = parameters["row"]
        if "value" in parameters:
            self.rows[row] = parameters["value"]
        return [(self.rows[row],)] if row in self.rows else []


def add(row: str, value: int, *, look: bool = True) -> Operation[int]:
    """Adds to a row; refuses when there is none."""
    if look and not (yield LOOK(row=row)):
        raise Conflict(f"no {row}")
    yield LOCK(rows=[row])
    return int((yield WRITE(row=row, value=value))[0][0])


def test_each_statement_is_sent_once_for_all() -> None:
    table = Table(a=1, b=2)

    assert table.run(batched([add("b", 20), add("a", 10)], PLAN)) == [20, 10]

    assert table.sent == [(LOOK, ["b", "a"]), (LOCK, {"rows": ["b", "a"]}), (WRITE, ["a", "b"])]


def test_rows_are_locked_in_their_order_and_alike_ones_as_they_came() -> None:
    table = Table(a=1, b=2)

    results = table.run(batched([add("b", 3), add("b", 1), add("a", 5), add("b", 2)], PLAN))

    assert results == [3, 1, 5, 2]
    assert table.sent[-1] == (WRITE, ["a", "b", "b", "b"])
    assert table.rows == {"a": 5, "b": 2}


def test_who_skips_a_step_waits_for_the_others_there() -> None:
    table = Table(a=1, b=2)

    table.run(batched([add("a", 1, look=False), add("b", 1)], PLAN))

    assert [statement for statement, _ in table.sent] == [LOOK, LOCK, WRITE]


def test_a_refusal_is_a_result_and_the_others_go_on() -> None:
    table = Table(a=1)

    for way in (lambda operations: batched(operations, PLAN), sequential):
        refused, added = table.run(way([add("none", 1), add("a", 7)]))
        assert isinstance(refused, Conflict)
        assert added == 7


def test_one_that_breaks_breaks_them_all() -> None:
    def breaks() -> Operation[int]:
        yield LOOK(row="a")
        raise ZeroDivisionError

    for way in (lambda operations: batched(operations, PLAN), sequential):
        with pytest.raises(ZeroDivisionError):
            Table(a=1).run(way([add("a", 1), breaks()]))


def test_in_turn_each_sees_what_the_earlier_ones_wrote() -> None:
    table = Table(a=1)

    table.run(sequential([add("a", 2), add("a", 3)]))

    assert [statement for statement, _ in table.sent] == [LOOK, LOCK, WRITE] * 2


def test_one_that_sends_batches_of_its_own_cannot_go_abreast() -> None:
    def batch() -> Operation[None]:
        yield WRITE.many([{"row": "a", "value": 1}])

    with pytest.raises(TypeError, match="batched"):
        Table().run(batched([batch()], PLAN))


def test_nobody_is_no_work() -> None:
    table = Table()

    assert table.run(batched([], PLAN)) == []
    assert table.sent == []
