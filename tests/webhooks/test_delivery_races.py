"""Two processes that meet over the same deliveries: on PostgreSQL nothing else keeps them apart than their locks."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator

import asyncpg
import pytest
from owing import ALIVE, claim, owe, urls

from answerback.jobs.store import SqlStore
from answerback.testing.clock import FakeClock
from answerback.webhooks.events import EventType
from answerback.webhooks.model import OriginRoom
from builders import (
    LEASE,
    REPORT,
    TENANT,
    accept,
    claim_deliveries,
    claim_delivery,
    claim_job,
    ended_job,
    finish,
    owed_delivery,
)
from databases import PostgresDatabase
from racing import blocked, held


@pytest.fixture
async def store(postgres: PostgresDatabase, clock: FakeClock) -> AsyncIterator[SqlStore]:
    opened = await postgres.open(clock)
    yield opened
    await opened.close()


@pytest.fixture
async def other(postgres: PostgresDatabase, clock: FakeClock) -> AsyncIterator[SqlStore]:
    opened = await postgres.open(clock)
    yield opened
    await opened.close()


async def test_two_claims_at_once_share_what_is_due_and_neither_waits(store: SqlStore, other: SqlStore) -> None:
    await owe(store, 4)
    await owe(store, 1, "https://another.example/")

    async with held(other, claim(other, {ALIVE: OriginRoom(2)}, limit=2)) as claiming:
        mine = await claim(store)
        theirs = await claiming.commit()

    assert len(theirs.deliveries) == 2
    assert len(mine.deliveries) == 3
    assert not {each.id for each in mine.deliveries} & {each.id for each in theirs.deliveries}


async def test_what_a_claim_that_is_rolled_back_had_locked_is_found_by_the_next(
    store: SqlStore, postgres: PostgresDatabase
) -> None:
    await owe(store, 2)
    connection = await asyncpg.connect(postgres.url)
    try:
        await connection.execute("BEGIN; SELECT id FROM deliveries FOR UPDATE")
        assert (await claim(store)).deliveries == []
    finally:
        await connection.close()

    assert len((await claim(store)).deliveries) == 2


async def test_a_delivery_added_while_the_one_before_it_settles_is_not_forgotten(
    store: SqlStore, other: SqlStore, postgres: PostgresDatabase
) -> None:
    delivery = await owed_delivery(store)
    await accept(store)
    job = await claim_job(store)

    async with held(other, other.delivered(delivery, REPORT)) as settling:
        ending = await blocked(postgres, finish(store, job))
        await settling.commit()
        assert await ending

    assert (await claim_delivery(store)).job_id == job.id


async def test_a_delivery_that_settles_while_one_is_added_behind_it_releases_that(
    store: SqlStore, other: SqlStore, postgres: PostgresDatabase
) -> None:
    delivery = await owed_delivery(store)
    await accept(store)
    job = await claim_job(store)

    async with held(other, finish(other, job)) as ending:
        settling = await blocked(postgres, store.delivered(delivery, REPORT))
        await ending.commit()
        assert await settling

    assert (await claim_delivery(store)).job_id == job.id


async def test_a_lease_that_is_being_recovered_is_not_reported_on(
    store: SqlStore, other: SqlStore, postgres: PostgresDatabase, clock: FakeClock
) -> None:
    delivery = await owed_delivery(store)
    clock.advance(LEASE)

    async with held(other, other.recover_deliveries()) as recovering:
        reporting = await blocked(postgres, store.send_later(delivery, 5.0, REPORT))
        assert await recovering.commit() == 1
        assert not await reporting

    assert (await claim_delivery(store)).attempt == 2


async def test_a_report_that_comes_first_is_not_recovered(
    store: SqlStore, other: SqlStore, postgres: PostgresDatabase, clock: FakeClock
) -> None:
    delivery = await owed_delivery(store)
    clock.advance(LEASE)

    async with held(other, other.delivered(delivery, REPORT)) as reporting:
        recovering = await blocked(postgres, store.recover_deliveries())
        assert await reporting.commit()
        assert await recovering == 0


async def test_an_endpoint_that_is_created_while_a_job_ends_is_notified_from_its_commit_on(
    store: SqlStore, other: SqlStore
) -> None:
    creating = other.create_endpoint(TENANT, "e", "https://e.example/", [EventType.MESSAGE_COMPLETED])
    async with held(other, creating) as created:
        await ended_job(store)
        await created.commit()
    assert urls(await claim(store)) == ["https://receiver.example/hook"]

    await ended_job(store, session="another")

    assert len((await claim(store)).deliveries) == 2


@pytest.mark.parametrize("seed", range(3))
async def test_in_a_storm_each_destination_gets_each_conversation_in_order_and_everything_arrives(
    store: SqlStore, other: SqlStore, postgres: PostgresDatabase, clock: FakeClock, seed: int
) -> None:
    """Two processes claim, settle, retry, lose and recover; each conversation has a URL and an endpoint."""
    draw = random.Random(seed)
    await store.create_endpoint(TENANT, "e", "https://e.example/", [EventType.MESSAGE_COMPLETED])
    for session in ("a", "b", "c"):
        await owe(store, 6, session=session)
    position = dict(await postgres.rows("SELECT id, position FROM deliveries"))
    settled: dict[tuple[int | None, str], list[int]] = {}

    async def step(process: SqlStore) -> None:
        for each in await claim_deliveries(process, limit=draw.randrange(1, 5)):
            match draw.randrange(6):
                case 0:
                    await process.send_later(each, 1.0, REPORT, unreached=draw.random() < 0.5)
                case 1:
                    await process.release_deliveries([(each.id, each.epoch, 0.0)])
                case 2:
                    continue  # The worker vanishes.
                case _:
                    if await process.delivered(each, REPORT):
                        key = (each.conversation_id, each.destination)
                        settled.setdefault(key, []).append(position[each.id])

    while await postgres.rows("SELECT 1 FROM deliveries WHERE state NOT IN ('delivered', 'dead') LIMIT 1"):
        await asyncio.gather(*(step(process) for process in (store, other, store, other)))
        clock.advance(draw.choice([0.5, 2.0, LEASE]))
        await asyncio.gather(store.recover_deliveries(), other.recover_deliveries())

    assert Counter(map(tuple, settled.values())) == {(1, 2, 3, 4, 5, 6): 6}
    assert await postgres.rows("SELECT count(*) FROM deliveries WHERE state != 'delivered'") == [(0,)]
