"""What no index has: jobs of a list by their model, by a text of their error, or by the key that sent them.

A list walks along its index, chunk by chunk, and looks into the rows. What it looks at in one request is bounded, so
that its page may be short, or empty, and not the last.
"""

import json
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

from sqlalchemy import ColumnElement, Text, bindparam, func, or_, select

from answerback.database.operation import Operation, Statement
from answerback.database.sql import Either, among
from answerback.database.tables import jobs
from answerback.jobs import everyone
from answerback.jobs.kind import JobState
from answerback.jobs.model import JobFilter, JobRecord
from answerback.jobs.rows import failure_of

CHUNK = 200
CHUNKS = 25
SECONDS = 0.01
"""After which no other chunk is looked at."""

NEVER_FAILING = frozenset({JobState.COMPLETED, JobState.HELD, JobState.AWAITING})
"""States in which a job has no error."""

Walk: TypeAlias = Callable[[str, int], Operation[tuple[list[str], str | None]]]
"""The newest ids below one, at most so many; and, where fewer were found and there may be more, below which."""

_listed = among(jobs.c.id)


def _names(text: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a text holds the model's name as JSON writes it: those of few other jobs do."""
    named = bindparam("named", type_=Text)
    return Either(func.instr(text, named), func.strpos(text, named)) > 0


NAMING = Statement(select(jobs.c.id).where(_listed, or_(_names(jobs.c.args), _names(jobs.c.result))))
FAILING = Statement(select(jobs.c.id, jobs.c.error).where(jobs.c.error.is_not(None), _listed))
OF_KEY = Statement(select(jobs.c.id).where(jobs.c.key_id == bindparam("key_id"), _listed))


def is_sifted(wanted: JobFilter) -> bool:
    """Whether it asks for what no index has."""
    return any(each is not None for each in (wanted.model, wanted.error, wanted.key_id))


def sift(wanted: JobFilter, walk: Walk, before: str, limit: int) -> Operation[tuple[list[str], str | None]]:
    """As a `Walk`: those that suit."""
    matched: list[str] = []
    ends_at = time.monotonic() + SECONDS
    for _ in range(CHUNKS):
        ids, reached = yield from walk(before, CHUNK)
        matched += yield from _suiting(wanted, ids)
        if len(ids) < CHUNK:
            return matched, reached
        before = ids[-1]
        if len(matched) >= limit or time.monotonic() >= ends_at:
            break
    return matched, before


def _suiting(wanted: JobFilter, ids: Sequence[str]) -> Operation[list[str]]:
    kept = set(ids)
    if everyone.looks_into_rows(wanted) and kept:
        kept = yield from everyone.suiting(wanted, ids)
    if wanted.key_id is not None and kept:
        kept = {row.id for row in (yield OF_KEY(ids=json.dumps(sorted(kept)), key_id=wanted.key_id))}
    if wanted.error is not None and kept:
        rows = yield FAILING(ids=json.dumps(sorted(kept)))
        kept = {row.id for row in rows if _says(row.error, wanted.error.casefold())}
    if wanted.model is not None and kept:
        named = json.dumps(wanted.model, ensure_ascii=False)
        kept = {row.id for row in (yield NAMING(ids=json.dumps(sorted(kept)), named=named))}
    return [each for each in ids if each in kept]


def _says(stored: str, text: str) -> bool:
    failure = failure_of(stored)
    return failure is not None and any(text in each.casefold() for each in (failure.code, failure.message))


def is_of_model(record: JobRecord, model: str) -> bool:
    """Whether a record that names the model is of it, as it is shown."""
    if record.kind is None or record.job.args is None:
        return False
    return record.kind.describe(record.job, record.ending).summary.get("model") == model
