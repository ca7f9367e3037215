"""Calls with a key: each claimed by one caller at a time, its response kept for a day.

A claim is fenced by a token of its own rather than by an epoch: its row is deleted when the key is freed, and a new row
would count from the beginning.
"""

import json
from typing import Any

from sqlalchemy import bindparam, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import ClauseElement

from answerback.database.operation import Database, Operation, Query, Statement, Transaction
from answerback.database.tables import idempotency_records
from answerback.http.idempotency_model import ClaimedRecord, IdempotentRequest, StoredResponse
from answerback.jobs.records import at_most
from answerback.kernel.errors import CallInProgress, IdempotencyConflict, ResponseNotStored
from answerback.kernel.ids import new_id

KEPT_MS = 86_400_000
"""A day, as clients know it from Stripe and others: longer than anyone tries the same call again."""

IN_PROGRESS = "the first request with this Idempotency-Key is still being answered; send it again soon"

BATCH = 50
"""Fewer than of other rows: a body may have megabytes, each page of which is visited when it goes."""

_named = (
    idempotency_records.c.tenant_id == bindparam("of_tenant"),
    idempotency_records.c.door == bindparam("at_door"),
    idempotency_records.c.key == bindparam("named"),
)
_held = (
    *_named,
    idempotency_records.c.token == bindparam("held_token"),
    idempotency_records.c.lease_expires_at.is_not(None),
)
_claimed: dict[str, Any] = {column: bindparam(column) for column in ("request_hash", "token", "lease_expires_at")}


def _claim(upsert: Any) -> ClauseElement:
    fresh = upsert(idempotency_records).values(
        tenant_id=bindparam("of_tenant"),
        door=bindparam("at_door"),
        key=bindparam("named"),
        updated_at=bindparam("now"),
        **_claimed,
    )
    claimed: ClauseElement = fresh.on_conflict_do_update(
        index_elements=[idempotency_records.c.tenant_id, idempotency_records.c.door, idempotency_records.c.key],
        set_={**_claimed, "updated_at": bindparam("now")},
        where=idempotency_records.c.lease_expires_at <= bindparam("now"),
    ).returning(idempotency_records.c.id)
    return claimed


CLAIM = Statement(_claim(sqlite.insert), postgresql=_claim(postgresql.insert))
FIND = Statement(
    select(
        idempotency_records.c.request_hash,
        idempotency_records.c.lease_expires_at,
        idempotency_records.c.status,
        idempotency_records.c.headers,
        idempotency_records.c.body,
    ).where(*_named)
)
EXTEND = Statement(
    update(idempotency_records)
    .where(*_held)
    .values(lease_expires_at=bindparam("expires_at"))
    .returning(idempotency_records.c.id)
)
KEEP = Statement(
    update(idempotency_records)
    .where(*_held)
    .values(
        lease_expires_at=None,
        status=bindparam("new_status"),
        headers=bindparam("new_headers"),
        body=bindparam("new_body"),
        updated_at=bindparam("now"),
    )
    .returning(idempotency_records.c.id)
)
FORGET = Statement(delete(idempotency_records).where(*_held))
PRUNE = Statement(
    delete(idempotency_records)
    .where(
        idempotency_records.c.id.in_(
            select(idempotency_records.c.id)
            .where(
                idempotency_records.c.updated_at < bindparam("before"),
                or_(
                    idempotency_records.c.lease_expires_at.is_(None),
                    idempotency_records.c.lease_expires_at <= bindparam("now"),
                ),
            )
            .order_by(idempotency_records.c.updated_at)
            .limit(at_most(BATCH))
        )
    )
    .returning(idempotency_records.c.id)
)


def begin(tx: Transaction, call: IdempotentRequest, lease_seconds: float) -> Operation[ClaimedRecord | StoredResponse]:
    """Claims the call, or finds its response. Raises IdempotencyConflict, CallInProgress, ResponseNotStored."""
    token = new_id("", tx.now)
    expires_at = tx.now + int(lease_seconds * 1000)
    names = {"of_tenant": call.tenant_id, "at_door": call.door, "named": call.key}
    if (yield CLAIM(**names, request_hash=call.request_hash, token=token, lease_expires_at=expires_at, now=tx.now)):
        return ClaimedRecord(call, token)
    found = yield FIND(**names)
    if not found:
        # Freed between the two statements, where the database lets others in.
        raise CallInProgress(IN_PROGRESS)
    record = found[0]
    if record.request_hash != call.request_hash:
        raise IdempotencyConflict("this Idempotency-Key was used with another body; use a new key for a new request")
    if record.lease_expires_at is not None:
        raise CallInProgress(IN_PROGRESS)
    if record.status is None:
        raise ResponseNotStored("this request was answered, with what is not stored; use a new key to ask anew")
    return StoredResponse(record.status, json.loads(record.headers), bytes(record.body))


def extend(tx: Transaction, claim: ClaimedRecord, lease_seconds: float) -> Operation[bool]:
    return bool((yield _of(EXTEND, claim, expires_at=tx.now + int(lease_seconds * 1000))))


def keep(tx: Transaction, claim: ClaimedRecord, response: StoredResponse | None) -> Operation[bool]:
    """None: the call was answered, but with more than is kept."""
    status = None if response is None else response.status
    headers = None if response is None else json.dumps(dict(response.headers))
    body = None if response is None else response.body
    return bool((yield _of(KEEP, claim, now=tx.now, new_status=status, new_headers=headers, new_body=body)))


def forget(_: Transaction, claim: ClaimedRecord) -> Operation[None]:
    """Frees the key of a call that was not answered."""
    yield _of(FORGET, claim)


def prune(tx: Transaction, retention_ms: int) -> Operation[int]:
    """Deletes a batch of what is older than a day, or than `retention_ms` where that is less; returns how many."""
    return len((yield PRUNE(before=tx.now - min(KEPT_MS, retention_ms), now=tx.now)))


def _of(statement: Statement, claim: ClaimedRecord, **values: object) -> Query:
    call = claim.call
    return statement(of_tenant=call.tenant_id, at_door=call.door, named=call.key, held_token=claim.token, **values)


class IdempotencyStore:
    """Idempotency records, in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin_call(self, call: IdempotentRequest, lease_seconds: float) -> ClaimedRecord | StoredResponse:
        """The response that the same call had before, or the call for this caller to answer. Raises
        IdempotencyConflict, CallInProgress, ResponseNotStored."""
        return await self._database.write.run(lambda tx: begin(tx, call, lease_seconds))

    async def extend_call(self, claim: ClaimedRecord, lease_seconds: float) -> bool:
        """Whether the call is still the caller's."""
        return await self._database.write.run(lambda tx: extend(tx, claim, lease_seconds))

    async def keep_response(self, claim: ClaimedRecord, response: StoredResponse | None) -> bool:
        """Ends the call, None: without its response, which is too large. False, and nothing changed, when it is no
        longer the caller's."""
        return await self._database.write.run(lambda tx: keep(tx, claim, response))

    async def forget_call(self, claim: ClaimedRecord) -> None:
        """Frees the key of a call that was not answered; one that was, or is no longer the caller's, stays."""
        await self._database.write.run(lambda tx: forget(tx, claim))
