"""Lists of jobs, page by page, in work that does not depend on how many jobs there are.

The index of a tenant's jobs, and that of a conversation's, has the jobs of each kind and state in the order of their
ids, newest last. A list that asks for neither merges them: kinds and states are few.

The state of a delivery has an index of its own. A list that asks for that and for more walks along both. What it looks
at in one request is bounded, so that its page may be short, or empty, and not the last.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from answerback.conversations.store import FIND as FIND_CONVERSATION
from answerback.database.distinct import distinct
from answerback.database.operation import Operation, Transaction
from answerback.database.pages import fitting
from answerback.database.predicates import JOB_HEAD_STATES
from answerback.database.range_scan import merged, newest
from answerback.database.sql import one_of
from answerback.database.statement import Statement
from answerback.jobs import all_tenants
from answerback.jobs.kind import ENDED, JobState, Registry
from answerback.jobs.model import JobFilter, JobRecord, JobRecords
from answerback.jobs.rows import LISTED_COLUMNS, beginning_of, record_of
from answerback.jobs.sift import NEVER_FAILING, Walk, is_of_model, is_sifted, sift
from answerback.kernel.ids import EVERY_TENANT
from answerback.webhooks.listed import jobs_by_delivery, own_deliveries, with_delivery
from answerback.webhooks.model import DeliveryState

CHUNK = 100
"""How many entries of each index a list reads at a time that walks along two."""
CHUNKS = 3

CLOCKS_APART_MS = 5_000
"""Ids are made of the scheduling clock, which the wall clock may have left since; what is shown is compared exactly."""

PIECE = 500
PIECES = 20
"""So many ids at a time, so often, does a list pass over what may be too new for it."""

AFTER_ALL = "jobz"
"""Sorts after every id of a job, in whatever order a database sorts text."""


KINDS = Statement(distinct("jobs", "kind", "jobs.tenant_id = :tenant_id"))
"""Those that a tenant has jobs of."""
OF_TENANT = newest("jobs", ("tenant_id", "kind", "state"), "id", compared="kind")
ENDED_OF_CONVERSATION = newest(
    "jobs", ("conversation_id", "kind", "state"), "id", "jobs.finished_at IS NOT NULL", compared="kind", of="bigint"
)
HELD_OF_CONVERSATION = Statement(
    """
    SELECT id FROM jobs WHERE conversation_id = :conversation_id AND state = 'held' AND kind = :kind AND id < :before
    ORDER BY id DESC LIMIT :limit"""
)
HEAD_OF_CONVERSATION = Statement(
    f"""
    SELECT id, kind, state, conversation_id FROM jobs
    WHERE conversation_id = :conversation_id AND conversation_id IS NOT NULL AND {one_of(JOB_HEAD_STATES, "jobs")}"""
)
FACTS = Statement(lambda dialect: f"SELECT id, kind, state, conversation_id FROM jobs WHERE {dialect.among('id')}")
SIZES = Statement(lambda dialect: f"SELECT id, length(args) AS size FROM jobs WHERE {dialect.among('id')}")
ACCEPTED_BEFORE = Statement(lambda dialect: f"SELECT id FROM jobs WHERE created_at < :until AND {dialect.among('id')}")
SHOWN = Statement(lambda dialect: f"SELECT {LISTED_COLUMNS} FROM jobs WHERE {dialect.among('id')}")


@dataclass(frozen=True, slots=True)
class _Asked:
    """A filter, resolved. Without `tenants` all rows are looked at. `conversations` is None where none was asked for;
    `kinds` are those of each tenant."""

    tenants: Sequence[str]
    conversations: Sequence[int] | None
    kinds: Sequence[tuple[str, str]]
    states: Sequence[JobState]


BY_ROWS = _Asked((), None, (), ())


def list_jobs(
    tx: Transaction, kinds: Registry, wanted: JobFilter, before: str | None, limit: int
) -> Operation[JobRecords]:
    """Newest first, without long results and attempts, fewer than `limit` where arguments are long; `before` is the
    `following` of the page before."""
    ids, reached = yield from _find(tx, wanted, before or AFTER_ALL, limit + 1)
    shown = ids[:limit]
    if not shown:
        return JobRecords((), reached)
    sizes = {row.id: row.size for row in (yield SIZES(ids=json.dumps(shown)))}
    shown = shown[: fitting((sizes.get(each, 0) for each in shown), limit)]
    rows = yield SHOWN(ids=json.dumps(shown))
    owed = {delivery.job_id: (delivery,) for delivery in (yield from own_deliveries(tx, shown))}
    found = [
        record_of(row, kinds, tx, beginning_of, owed.get(row.id, ()))
        for row in sorted(rows, key=lambda row: row.id, reverse=True)
    ]
    records = [record for record in found if _is_wanted(record, wanted)]
    return JobRecords(records, shown[-1] if len(ids) > len(shown) else reached)


def _find(tx: Transaction, wanted: JobFilter, before: str, limit: int) -> Operation[tuple[list[str], str | None]]:
    """The newest ids below `before`; and, where fewer than `limit` were found and there may be more, below which."""
    asked = yield from _resolve(wanted)
    if asked is None:
        return [], None
    first = "" if wanted.since is None else _id_at(tx, wanted.since - CLOCKS_APART_MS)

    def walk(below: str, most: int) -> Operation[tuple[list[str], str | None]]:
        ids, reached = yield from _walk(wanted, asked, below, most)
        recent = [each for each in ids if each >= first]
        is_over = len(recent) < len(ids) or (reached is not None and reached < first)
        return recent, None if is_over else reached

    if wanted.until is not None:
        before = yield from _below_until(tx, wanted.until, walk, before)
    is_looked_for = is_sifted(wanted) or (not asked.tenants and all_tenants.looks_into_rows(wanted))
    return (yield from (sift(wanted, walk, before, limit) if is_looked_for else walk(before, limit)))


def _below_until(tx: Transaction, until: int, walk: Walk, before: str) -> Operation[str]:
    """Passes over those that were accepted later, as far as the two clocks may be apart."""
    if before <= _id_at(tx, until - CLOCKS_APART_MS):
        return before
    before = min(before, _id_at(tx, until + CLOCKS_APART_MS))
    for _ in range(PIECES):
        ids, reached = yield from walk(before, PIECE)
        older = {row.id for row in (yield ACCEPTED_BEFORE(ids=json.dumps(ids), until=until))}
        newer = ids[: next((place for place, each in enumerate(ids) if each in older), len(ids))]
        before = newer[-1] if newer else before
        if older or (len(ids) < PIECE and reached is None):
            break
        before = reached or before
    return before


def _walk(wanted: JobFilter, asked: _Asked, before: str, limit: int) -> Operation[tuple[list[str], str | None]]:
    if not asked.tenants:
        return (yield from all_tenants.newest(before, limit)), None
    if wanted.delivery is None:
        return (yield from _jobs(asked, before, limit)), None
    if wanted.state is None and wanted.kind is None and wanted.session_id is None and not is_sifted(wanted):
        return (yield from jobs_by_delivery(asked.tenants, wanted.delivery, before, limit)), None
    return (yield from _jobs_with_delivery(asked, wanted.delivery, before, limit))


def _id_at(tx: Transaction, at: int) -> str:
    """What ids of jobs begin with that were accepted then, by the wall clock."""
    return f"job_{max(0, at - tx.wall_ahead):012x}"


def _is_wanted(record: JobRecord, wanted: JobFilter) -> bool:
    """What ids and texts say about."""
    created_at = record.job.created_at
    return (
        (wanted.model is None or is_of_model(record, wanted.model))
        and (wanted.since is None or created_at >= wanted.since)
        and (wanted.until is None or created_at < wanted.until)
    )


def _resolve(wanted: JobFilter) -> Operation[_Asked | None]:
    """None if there is no such conversation."""
    tenants = [wanted.tenant_id]
    if wanted.tenant_id == EVERY_TENANT:
        has_indexes = all_tenants.looks_into_rows(wanted) and not is_sifted(wanted)
        tenants = (yield from all_tenants.tenants_of(wanted)) if has_indexes else []
        if not tenants:
            return BY_ROWS
    conversations = None
    if wanted.session_id is not None:
        found = yield FIND_CONVERSATION.each([{"tenant_id": each, "key": wanted.session_id} for each in tenants])
        if not found:
            return None
        conversations = [row.id for _, row in found]
    if wanted.kind:
        kinds = [(each, wanted.kind) for each in tenants]
    else:
        of_each = yield KINDS.each([{"tenant_id": each} for each in tenants])
        kinds = [(tenants[place], row.kind) for place, row in of_each]
    # Only the end of a job makes a delivery.
    possible = [state for state in JobState if wanted.delivery is None or state in ENDED]
    if wanted.error is not None:
        possible = [state for state in possible if state not in NEVER_FAILING]
    return _Asked(tenants, conversations, kinds, [state for state in possible if wanted.state in (None, state)])


def _jobs(asked: _Asked, before: str, limit: int) -> Operation[list[str]]:
    below = {"before": before, "limit": limit}
    if asked.conversations is None:
        sets = [
            {"tenant_id": tenant, "kind": kind, "state": each} for tenant, kind in asked.kinds for each in asked.states
        ]
        return (yield from merged(OF_TENANT, sets, before, limit))
    kinds = sorted({kind for _, kind in asked.kinds})
    ended = [{"kind": kind, "state": state} for kind in kinds for state in asked.states if state in ENDED]
    places = [{"conversation_id": each} for each in asked.conversations]
    ids = yield from merged(
        ENDED_OF_CONVERSATION, [{**place, **each} for place in places for each in ended], before, limit
    )
    if JobState.HELD in asked.states:
        held = yield HELD_OF_CONVERSATION.each([{**below, **place, "kind": kind} for place in places for kind in kinds])
        ids += [row.id for _, row in held]
    heads = yield HEAD_OF_CONVERSATION.each(places)
    ids += [row.id for _, row in heads if row.id < before and _suits(asked, row)]
    return sorted(ids, reverse=True)[:limit]


def _jobs_with_delivery(
    asked: _Asked, state: DeliveryState, before: str, limit: int
) -> Operation[tuple[list[str], str | None]]:
    """Of one tenant. Reads a chunk of each of the two indexes, and takes the one that reaches further back: it has
    fewer entries, and each is looked up in the other table."""
    matched: list[str] = []
    for _ in range(CHUNKS):
        suiting = yield from _jobs(asked, before, CHUNK)
        owing = yield from jobs_by_delivery(asked.tenants, state, before, CHUNK)
        chunk = min((suiting, owing), key=lambda ids: ids[-1] if len(ids) == CHUNK else "")
        if chunk is suiting:
            matched += yield from with_delivery(asked.tenants[0], state, chunk)
        else:
            matched += yield from _suiting(asked, chunk)
        if len(chunk) < CHUNK:
            return matched, None
        before = chunk[-1]
        if len(matched) >= limit:
            break
    return matched, before


def _suiting(asked: _Asked, ids: Sequence[str]) -> Operation[list[str]]:
    kept = {row.id for row in (yield FACTS(ids=json.dumps(list(ids)))) if _suits(asked, row)}
    return [each for each in ids if each in kept]


def _suits(asked: _Asked, row: Any) -> bool:
    return (
        (asked.conversations is None or row.conversation_id in asked.conversations)
        and row.kind in {kind for _, kind in asked.kinds}
        and row.state in asked.states
    )
