"""What no index has: jobs of a list by their model, by a text of their error, or by the key that sent them.

A list walks along its index, chunk by chunk, and looks into the rows. What it looks at in one request is bounded, so
that its page may be short, or empty, and not the last.
"""

import json
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

from answerback.database.dialect import Dialect
from answerback.database.operation import Operation
from answerback.database.statement import Statement
from answerback.jobs import all_tenants
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


def _naming(dialect: Dialect) -> str:
    """Those whose texts hold the model's name as JSON writes it: few other jobs do."""
    place = dialect.either("instr", "strpos")
    return f"""
    SELECT id FROM jobs
    WHERE {dialect.among("id")} AND ({place}(args, :named) > 0 OR {place}(result, :named) > 0)"""


NAMING = Statement(_naming)
FAILING = Statement(lambda dialect: f"SELECT id, error FROM jobs WHERE error IS NOT NULL AND {dialect.among('id')}")
OF_KEY = Statement(lambda dialect: f"SELECT id FROM jobs WHERE key_id = :key_id AND {dialect.among('id')}")


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
    if all_tenants.looks_into_rows(wanted) and kept:
        kept = yield from all_tenants.suiting(wanted, ids)
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
