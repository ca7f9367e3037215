"""Claiming deliveries: from origin to origin, as much as each takes."""

from collections import Counter

from owing import ALIVE, CLOSED, DEAD, SHUT, claim, owe, urls

from answerback.testing.clock import FakeClock
from answerback.webhooks.model import OriginKey, OriginRoom
from builders import REPORT, URL, claim_delivery, roomy
from databases import Database
from stores import Stores


async def test_what_a_closed_origin_is_owed_is_left_alone(stores: Stores, database: Database) -> None:
    await owe(stores, 3, DEAD)
    before = await database.rows("SELECT * FROM deliveries ORDER BY id")

    claims = await claim(stores, {CLOSED: SHUT})

    assert claims.deliveries == []
    assert claims.next_in == 30.0
    assert await database.rows("SELECT * FROM deliveries ORDER BY id") == before


async def test_behind_a_closed_origins_the_others_are_claimed(stores: Stores, clock: FakeClock) -> None:
    await owe(stores, 40, DEAD)
    clock.advance(1)
    await owe(stores, 5)

    claims = await claim(stores, {CLOSED: SHUT}, limit=10)

    assert urls(claims) == [URL] * 5


async def test_an_origin_gets_no_more_than_it_takes_and_what_has_been_due_longest(
    stores: Stores, clock: FakeClock
) -> None:
    await owe(stores, 2)
    clock.advance(1)
    await owe(stores, 4)

    claims = await claim(stores, {ALIVE: OriginRoom(3)})

    assert sorted(clock.now() - each.created_at for each in claims.deliveries) == [0, 1_000, 1_000]


async def test_another_tenants_deliveries_to_the_same_origin_are_another_matter(stores: Stores) -> None:
    await owe(stores, 1, DEAD)
    await owe(stores, 1, DEAD, tenant="tenant-b")

    claims = await claim(stores, {CLOSED: SHUT})

    assert [each.tenant_id for each in claims.deliveries] == ["tenant-b"]


async def test_every_origin_gets_an_equal_share_of_a_claim_and_what_one_leaves_the_others_get(stores: Stores) -> None:
    for name, count in (("a", 30), ("b", 30), ("c", 1)):
        await owe(stores, count, f"https://{name}.example/")

    claims = await claim(stores, limit=21)

    assert Counter(urls(claims)) == {"https://a.example/": 10, "https://b.example/": 10, "https://c.example/": 1}
    assert claims.next_in == 0.0


async def test_the_next_look_is_when_something_is_due_where_there_is_room(stores: Stores) -> None:
    await owe(stores, 2, session="s")
    delivery = await claim_delivery(stores)
    await stores.deliveries.send_later(delivery, 0.7, REPORT)

    assert (await claim(stores)).next_in == 0.7
    assert (await claim(stores, {ALIVE: OriginRoom(0)})).next_in is None
    assert (await claim(stores, {ALIVE: OriginRoom(0, opens_in=0.2)})).next_in == 0.7
    assert (await claim(stores, {ALIVE: SHUT})).next_in == 30.0


async def test_after_a_claim_the_next_look_is_when_the_rest_of_the_same_origin_is_due(stores: Stores) -> None:
    await owe(stores, 1)
    await stores.deliveries.send_later(await claim_delivery(stores), 0.7, REPORT)
    await owe(stores, 1)

    claims = await claim(stores)

    assert (len(claims.deliveries), claims.next_in) == (1, 0.7)


async def test_an_origin_hears_of_what_is_due_there_first(stores: Stores, clock: FakeClock) -> None:
    """Whether it is late, and whether it could not be reached."""
    await owe(stores, 1)
    heard: list[tuple[bool, bool]] = []

    def look(key: OriginKey, late: bool, unreached: bool) -> OriginRoom:
        heard.append((late, unreached))
        return OriginRoom(0)

    async def walk() -> None:
        await stores.deliveries.claim("worker", 10, 60.0, look, roomy())

    await walk()
    clock.advance(61)
    await walk()
    await stores.deliveries.send_later(await claim_delivery(stores), 3_600.0, REPORT, unreached=True)
    await walk()

    assert heard == [(False, False), (True, False), (True, True)]


