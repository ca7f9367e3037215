"""Calls with a key: one holder at a time, a response that stays, and a day after which nobody asks."""

import pytest

from answerback.http.idempotency_model import ClaimedRecord, IdempotentRequest, StoredResponse
from answerback.http.idempotency_store import BATCH
from answerback.jobs.store import SqlStore
from answerback.kernel.errors import CallInProgress, IdempotencyConflict, ResponseNotStored
from answerback.testing.clock import FakeClock
from builders import DAY, LEASE, TENANT
from databases import Database

CALL = IdempotentRequest(TENANT, "/api/ask", "order-7", "hash")
RESPONSE = StoredResponse(200, {"content-type": "text/plain"}, b"\x00 as it was \xff")


async def claim(store: SqlStore, call: IdempotentRequest = CALL) -> ClaimedRecord:
    claimed = await store.begin_call(call, LEASE)
    assert isinstance(claimed, ClaimedRecord)
    return claimed


def changed(**fields: str) -> IdempotentRequest:
    return IdempotentRequest(
        **{"tenant_id": TENANT, "door": CALL.door, "key": CALL.key, "request_hash": "hash", **fields}
    )


async def test_a_call_that_was_answered_has_its_response_for_good(store: SqlStore, clock: FakeClock) -> None:
    assert await store.keep_response(await claim(store), RESPONSE)
    clock.advance(10 * LEASE)

    assert await store.begin_call(CALL, LEASE) == RESPONSE
    assert await store.begin_call(CALL, LEASE) == RESPONSE


async def test_a_call_that_is_being_answered_is_nobody_elses(
    store: SqlStore, clock: FakeClock, database: Database
) -> None:
    await claim(store)
    clock.advance(LEASE - 0.001)
    before = await database.dump()

    with pytest.raises(CallInProgress):
        await store.begin_call(CALL, LEASE)

    assert await database.dump() == before


async def test_another_body_is_a_conflict_while_and_after_the_call_is_answered(
    store: SqlStore, database: Database
) -> None:
    claimed = await claim(store)
    with pytest.raises(IdempotencyConflict):
        await store.begin_call(changed(request_hash="other"), LEASE)
    await store.keep_response(claimed, RESPONSE)
    before = await database.dump()

    with pytest.raises(IdempotencyConflict):
        await store.begin_call(changed(request_hash="other"), LEASE)

    assert await database.dump() == before


@pytest.mark.parametrize("field", ["tenant_id", "door", "key"])
async def test_tenants_doors_and_keys_are_each_their_own(store: SqlStore, field: str) -> None:
    await store.keep_response(await claim(store), RESPONSE)

    await claim(store, changed(**{field: "another"}))


async def test_a_freed_key_is_free_for_any_body(store: SqlStore) -> None:
    await store.forget_call(await claim(store))

    await claim(store, changed(request_hash="other"))


async def test_a_kept_response_cannot_be_freed_nor_kept_again(store: SqlStore, database: Database) -> None:
    claimed = await claim(store)
    await store.keep_response(claimed, RESPONSE)
    before = await database.dump()

    await store.forget_call(claimed)
    assert not await store.keep_response(claimed, None)
    assert not await store.extend_call(claimed, LEASE)

    assert await database.dump() == before


async def test_a_lease_that_is_extended_holds(store: SqlStore, clock: FakeClock) -> None:
    claimed = await claim(store)
    clock.advance(LEASE - 1)
    assert await store.extend_call(claimed, LEASE)
    clock.advance(LEASE - 1)

    with pytest.raises(CallInProgress):
        await store.begin_call(CALL, LEASE)


async def test_a_key_is_free_once_its_lease_has_run_out_and_who_held_it_writes_nothing(
    store: SqlStore, clock: FakeClock, database: Database
) -> None:
    stale = await claim(store)
    clock.advance(LEASE)
    fresh = await claim(store, changed(request_hash="other"))
    before = await database.dump()

    assert not await store.keep_response(stale, RESPONSE)
    assert not await store.extend_call(stale, LEASE)
    await store.forget_call(stale)

    assert await database.dump() == before
    assert await store.keep_response(fresh, RESPONSE)


async def test_who_held_a_row_that_was_deleted_writes_nothing_to_the_next_one(
    store: SqlStore, clock: FakeClock, database: Database
) -> None:
    stale = await claim(store)
    clock.advance(2 * DAY)
    assert (await store.prune(30)).responses_pruned == 1
    await claim(store)
    before = await database.dump()

    assert not await store.keep_response(stale, RESPONSE)
    await store.forget_call(stale)

    assert await database.dump() == before


async def test_a_lease_that_ran_out_unnoticed_costs_no_answer(store: SqlStore, clock: FakeClock) -> None:
    claimed = await claim(store)
    clock.advance(2 * LEASE)

    assert await store.keep_response(claimed, RESPONSE)

    assert await store.begin_call(CALL, LEASE) == RESPONSE


async def test_a_response_too_large_to_keep_is_told_and_not_made_again(store: SqlStore, clock: FakeClock) -> None:
    await store.keep_response(await claim(store), None)
    clock.advance(10 * LEASE)

    with pytest.raises(ResponseNotStored):
        await store.begin_call(CALL, LEASE)


@pytest.mark.parametrize(("retention_days", "kept_seconds"), [(30, DAY), (0.5, DAY / 2)])
async def test_responses_are_deleted_after_a_day_or_the_retention_batch_by_batch(
    store: SqlStore, clock: FakeClock, database: Database, retention_days: float, kept_seconds: float
) -> None:
    for n in range(BATCH + 5):
        await store.keep_response(await claim(store, changed(key=f"old {n}")), RESPONSE)
    clock.advance(kept_seconds)
    assert (await store.prune(retention_days)).total == 0
    clock.advance(0.001)
    await store.keep_response(await claim(store, changed(key="new")), RESPONSE)

    assert [(await store.prune(retention_days)).responses_pruned for _ in range(3)] == [BATCH, 5, 0]

    assert await database.rows("SELECT key FROM replays") == [("new",)]


async def test_the_day_begins_with_the_answer_and_a_call_under_way_is_never_deleted(
    store: SqlStore, clock: FakeClock
) -> None:
    claimed = await claim(store)
    clock.advance(2 * DAY)
    await store.extend_call(claimed, LEASE)
    assert (await store.prune(30)).total == 0
    await store.keep_response(claimed, RESPONSE)
    clock.advance(DAY)

    assert (await store.prune(30)).total == 0
    assert await store.begin_call(CALL, LEASE) == RESPONSE
