"""Calls with a key: each claimed by one caller at a time, its response kept for a day.

A claim is fenced by a token of its own rather than by an epoch: its row is deleted when the key is freed, and a new row
would count from the beginning.
"""

import json
from typing import Any

from sqlalchemy import bindparam, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import ClauseElement

from answerback.domain.errors import CallInProgress, IdempotencyConflict, ResponseNotKept
from answerback.domain.idempotency import ClaimedCall, KeptResponse, KeyedCall
from answerback.domain.ids import new_id
from answerback.storage.operation import Operation, Query, Statement, Transaction
from answerback.storage.records import at_most
from answerback.storage.tables import kept_responses

KEPT_MS = 86_400_000
"""A day, as clients know it from Stripe and others: longer than anyone tries the same call again."""

BATCH = 50
"""Fewer than of other rows: a body may have megabytes, each page of which is visited when it goes."""

_named = (
    kept_responses.c.tenant_id == bindparam("of_tenant"),
    kept_responses.c.door == bindparam("at_door"),
    kept_responses.c.key == bindparam("named"),
)
_held = (*_named, kept_responses.c.token == bindparam("held_token"), kept_responses.c.lease_expires_at.is_not(None))
_claimed: dict[str, Any] = {column: bindparam(column) for column in ("request_hash", "token", "lease_expires_at")}


def _claim(upsert: Any) -> ClauseElement:
    fresh = upsert(kept_responses).values(
        tenant_id=bindparam("of_tenant"),
        door=bindparam("at_door"),
        key=bindparam("named"),
        updated_at=bindparam("now"),
        **_claimed,
    )
    claimed: ClauseElement = fresh.on_conflict_do_update(
        index_elements=[kept_responses.c.tenant_id, kept_responses.c.door, kept_responses.c.key],
        set_={**_claimed, "updated_at": bindparam("now")},
        where=kept_responses.c.lease_expires_at <= bindparam("now"),
    ).returning(kept_responses.c.id)
    return claimed


CLAIM = Statement(_claim(sqlite.insert), postgresql=_claim(postgresql.insert))
FIND = Statement(
    select(
        kept_responses.c.request_hash,
        kept_responses.c.lease_expires_at,
        kept_responses.c.status,
        kept_responses.c.headers,
        kept_responses.c.body,
    ).where(*_named)
)
EXTEND = Statement(
    update(kept_responses).where(*_held).values(lease_expires_at=bindparam("expires_at")).returning(kept_responses.c.id)
)
KEEP = Statement(
    update(kept_responses)
    .where(*_held)
    .values(
        lease_expires_at=None,
        status=bindparam("new_status"),
        headers=bindparam("new_headers"),
        body=bindparam("new_body"),
        updated_at=bindparam("now"),
    )
    .returning(kept_responses.c.id)
)
FORGET = Statement(delete(kept_responses).where(*_held))
PRUNE = Statement(
    delete(kept_responses)
    .where(
        kept_responses.c.id.in_(
            select(kept_responses.c.id)
            .where(
                kept_responses.c.updated_at < bindparam("before"),
                or_(kept_responses.c.lease_expires_at.is_(None), kept_responses.c.lease_expires_at <= bindparam("now")),
            )
            .order_by(kept_responses.c.updated_at)
            .limit(at_most(BATCH))
        )
    )
    .returning(kept_responses.c.id)
)


def begin(tx: Transaction, call: KeyedCall, lease_seconds: float) -> Operation[ClaimedCall | KeptResponse]:
    """Claims the call, or finds its response. Raises IdempotencyConflict, CallInProgress, ResponseNotKept."""
    token = new_id("", tx.now)
    expires_at = tx.now + int(lease_seconds * 1000)
    names = {"of_tenant": call.tenant_id, "at_door": call.door, "named": call.key}
    if (yield CLAIM(**names, request_hash=call.request_hash, token=token, lease_expires_at=expires_at, now=tx.now)):
        return ClaimedCall(call, token)
    found = yield FIND(**names)
    request_hash, lease, status, headers, body = found[0] if found else (call.request_hash, tx.now, None, None, None)
    if request_hash != call.request_hash:
        raise IdempotencyConflict("this Idempotency-Key was used with another body; use a new key for a new request")
    if lease is not None:
        raise CallInProgress("the first request with this Idempotency-Key is still being answered; send it again soon")
    if status is None:
        raise ResponseNotKept("this request was answered, with more than is kept; use a new key to ask anew")
    return KeptResponse(status, json.loads(headers), bytes(body))


def extend(tx: Transaction, claim: ClaimedCall, lease_seconds: float) -> Operation[bool]:
    return bool((yield _of(EXTEND, claim, expires_at=tx.now + int(lease_seconds * 1000))))


def keep(tx: Transaction, claim: ClaimedCall, response: KeptResponse | None) -> Operation[bool]:
    """None: the call was answered, but with more than is kept."""
    status = None if response is None else response.status
    headers = None if response is None else json.dumps(dict(response.headers))
    body = None if response is None else response.body
    return bool((yield _of(KEEP, claim, now=tx.now, new_status=status, new_headers=headers, new_body=body)))


def forget(_: Transaction, claim: ClaimedCall) -> Operation[None]:
    """Frees the key of a call that was not answered."""
    yield _of(FORGET, claim)


def prune(tx: Transaction, retention_ms: int) -> Operation[int]:
    """Deletes a batch of what is older than a day, or than `retention_ms` where that is less; returns how many."""
    return len((yield PRUNE(before=tx.now - min(KEPT_MS, retention_ms), now=tx.now)))


def _of(statement: Statement, claim: ClaimedCall, **values: object) -> Query:
    call = claim.call
    return statement(of_tenant=call.tenant_id, at_door=call.door, named=call.key, held_token=claim.token, **values)