class TestAnOriginThatRecovers:
    """What waits because it could not be reached is due at once, oldest first."""

    async def unreached(self, stores: Stores, clock: FakeClock, count: int) -> list[str]:
        """So many, one second after another, that wait for an hour now; their ids."""
        ids = []
        for _ in range(count):
            await owe(stores, 1)
            claimed = await claim_delivery(stores)
            assert await stores.deliveries.send_later(claimed, 3_600.0, REPORT, unreached=True)
            ids.append(claimed.id)
            clock.advance(1)
        return ids

    async def test_gets_them_before_their_schedule_oldest_first(self, stores: Stores, clock: FakeClock) -> None:
        ids = await self.unreached(stores, clock, 3)
        assert (await claim(stores)).deliveries == []

        first = await claim(stores, {ALIVE: OriginRoom(2, recovered_for=0.0)})
        second = await claim(stores, {ALIVE: OriginRoom(2, recovered_for=0.0)})

        assert [each.id for each in first.deliveries] == ids[:2]
        assert (first.drained, second.drained) == ([], [ALIVE])
        assert [each.id for each in second.deliveries] == ids[2:]
        assert first.deliveries[0].due_at - clock.now() == 3_597_000

    async def test_gets_the_oldest_of_them_where_it_may_have_recovered(self, stores: Stores, clock: FakeClock) -> None:
        ids = await self.unreached(stores, clock, 2)

        claims = await claim(stores, {ALIVE: OriginRoom(9, probes=True)})

        assert [each.id for each in claims.deliveries] == ids[:1]
        assert claims.deliveries[0].early

    async def test_gets_none_whose_last_attempt_came_after_that(self, stores: Stores, clock: FakeClock) -> None:
        ids = await self.unreached(stores, clock, 2)

        # One attempt began 2 s ago, the other 1 s ago.
        claims = await claim(stores, {ALIVE: OriginRoom(9, recovered_for=1.5)})

        assert [each.id for each in claims.deliveries] == ids[:1]

    async def test_gets_none_that_waits_because_of_a_response(self, stores: Stores) -> None:
        await owe(stores, 1)
        await stores.deliveries.send_later(await claim_delivery(stores), 300.0, REPORT)

        claims = await claim(stores, {ALIVE: OriginRoom(9, recovered_for=0.0)})

        assert (claims.deliveries, claims.drained) == ([], [ALIVE])

    async def test_gets_them_and_what_was_never_tried_in_equal_parts(self, stores: Stores, clock: FakeClock) -> None:
        await self.unreached(stores, clock, 5)
        await owe(stores, 5)

        claims = [(await claim(stores, {ALIVE: OriginRoom(4, recovered_for=0.0)})).deliveries for _ in range(3)]

        assert [Counter(each.attempt for each in deliveries) for deliveries in claims] == [
            {2: 2, 1: 2},
            {2: 2, 1: 2},
            {2: 1, 1: 1},
        ]

    async def test_is_probed_with_what_was_tried_least_lately(self, stores: Stores, clock: FakeClock) -> None:
        tried = await self.unreached(stores, clock, 2)
        await owe(stores, 2)

        claims = [await claim(stores, {ALIVE: OriginRoom(1, probes_only=True)}) for _ in range(4)]

        assert [each.attempt for more in claims for each in more.deliveries] == [1, 1, 2, 2]
        assert [each.id for more in claims[2:] for each in more.deliveries] == tried

    async def test_is_probed_at_the_path_that_was_tried_least_lately(self, stores: Stores, clock: FakeClock) -> None:
        await self.unreached(stores, clock, 2)
        await owe(stores, 2)
        await owe(stores, 1, f"{URL}/other")

        (probe,) = (await claim(stores, {ALIVE: OriginRoom(1, probes_only=True)})).deliveries

        assert probe.url == f"{URL}/other"
