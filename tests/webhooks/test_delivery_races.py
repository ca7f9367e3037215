"""Two processes that meet over the same deliveries: on PostgreSQL nothing else keeps them apart than their locks."""

import asyncio
import random
from collections import Counter

import asyncpg
import pytest
from owing import ALIVE, COMPLETED, claim, owe, urls

from answerback.testing.clock import FakeClock
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
from stores import Stores


@pytest.fixture
def stores(one: Stores) -> Stores:
    return one


async def test_two_claims_at_once_share_what_is_due_and_neither_waits(stores: Stores, other: Stores) -> None:
    await owe(stores, 4)
    await owe(stores, 1, "https://another.example/")

    async with held(other, claim(other, {ALIVE: OriginRoom(2)}, limit=2)) as claiming:
        mine = await claim(stores)
        theirs = await claiming.commit()

    assert len(theirs.deliveries) == 2
    assert len(mine.deliveries) == 3
    assert not {each.id for each in mine.deliveries} & {each.id for each in theirs.deliveries}


async def test_what_a_claim_that_is_rolled_back_had_locked_is_found_by_the_next(
    stores: Stores, postgres: PostgresDatabase
) -> None:
    await owe(stores, 2)
    connection = await asyncpg.connect(postgres.url)
    try:
        await connection.execute("BEGIN; SELECT id FROM deliveries FOR UPDATE")
        assert (await claim(stores)).deliveries == []
    finally:
        await connection.close()

    assert len((await claim(stores)).deliveries) == 2


async def test_a_delivery_added_while_the_one_before_it_settles_is_not_forgotten(
    stores: Stores, other: Stores, postgres: PostgresDatabase
) -> None:
    delivery = await owed_delivery(stores)
    await accept(stores)
    job = await claim_job(stores)

    async with held(other, other.deliveries.delivered(delivery, REPORT)) as settling:
        ending = await blocked(postgres, finish(stores, job))
        await settling.commit()
        assert await ending

    assert (await claim_delivery(stores)).job_id == job.id


async def test_a_delivery_that_settles_while_one_is_added_behind_it_releases_that(
    stores: Stores, other: Stores, postgres: PostgresDatabase
) -> None:
    delivery = await owed_delivery(stores)
    await accept(stores)
    job = await claim_job(stores)

    async with held(other, finish(other, job)) as ending:
        settling = await blocked(postgres, stores.deliveries.delivered(delivery, REPORT))
        await ending.commit()
        assert await settling

    assert (await claim_delivery(stores)).job_id == job.id


async def test_a_lease_that_is_being_recovered_is_not_reported_on(
    stores: Stores, other: Stores, postgres: PostgresDatabase, clock: FakeClock
) -> None:
    delivery = await owed_delivery(stores)
    clock.advance(LEASE)

    async with held(other, other.deliveries.recover()) as recovering:
        reporting = await blocked(postgres, stores.deliveries.send_later(delivery, 5.0, REPORT))
        assert await recovering.commit() == 1
        assert not await reporting

    assert (await claim_delivery(stores)).attempt == 2


async def test_a_report_that_comes_first_is_not_recovered(
    stores: Stores, other: Stores, postgres: PostgresDatabase, clock: FakeClock
) -> None:
    delivery = await owed_delivery(stores)
    clock.advance(LEASE)

    async with held(other, other.deliveries.delivered(delivery, REPORT)) as reporting:
        recovering = await blocked(postgres, stores.deliveries.recover())
        assert await reporting.commit()
        assert await recovering == 0


async def test_an_endpoint_that_is_created_while_a_job_ends_is_notified_from_its_commit_on(
    stores: Stores, other: Stores
) -> None:
    creating = other.endpoints.create(TENANT, "e", "https://e.example/", [COMPLETED])
    async with held(other, creating) as created:
        await ended_job(stores)
        await created.commit()
    assert urls(await claim(stores)) == ["https://receiver.example/hook"]

    await ended_job(stores, session="another")

    assert len((await claim(stores)).deliveries) == 2


@pytest.mark.parametrize("seed", range(3))
async def test_in_a_storm_each_destination_gets_each_conversation_in_order_and_everything_arrives(
    stores: Stores, other: Stores, postgres: PostgresDatabase, clock: FakeClock, seed: int
) -> None:
    """Two processes claim, settle, retry, lose and recover; each conversation has a URL and an endpoint."""
    draw = random.Random(seed)
    await stores.endpoints.create(TENANT, "e", "https://e.example/", [COMPLETED])
    for session in ("a", "b", "c"):
        await owe(stores, 6, session=session)
    position = dict(await postgres.rows("SELECT id, position FROM deliveries"))
    settled: dict[tuple[int | None, str], list[int]] = {}

    async def step(process: Stores) -> None:
        for each in await claim_deliveries(process, limit=draw.randrange(1, 5)):
            match draw.randrange(6):
                case 0:
                    await process.deliveries.send_later(each, 1.0, REPORT, unreached=draw.random() < 0.5)
                case 1:
                    await process.deliveries.release([(each.id, each.epoch)])
                case 2:
                    continue  # The worker vanishes.
                case _:
                    if await process.deliveries.delivered(each, REPORT):
                        key = (each.conversation_id, each.destination)
                        settled.setdefault(key, []).append(position[each.id])

    while await postgres.rows("SELECT 1 FROM deliveries WHERE state NOT IN ('delivered', 'dead') LIMIT 1"):
        await asyncio.gather(*(step(process) for process in (stores, other, stores, other)))
        clock.advance(draw.choice([0.5, 2.0, LEASE]))
        await asyncio.gather(stores.deliveries.recover(), other.deliveries.recover())

    assert Counter(map(tuple, settled.values())) == {(1, 2, 3, 4, 5, 6): 6}
    assert await postgres.rows("SELECT count(*) FROM deliveries WHERE state != 'delivered'") == [(0,)]
