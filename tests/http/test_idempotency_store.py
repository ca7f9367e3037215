"""Idempotency records: claimed by one request at a time, with a response that stays for a day."""

import pytest

from answerback.database.operation import Database as Opened
from answerback.http.idempotency_store import (
    BATCH,
    ClaimedRecord,
    IdempotencyStore,
    IdempotentRequest,
    StoredResponse,
    prune,
)
from answerback.kernel.errors import IdempotencyConflict, RequestInProgress, ResponseNotStored
from answerback.testing.clock import FakeClock
from builders import DAY, LEASE, TENANT
from databases import Database

REQUEST = IdempotentRequest(TENANT, "/api/ask", "order-7", "hash")
RESPONSE = StoredResponse(200, {"content-type": "text/plain"}, b"\x00 as it was \xff")


async def claim(idempotency: IdempotencyStore, request: IdempotentRequest = REQUEST) -> ClaimedRecord:
    claimed = await idempotency.claim_request(request, LEASE)
    assert isinstance(claimed, ClaimedRecord)
    return claimed


async def pruned(opened: Opened, retention_days: float = 30) -> int:
    return await opened.write.run(lambda tx: prune(tx, int(retention_days * DAY * 1000)))


def changed(**fields: str) -> IdempotentRequest:
    return IdempotentRequest(
        **{"tenant_id": TENANT, "route": REQUEST.route, "key": REQUEST.key, "request_hash": "hash", **fields}
    )


async def test_an_answered_request_gets_its_stored_response(idempotency: IdempotencyStore, clock: FakeClock) -> None:
    assert await idempotency.store_response(await claim(idempotency), RESPONSE)
    clock.advance(10 * LEASE)

    assert await idempotency.claim_request(REQUEST, LEASE) == RESPONSE
    assert await idempotency.claim_request(REQUEST, LEASE) == RESPONSE


async def test_a_request_that_is_being_answered_excludes_others_with_its_key(
    idempotency: IdempotencyStore, clock: FakeClock, database: Database
) -> None:
    await claim(idempotency)
    clock.advance(LEASE - 0.001)
    before = await database.dump()

    with pytest.raises(RequestInProgress):
        await idempotency.claim_request(REQUEST, LEASE)

    assert await database.dump() == before


async def test_another_body_is_a_conflict_while_and_after_the_request_is_answered(
    idempotency: IdempotencyStore, database: Database
) -> None:
    claimed = await claim(idempotency)
    with pytest.raises(IdempotencyConflict):
        await idempotency.claim_request(changed(request_hash="other"), LEASE)
    await idempotency.store_response(claimed, RESPONSE)
    before = await database.dump()

    with pytest.raises(IdempotencyConflict):
        await idempotency.claim_request(changed(request_hash="other"), LEASE)

    assert await database.dump() == before


@pytest.mark.parametrize("field", ["tenant_id", "route", "key"])
async def test_a_record_belongs_to_one_tenant_route_and_key(idempotency: IdempotencyStore, field: str) -> None:
    await idempotency.store_response(await claim(idempotency), RESPONSE)

    await claim(idempotency, changed(**{field: "another"}))


async def test_a_released_key_is_free_for_any_body(idempotency: IdempotencyStore) -> None:
    await idempotency.release_claim(await claim(idempotency))

    await claim(idempotency, changed(request_hash="other"))


async def test_a_stored_response_is_neither_released_nor_replaced(
    idempotency: IdempotencyStore, database: Database
) -> None:
    claimed = await claim(idempotency)
    await idempotency.store_response(claimed, RESPONSE)
    before = await database.dump()

    await idempotency.release_claim(claimed)
    assert not await idempotency.store_response(claimed, None)
    assert not await idempotency.extend_claim(claimed, LEASE)

    assert await database.dump() == before


async def test_an_extended_claim_holds(idempotency: IdempotencyStore, clock: FakeClock) -> None:
    claimed = await claim(idempotency)
    clock.advance(LEASE - 1)
    assert await idempotency.extend_claim(claimed, LEASE)
    clock.advance(LEASE - 1)

    with pytest.raises(RequestInProgress):
        await idempotency.claim_request(REQUEST, LEASE)


async def test_a_claim_whose_lease_expired_is_lost_and_writes_nothing(
    idempotency: IdempotencyStore, clock: FakeClock, database: Database
) -> None:
    stale = await claim(idempotency)
    clock.advance(LEASE)
    fresh = await claim(idempotency, changed(request_hash="other"))
    before = await database.dump()

    assert not await idempotency.store_response(stale, RESPONSE)
    assert not await idempotency.extend_claim(stale, LEASE)
    await idempotency.release_claim(stale)

    assert await database.dump() == before
    assert await idempotency.store_response(fresh, RESPONSE)


async def test_a_claim_whose_row_was_deleted_writes_nothing_to_the_next_row(
    idempotency: IdempotencyStore, opened: Opened, clock: FakeClock, database: Database
) -> None:
    stale = await claim(idempotency)
    clock.advance(2 * DAY)
    assert await pruned(opened) == 1
    await claim(idempotency)
    before = await database.dump()

    assert not await idempotency.store_response(stale, RESPONSE)
    await idempotency.release_claim(stale)

    assert await database.dump() == before


async def test_an_expired_lease_that_no_other_request_claimed_stores_its_response(
    idempotency: IdempotencyStore, clock: FakeClock
) -> None:
    claimed = await claim(idempotency)
    clock.advance(2 * LEASE)

    assert await idempotency.store_response(claimed, RESPONSE)

    assert await idempotency.claim_request(REQUEST, LEASE) == RESPONSE


async def test_a_request_whose_response_was_too_large_to_store_is_refused(
    idempotency: IdempotencyStore, clock: FakeClock
) -> None:
    await idempotency.store_response(await claim(idempotency), None)
    clock.advance(10 * LEASE)

    with pytest.raises(ResponseNotStored):
        await idempotency.claim_request(REQUEST, LEASE)


@pytest.mark.parametrize(("retention_days", "stored_seconds"), [(30, DAY), (0.5, DAY / 2)])
async def test_responses_are_deleted_after_a_day_or_the_retention_batch_by_batch(
    idempotency: IdempotencyStore,
    opened: Opened,
    clock: FakeClock,
    database: Database,
    retention_days: float,
    stored_seconds: float,
) -> None:
    for n in range(BATCH + 5):
        await idempotency.store_response(await claim(idempotency, changed(key=f"old {n}")), RESPONSE)
    clock.advance(stored_seconds)
    assert await pruned(opened, retention_days) == 0
    clock.advance(0.001)
    await idempotency.store_response(await claim(idempotency, changed(key="new")), RESPONSE)

    assert [await pruned(opened, retention_days) for _ in range(3)] == [BATCH, 5, 0]

    assert await database.rows("SELECT key FROM idempotency_records") == [("new",)]


async def test_the_day_begins_with_the_response_and_a_claimed_record_is_never_deleted(
    idempotency: IdempotencyStore, opened: Opened, clock: FakeClock
) -> None:
    claimed = await claim(idempotency)
    clock.advance(2 * DAY)
    await idempotency.extend_claim(claimed, LEASE)
    assert await pruned(opened) == 0
    await idempotency.store_response(claimed, RESPONSE)
    clock.advance(DAY)

    assert await pruned(opened) == 0
    assert await idempotency.claim_request(REQUEST, LEASE) == RESPONSE
