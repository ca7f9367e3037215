"""What holds a call with a key: beats while it is answered, and gives way to a database that does not."""

import asyncio

import pytest

from answerback.http.idempotency import HeldRecord, IdempotencyRecords
from answerback.http.idempotency_model import ClaimedRecord, IdempotentRequest, StoredResponse
from answerback.jobs.store import SqlStore
from answerback.kernel.errors import CallInProgress, StorageUnavailable
from builders import TENANT, Journal

CALL = IdempotentRequest(TENANT, "/api/ask", "order-7", "hash")
RESPONSE = StoredResponse(200, {}, b"paid for")


class Flaky:
    """A database that takes the claim, and nothing after it; counts what it was asked."""

    def __init__(self) -> None:
        self.beats = asyncio.Semaphore(0)

    async def begin_call(self, call: IdempotentRequest, lease_seconds: float) -> ClaimedRecord:
        return ClaimedRecord(call, "token")

    async def extend_call(self, claim: ClaimedRecord, lease_seconds: float) -> bool:
        self.beats.release()
        raise StorageUnavailable("locked")

    async def keep_response(self, claim: ClaimedRecord, response: StoredResponse | None) -> bool:
        raise StorageUnavailable("full")

    async def forget_call(self, claim: ClaimedRecord) -> None:
        raise StorageUnavailable("full")


async def held(calls: IdempotencyRecords) -> HeldRecord:
    begun = await calls.begin(CALL)
    assert isinstance(begun, HeldRecord)
    return begun


async def test_a_call_is_held_until_it_is_freed(store: SqlStore, journal: Journal) -> None:
    calls = IdempotencyRecords(store, 60, journal)
    call = await held(calls)
    with pytest.raises(CallInProgress):
        await calls.begin(CALL)

    await call.free()
    await call.free()

    await (await held(calls)).free()


async def test_a_call_that_was_kept_is_not_freed(store: SqlStore, journal: Journal) -> None:
    calls = IdempotencyRecords(store, 60, journal)
    call = await held(calls)

    await call.keep(RESPONSE)
    await call.free()

    assert await calls.begin(CALL) == RESPONSE
    assert journal.events == ["response_replayed"]


async def test_the_lease_is_extended_for_as_long_as_the_call_takes_whatever_the_database_says(journal: Journal) -> None:
    database = Flaky()
    call = await held(IdempotencyRecords(database, 0.01, journal))  # type: ignore[arg-type]

    async with asyncio.timeout(10):
        for _ in range(3):
            await database.beats.acquire()

    await call.free()
    assert "heartbeat_missed" in journal.events


async def test_a_heartbeat_that_breaks_is_logged_and_made_again(journal: Journal) -> None:
    class Broken(Flaky):
        async def extend_call(self, claim: ClaimedRecord, lease_seconds: float) -> bool:
            self.beats.release()
            raise ValueError("deadlock detected")

    database = Broken()
    call = await held(IdempotencyRecords(database, 0.01, journal))  # type: ignore[arg-type]

    async with asyncio.timeout(10):
        for _ in range(3):
            await database.beats.acquire()

    await call.free()
    assert "heartbeat_broke" in journal.events


async def test_an_answer_goes_out_though_the_database_cannot_keep_it(journal: Journal) -> None:
    call = await held(IdempotencyRecords(Flaky(), 60, journal))  # type: ignore[arg-type]

    await call.keep(RESPONSE)
    await call.free()

    assert journal.events == ["response_not_kept"]
