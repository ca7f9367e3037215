"""Attempts, kept in the row of their job or delivery: the statement that ends one appends it in SQL.

An attempt under way is the row's own `attempt`, `lease_epoch` and `claimed_at`. Its end appends an entry to the row's
`attempts`; the first three and the last twenty are kept, so that a row that is tried for days stays small.
"""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Text, bindparam, case, cast, func, literal_column, select, update
from sqlalchemy.dialects.postgresql import JSONB

from answerback.database.operation import Operation, Statement
from answerback.database.sql import Either
from answerback.kernel.json import encoded
from answerback.kernel.values import quickly_made
from answerback.queue.leases import HELD_LEASE

KEPT_FIRST, KEPT_LAST = 3, 20
SNIPPET_BYTES = 1024

_entry = bindparam("attempt_entry", type_=Text)


@quickly_made
@dataclass(frozen=True, slots=True)
class Report:
    """How an attempt went. `http_status` and `snippet` are None where no response came. `remark` is for operators."""

    status: str
    error: str | None = None
    http_status: int | None = None
    duration_ms: int | None = None
    snippet: str | None = None
    remark: str | None = None


RELEASED = Report("released")
"""The worker stopped, and gave it back."""
LOST = Report("lost", error="the worker that held this attempt stopped")
NOT_SENT = "not_sent"
"""The status of one that was not made: nothing went out."""
SAYS_NOTHING = frozenset({NOT_SENT, RELEASED.status, LOST.status})
"""Ends of attempts after which nothing is known of the other side."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One ended attempt at a job or a delivery. Times are epoch milliseconds of the wall clock."""

    number: int
    epoch: int
    status: str
    started_at: int
    finished_at: int
    http_status: int | None
    error: str | None
    duration_ms: int | None
    snippet: str | None
    remark: str | None = None


def entry(report: Report, at: int) -> str:
    """The `attempt_entry` of a statement of `ending_attempt`; the attempt ended `at` (epoch milliseconds, wall
    clock)."""
    snippet = report.snippet
    if snippet is not None and len(snippet.encode()) > SNIPPET_BYTES:
        snippet = snippet.encode()[:SNIPPET_BYTES].decode(errors="ignore")
    fields = {
        "status": report.status,
        "error": report.error,
        "http_status": report.http_status,
        "duration_ms": report.duration_ms,
        "snippet": snippet,
        "finished_at": at,
    }
    return encoded(fields if report.remark is None else fields | {"remark": report.remark}).decode()


def attempts_of(stored: str) -> tuple[Attempt, ...]:
    """The attempts as a row holds them, oldest first."""
    if stored == "[]":
        # As all rows of a list, which reads none.
        return ()
    return tuple(Attempt(**each) for each in json.loads(stored))


def attempts_of_row(table: Any) -> Statement:
    return Statement(select(table.c.attempts).where(table.c.id == bindparam("row_id")))


def reported(attempts: Statement, row_id: str, epoch: int, report: Report) -> Operation[bool]:
    """Whether the attempt of this epoch ended with this report. If the sweep took the row back, it ended with another
    one. `attempts` is of `attempts_of_row`."""
    rows = yield attempts(row_id=row_id)
    made = attempts_of(rows[0].attempts) if rows else ()
    return any((each.epoch, each.status, each.error) == (epoch, report.status, report.error) for each in made)


def ending_attempt(
    table: Any,
    *where: ColumnElement[bool],
    under_way: ColumnElement[bool] | None = None,
    look_for: ColumnElement[bool] | None = None,
    **values: Any,
) -> Statement:
    """Ends the leases of the rows that match, sets `values`, and appends the attempt to each row's attempts. Where
    `under_way` does not hold there was no attempt, and none is appended. Returns a row for each, PostgreSQL the id, and
    with it whether there is what to `look_for`."""
    made = table.c.attempts_made + (1 if under_way is None else case((under_way, 1), else_=0))
    attempts: ColumnElement[Any] = Either(_appended_sqlite(table), _appended_postgresql(table))
    if under_way is not None:
        attempts = case((under_way, attempts), else_=table.c.attempts)
    ended = update(table).where(*where).values(**values, **HELD_LEASE, attempts_made=made, attempts=attempts)
    returned = (table.c.id,) if look_for is None else (table.c.id, look_for)
    return Statement(
        ended,
        postgresql=ended.returning(*returned),
        read_back=None if look_for is None else select(*returned).where(table.c.id == bindparam("row_id")),
        by=("row_id",),
        key=("row_id",),
    )


def _appended_sqlite(table: Any) -> ColumnElement[Any]:
    """The `attempts` of a row once the attempt under way has ended.

    Joined as text: JSON functions would parse the entry and the array again, at the cost of the rest of the update.
    """
    known = _text('{"number":') + cast(table.c.attempt, Text) + _text(',"epoch":') + cast(table.c.lease_epoch, Text)
    known += _text(',"started_at":') + cast(table.c.claimed_at, Text) + _text(",") + func.substr(_entry, 2)
    full = table.c.attempts_made >= literal_column(str(KEPT_FIRST + KEPT_LAST))
    kept = case((full, func.json_remove(table.c.attempts, _text(f"$[{KEPT_FIRST}]"))), else_=table.c.attempts)
    earlier = func.rtrim(kept, _text("]")) + _text(",")
    return case((table.c.attempts == _text("[]"), _text("[")), else_=earlier) + known + _text("]")


def _appended_postgresql(table: Any) -> ColumnElement[Any]:
    """As `_appended_sqlite`."""
    known = cast(_entry, JSONB).op("||")(
        func.jsonb_build_object(
            *("number", table.c.attempt, "epoch", table.c.lease_epoch, "started_at", table.c.claimed_at)
        )
    )
    full = func.jsonb_array_length(table.c.attempts) >= literal_column(str(KEPT_FIRST + KEPT_LAST))
    kept = case(
        (full, table.c.attempts.op("-")(literal_column(str(KEPT_FIRST)))),
        else_=table.c.attempts,
    )
    return kept.op("||")(func.jsonb_build_array(known))


def _text(text: str) -> ColumnElement[str]:
    return literal_column(f"'{text}'", Text)
