"""A claimed record is extended while its request is answered, and a database that fails costs no response."""

import asyncio

import pytest

from answerback.http.idempotency import HeldRecord, IdempotencyRecords
from answerback.http.idempotency_store import ClaimedRecord, IdempotencyStore, IdempotentRequest, StoredResponse
from answerback.kernel.errors import RequestInProgress, StorageUnavailable
from builders import TENANT, Journal

REQUEST = IdempotentRequest(TENANT, "/api/ask", "order-7", "hash")
RESPONSE = StoredResponse(200, {}, b"paid for")


class Failing:
    """A store that claims, and then fails; counts the heartbeats."""

    def __init__(self, heartbeat: Exception | None = None) -> None:
        self.heartbeats = asyncio.Semaphore(0)
        self._heartbeat = heartbeat or StorageUnavailable("locked")

    async def claim_request(self, request: IdempotentRequest, lease_seconds: float) -> ClaimedRecord:
        return ClaimedRecord(request, "token")

    async def extend_claim(self, claimed: ClaimedRecord, lease_seconds: float) -> bool:
        self.heartbeats.release()
        raise self._heartbeat

    async def store_response(self, claimed: ClaimedRecord, response: StoredResponse | None) -> bool:
        raise StorageUnavailable("full")

    async def release_claim(self, claimed: ClaimedRecord) -> None:
        raise StorageUnavailable("full")

    async def three_heartbeats(self) -> None:
        async with asyncio.timeout(10):
            for _ in range(3):
                await self.heartbeats.acquire()


async def held(records: IdempotencyRecords) -> HeldRecord:
    record = await records.claim(REQUEST)
    assert isinstance(record, HeldRecord)
    return record


async def test_a_key_is_claimed_until_it_is_released(idempotency: IdempotencyStore, journal: Journal) -> None:
    records = IdempotencyRecords(idempotency, 60, journal)
    record = await held(records)
    with pytest.raises(RequestInProgress):
        await records.claim(REQUEST)

    await record.release()
    await record.release()

    await (await held(records)).release()


async def test_a_record_with_a_stored_response_is_not_released(idempotency: IdempotencyStore, journal: Journal) -> None:
    records = IdempotencyRecords(idempotency, 60, journal)
    record = await held(records)

    await record.store(RESPONSE)
    await record.release()

    assert await records.claim(REQUEST) == RESPONSE
    assert journal.events == ["response_repeated"]


@pytest.mark.parametrize(
    ("error", "event"),
    [(StorageUnavailable("locked"), "heartbeat_missed"), (ValueError("deadlock detected"), "heartbeat_broke")],
)
async def test_a_heartbeat_that_fails_is_logged_and_sent_again(journal: Journal, error: Exception, event: str) -> None:
    stores = Failing(heartbeat=error)
    record = await held(IdempotencyRecords(stores, 0.01, journal))  # type: ignore[arg-type]

    await stores.three_heartbeats()

    await record.release()
    assert event in journal.events


async def test_a_database_that_cannot_store_the_response_is_only_logged(journal: Journal) -> None:
    record = await held(IdempotencyRecords(Failing(), 60, journal))  # type: ignore[arg-type]

    await record.store(RESPONSE)
    await record.release()

    assert journal.events == ["response_not_stored"]
