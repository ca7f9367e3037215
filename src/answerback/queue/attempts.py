"""Attempts, kept in the row of their job or delivery: the statement that ends one appends it in SQL.

An attempt under way is the row's own `attempt`, `lease_epoch` and `claimed_at`. Its end appends an entry to the row's
`attempts`; the first three and the last twenty are kept, so that a row that is tried for days stays small.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from answerback.database.dialect import Dialect
from answerback.database.operation import Operation
from answerback.database.statement import Statement, Update
from answerback.kernel.json import encoded
from answerback.kernel.values import quickly_made
from answerback.queue.leases import NO_LEASE

KEPT_FIRST, KEPT_LAST = 3, 20
SNIPPET_BYTES = 1024


@quickly_made
@dataclass(frozen=True, slots=True)
class Report:
    """How an attempt went. `http_status` and `snippet` are None where no response came. `remark` is for operators.
    `put_off_for` is why it was put off before, unasked: a failure's code and message."""

    status: str
    error: str | None = None
    http_status: int | None = None
    duration_ms: int | None = None
    snippet: str | None = None
    remark: str | None = None
    put_off_for: Mapping[str, str] | None = None


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
    put_off_for: Mapping[str, str] | None = None


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
    rare = {"remark": report.remark, "put_off_for": report.put_off_for}
    return encoded(fields | {name: value for name, value in rare.items() if value is not None}).decode()


def attempts_of(stored: str) -> tuple[Attempt, ...]:
    """The attempts as a row holds them, oldest first."""
    if stored == "[]":
        # As all rows of a list, which reads none.
        return ()
    return tuple(Attempt(**each) for each in json.loads(stored))


def attempts_of_row(table: str) -> Statement:
    return Statement(f"SELECT attempts FROM {table} WHERE id = :row_id")


def reported(attempts: Statement, row_id: str, epoch: int, report: Report) -> Operation[bool]:
    """Whether the attempt of this epoch ended with this report. If the sweep took the row back, it ended with another
    one. `attempts` is of `attempts_of_row`."""
    rows = yield attempts(row_id=row_id)
    made = attempts_of(rows[0].attempts) if rows else ()
    return any((each.epoch, each.status, each.error) == (epoch, report.status, report.error) for each in made)


def ending_attempt(
    table: str,
    where: str,
    values: Mapping[str, str],
    given: str,
    *,
    under_way: str = "",
    look_for: str = "",
) -> Statement:
    """Ends the leases of the rows that match, sets `values`, and appends the attempt to each row's attempts. `given`
    are the parameters of both (`Statement`), without `row_id` and `attempt_entry`. Where `under_way` does not hold
    there was no attempt, and none is appended. Returns a row for each, PostgreSQL the id, and with it what to
    `look_for`."""

    def ended(dialect: Dialect) -> Update:
        made, attempts = "1", dialect.either(_appended_sqlite(table), _appended_postgresql(table))
        if under_way:
            made = f"CASE WHEN {under_way} THEN 1 ELSE 0 END"
            attempts = f"CASE WHEN {under_way} THEN {attempts} ELSE {table}.attempts END"
        all_values = {**values, **NO_LEASE, "attempts_made": f"{table}.attempts_made + {made}", "attempts": attempts}
        return Update(table, all_values, where, f"{table}.id, {look_for}" if look_for else f"{table}.id")

    return Statement(
        ended,
        read_back=f"SELECT id, {look_for} FROM {table} WHERE id = :row_id" if look_for else None,
        by=("row_id",),
        key=("row_id",),
        given=f"row_id text, attempt_entry text, {given}",
    )


def _appended_sqlite(table: str) -> str:
    """The `attempts` of a row once the attempt under way has ended.

    Joined as text: JSON functions would parse the entry and the array again, at the cost of the rest of the update.
    """
    full = f"{table}.attempts_made >= {KEPT_FIRST + KEPT_LAST}"
    kept = f"CASE WHEN {full} THEN json_remove({table}.attempts, '$[{KEPT_FIRST}]') ELSE {table}.attempts END"
    earlier = f"CASE WHEN {table}.attempts = '[]' THEN '[' ELSE rtrim({kept}, ']') || ',' END"
    return (
        f"""{earlier} || '{{"number":' || {table}.attempt || ',"epoch":' || {table}.lease_epoch"""
        f""" || ',"started_at":' || {table}.claimed_at || ',' || substr(:attempt_entry, 2) || ']'"""
    )


def _appended_postgresql(table: str) -> str:
    """As `_appended_sqlite`."""
    full = f"jsonb_array_length({table}.attempts) >= {KEPT_FIRST + KEPT_LAST}"
    kept = f"CASE WHEN {full} THEN {table}.attempts - {KEPT_FIRST} ELSE {table}.attempts END"
    known = f"'number', {table}.attempt, 'epoch', {table}.lease_epoch, 'started_at', {table}.claimed_at"
    return f"{kept} || jsonb_build_array(CAST(:attempt_entry AS jsonb) || jsonb_build_object({known}))"
