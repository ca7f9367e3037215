"""Idempotency records: each claimed by one request at a time, its response stored for a day.

A claim is fenced by a token of its own rather than by an epoch: the row is deleted when its key is released, and a new
row would count from the beginning.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from answerback.database.operation import Database, Operation, Transaction
from answerback.database.pruning import pruning
from answerback.database.statement import Query, Statement
from answerback.kernel.errors import IdempotencyConflict, RequestInProgress, ResponseNotStored
from answerback.kernel.ids import new_id

STORED_MS = 86_400_000
"""A day, as clients know it from Stripe and others: longer than any client retries the same request."""

IN_PROGRESS = "the first request with this Idempotency-Key is still being answered; send it again soon"

BATCH = 50
"""Rows deleted at once, fewer than of other tables: a body may have megabytes, each page of which is visited."""


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """`key` is the client's, unique among the tenant's requests to one route (its path). `request_hash` differs for
    requests that ask for different things."""

    tenant_id: str
    route: str
    key: str
    request_hash: str


@dataclass(frozen=True, slots=True)
class ClaimedRecord:
    """A record claimed for the holder of `token`, which is never given out twice."""

    request: IdempotentRequest
    token: str


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response as it was sent the first time, without its `content-length`."""

    status: int
    headers: Mapping[str, str]
    body: bytes


_WITH_KEY = "tenant_id = :tenant_id AND route = :route AND key = :key"
_HELD = f"{_WITH_KEY} AND token = :token AND lease_expires_at IS NOT NULL"


CLAIM = Statement(
    """
    INSERT INTO idempotency_records (tenant_id, route, key, request_hash, token, lease_expires_at, updated_at)
    VALUES (:tenant_id, :route, :key, :request_hash, :token, :expires_at, :now)
    ON CONFLICT (tenant_id, route, key) DO UPDATE SET
        request_hash = :request_hash, token = :token, lease_expires_at = :expires_at, updated_at = :now
    WHERE idempotency_records.lease_expires_at <= :now
    RETURNING id"""
)
FIND = Statement(
    f"SELECT request_hash, lease_expires_at, status, headers, body FROM idempotency_records WHERE {_WITH_KEY}"
)
EXTEND = Statement(f"UPDATE idempotency_records SET lease_expires_at = :expires_at WHERE {_HELD} RETURNING id")
STORE = Statement(
    f"""
    UPDATE idempotency_records SET
        lease_expires_at = NULL, status = :status, headers = :headers, body = :body, updated_at = :now
    WHERE {_HELD}
    RETURNING id"""
)
RELEASE = Statement(f"DELETE FROM idempotency_records WHERE {_HELD}")
PRUNE = pruning("idempotency_records", "updated_at", BATCH, "(lease_expires_at IS NULL OR lease_expires_at <= :now)")


def claim(
    tx: Transaction, request: IdempotentRequest, lease_seconds: float
) -> Operation[ClaimedRecord | StoredResponse]:
    """Raises IdempotencyConflict, RequestInProgress, ResponseNotStored."""
    claimed = ClaimedRecord(request, new_id("", tx.now))
    expires_at = _ends(tx, lease_seconds)
    if (yield _held_by(CLAIM, claimed, request_hash=request.request_hash, expires_at=expires_at, now=tx.now)):
        return claimed
    found = yield FIND(**_names(request))
    if not found:
        # The key was released between the two statements: PostgreSQL runs writers side by side.
        raise RequestInProgress(IN_PROGRESS)
    record = found[0]
    if record.request_hash != request.request_hash:
        raise IdempotencyConflict("this Idempotency-Key was used with another body; use a new key for a new request")
    if record.lease_expires_at is not None:
        raise RequestInProgress(IN_PROGRESS)
    if record.status is None:
        raise ResponseNotStored("this request was answered, but its response was not stored; use a new key to ask anew")
    return StoredResponse(record.status, json.loads(record.headers), bytes(record.body))


def extend(tx: Transaction, claimed: ClaimedRecord, lease_seconds: float) -> Operation[bool]:
    return bool((yield _held_by(EXTEND, claimed, expires_at=_ends(tx, lease_seconds))))


def store(tx: Transaction, claimed: ClaimedRecord, response: StoredResponse | None) -> Operation[bool]:
    status = None if response is None else response.status
    headers = None if response is None else json.dumps(dict(response.headers))
    body = None if response is None else response.body
    return bool((yield _held_by(STORE, claimed, now=tx.now, status=status, headers=headers, body=body)))


def release(_: Transaction, claimed: ClaimedRecord) -> Operation[None]:
    yield _held_by(RELEASE, claimed)


def prune(tx: Transaction, retention_ms: int) -> Operation[int]:
    """Deletes a batch of what is older than a day, or than `retention_ms` where that is less; returns how many."""
    return len((yield PRUNE(before=tx.now - min(STORED_MS, retention_ms), now=tx.now)))


def _held_by(statement: Statement, claimed: ClaimedRecord, **values: object) -> Query:
    return statement(**_names(claimed.request), token=claimed.token, **values)


def _names(request: IdempotentRequest) -> dict[str, str]:
    return {"tenant_id": request.tenant_id, "route": request.route, "key": request.key}


def _ends(tx: Transaction, lease_seconds: float) -> int:
    return tx.now + int(lease_seconds * 1000)


class IdempotencyStore:
    """Idempotency records in the database. Every method is one transaction and raises StorageUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim_request(self, request: IdempotentRequest, lease_seconds: float) -> ClaimedRecord | StoredResponse:
        """A claim, or the stored response if the request was answered. Raises IdempotencyConflict, RequestInProgress,
        ResponseNotStored."""
        return await self._database.write.run(lambda tx: claim(tx, request, lease_seconds), tenant_id=request.tenant_id)

    async def extend_claim(self, claimed: ClaimedRecord, lease_seconds: float) -> bool:
        """False once the claim is lost."""
        return await self._database.write.run(
            lambda tx: extend(tx, claimed, lease_seconds), tenant_id=claimed.request.tenant_id
        )

    async def store_response(self, claimed: ClaimedRecord, response: StoredResponse | None) -> bool:
        """Ends the claim; None stands for a response that is not to be stored. False, and nothing written, once the
        claim is lost."""
        return await self._database.write.run(
            lambda tx: store(tx, claimed, response), tenant_id=claimed.request.tenant_id
        )

    async def release_claim(self, claimed: ClaimedRecord) -> None:
        """Frees the key of a request without a response. Does nothing once one is stored or the claim is lost."""
        await self._database.write.run(lambda tx: release(tx, claimed), tenant_id=claimed.request.tenant_id)

    async def prune(self, retention_ms: int) -> int:
        """Deletes a batch of what is older than a day, or than `retention_ms` where that is less; how many."""
        return await self._database.write.run(lambda tx: prune(tx, retention_ms))
