"""Claiming callbacks past origins that can take no more now: those of the dead wait in line, those of the living go."""

import asyncio

from answerback.jobs.ports import Claims

from answerback.jobs.finish import DELIVERY_DEADLINE_MS
from answerback.jobs.store import SqlStore
from answerback.testing.clock import FakeClock
from answerback.webhooks.model import ClaimedDelivery, DeliveryState, OriginLine
from builders import LEASE, REPORT, TENANT, URL, accept, claim_deliveries, claim_jobs, finish
from databases import Database

DEAD = "https://dead.example/hook"
DEAD_GATE = f"{TENANT} https://dead.example:443"


def line(room: int = 0, wait: float = 30.0, spacing: float = 0.5, places: int = 1000) -> OriginLine:
    return OriginLine(DEAD_GATE, room, wait, spacing, places)


async def owe(store: SqlStore, count: int, url: str = DEAD, tenant: str = TENANT) -> None:
    await asyncio.gather(*(accept(store, session=None, callback_url=url, tenant_id=tenant) for _ in range(count)))
    await asyncio.gather(*(finish(store, claim) for claim in await claim_jobs(store, limit=count)))


async def claim(store: SqlStore, *lines: OriginLine, limit: int = 100) -> Claims:
    return await store.claim_deliveries("worker", limit, LEASE, lines)


async def moments(database: Database, clock: FakeClock) -> list[float]:
    """When those of the dead origin are due, seconds from now."""
    found = await database.rows(f"SELECT run_at FROM deliveries WHERE url = '{DEAD}' ORDER BY run_at")
    return [(run_at - clock.now()) / 1000 for (run_at,) in found]


def urls(claims: Claims) -> list[str]:
    return [each.url for each in claims.deliveries]


async def test_those_of_a_dead_origin_get_places_in_line_and_nothing_else_of_them_changes(
    store: SqlStore, database: Database, clock: FakeClock
) -> None:
    await owe(store, 3)
    untouched = "SELECT id, state, attempt, lease_epoch, lease_owner, deadline_at FROM deliveries ORDER BY id"
    before = await database.rows(untouched)

    claims = await claim(store, line())

    assert claims.deliveries == []
    assert [(each.gate, count) for each, count in claims.placed] == [(DEAD_GATE, 3)]
    assert await moments(database, clock) == [30.0, 30.5, 31.0]
    assert await database.rows(untouched) == before
    assert await database.rows("SELECT of FROM attempts WHERE of IN (SELECT id FROM deliveries)") == []


async def test_they_are_claimed_when_their_moments_come(store: SqlStore, database: Database, clock: FakeClock) -> None:
    await owe(store, 3)
    await claim(store, line())

    clock.advance(30.5)

    assert [each.attempt for each in await claim_deliveries(store)] == [1, 1]


async def test_the_living_behind_the_dead_are_claimed_at_once(store: SqlStore, clock: FakeClock) -> None:
    await owe(store, 40)
    clock.advance(1)
    await owe(store, 5, URL)

    claims = await claim(store, line(places=10))

    assert urls(claims) == [URL] * 5
    # And as those behind the last place are still due, the next look comes at once.
    assert (claims.placed[0][1], claims.next_in) == (10, 0.0)


async def test_so_many_are_placed_at_once_and_the_rest_right_after(store: SqlStore, clock: FakeClock) -> None:
    await owe(store, 510)
    clock.advance(1)
    await owe(store, 1, URL)

    first = await claim(store, line())
    second = await claim(store, line())

    assert (urls(first), first.placed[0][1], first.next_in) == ([URL], 500, 0.0)
    assert (second.placed[0][1], second.next_in) == (10, 1.0)


async def test_an_origin_gets_no_more_than_it_has_room_for_those_due_longest(
    store: SqlStore, database: Database, clock: FakeClock
) -> None:
    await owe(store, 2)
    clock.advance(1)
    await owe(store, 4)

    claims = await claim(store, line(room=3, wait=2.0))

    assert urls(claims) == [DEAD] * 3
    assert claims.placed[0][1] == 3
    assert [moment for moment in await moments(database, clock) if moment > 0] == [2.0, 2.5, 3.0]


async def test_only_this_tenants_wait(store: SqlStore) -> None:
    await owe(store, 1)
    await owe(store, 1, tenant="tenant-b")

    claims = await claim(store, line())

    assert [each.tenant_id for each in claims.deliveries] == ["tenant-b"]


async def test_one_that_would_not_live_to_see_its_place_is_claimed(store: SqlStore, clock: FakeClock) -> None:
    """So that it ends at its deadline, by whoever claims it."""
    await owe(store, 1)
    clock.advance(DELIVERY_DEADLINE_MS / 1000 - 20)
    await owe(store, 1)

    claims = await claim(store, line(wait=30.0, places=1))

    assert [each.deadline_at for each in claims.deliveries] == [clock.now() + 20_000]
    assert claims.placed[0][1] == 1


async def test_one_that_is_replayed_takes_its_place_again(
    store: SqlStore, database: Database, clock: FakeClock
) -> None:
    await owe(store, 1)
    (first,) = await claim_deliveries(store)
    await store.dead(first, REPORT)
    await store.replay_delivery(TENANT, first.id)

    claims = await claim(store, line())

    assert claims.deliveries == []
    assert await moments(database, clock) == [30.0]


async def test_those_in_line_are_no_reason_to_come_back(store: SqlStore, clock: FakeClock) -> None:
    await owe(store, 2)
    assert (await claim(store, line(wait=0.2, spacing=0.1))).next_in == 1.0

    assert (await claim_deliveries(store)) == []
    assert (await claim(store)).next_in == 0.2


async def test_but_the_next_of_the_living_is(store: SqlStore, clock: FakeClock) -> None:
    await owe(store, 1, URL)
    (living,) = await claim_deliveries(store)
    await owe(store, 2)
    await store.send_later(living, 0.7, REPORT)

    assert (await claim(store, line(wait=0.2))).next_in == 0.7


async def test_those_of_an_origin_with_room_are_a_reason_to_come_back(store: SqlStore) -> None:
    await owe(store, 3)

    assert (await claim(store, line(room=1, wait=0.2))).next_in == 0.2


async def test_what_another_holds_is_not_moved(store: SqlStore, database: Database, clock: FakeClock) -> None:
    await owe(store, 2)
    (held,) = await claim_deliveries(store, limit=1)

    assert (await claim(store, line())).placed[0][1] == 1

    assert await state(database, held) == (DeliveryState.SENDING, clock.now())
    assert await store.delivered(held, REPORT)


async def state(database: Database, claim: ClaimedDelivery) -> tuple[object, ...]:
    query = f"SELECT state, run_at FROM deliveries WHERE id = '{claim.id}'"
    return (await database.rows(query))[0]
