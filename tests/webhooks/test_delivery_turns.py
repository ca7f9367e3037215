"""The places of a claim go from tenant to tenant, and each tenant's from origin to origin, however many origins."""

from collections import Counter

import pytest
from owing import ALIVE, SHUT, claim, copy_delivery, owe, urls

from answerback.kernel.shares import Shares
from answerback.webhooks.model import DeliveryClaims, OriginKey, OriginRoom
from builders import LEASE, TENANT, URL, roomy
from databases import Database
from stores import Stores

MANY = 600
"""More origins than a claim looks at, twice over."""
OTHER = "tenant-z"
"""Its deliveries stand behind all others in the index."""


def closed_origins(count: int = MANY, room: OriginRoom = SHUT) -> dict[OriginKey, OriginRoom]:
    return {OriginKey(TENANT, f"https://{number}.example:443"): room for number in range(1, count + 1)}


async def owe_at_many_origins(stores: Stores, database: Database, count: int = MANY) -> None:
    """A delivery at each, and one at the usual origin."""
    await owe(stores, 1)
    await copy_delivery(database, count, "https://{}.example:443")


def tenants(claims: DeliveryClaims) -> Counter[str]:
    return Counter(each.tenant_id for each in claims.deliveries)


@pytest.mark.parametrize("known", [{}, closed_origins()], ids=["live", "closed"])
async def test_a_tenants_many_origins_delay_no_others_delivery(
    stores: Stores, database: Database, known: dict[OriginKey, OriginRoom]
) -> None:
    await owe_at_many_origins(stores, database)
    await owe(stores, 1, tenant=OTHER)

    claims = await claim(stores, known, limit=2)

    assert tenants(claims)[OTHER] == 1


@pytest.mark.parametrize("room", [OriginRoom(1, probes_only=True), OriginRoom(1, recovered_for=0.0)])
async def test_probes_of_a_tenants_dead_origins_delay_no_others_delivery(
    stores: Stores, database: Database, room: OriginRoom
) -> None:
    await owe_at_many_origins(stores, database, count=40)
    await owe(stores, 3, tenant=OTHER)

    claims = await claim(stores, closed_origins(40, room), limit=20)

    assert tenants(claims) == {TENANT: 17, OTHER: 3}


async def test_each_tenant_gets_an_equal_share_of_a_claim(stores: Stores, database: Database) -> None:
    await owe_at_many_origins(stores, database, count=20)
    await owe(stores, 20, tenant=OTHER)

    claims = await claim(stores, limit=20)

    assert tenants(claims) == {TENANT: 10, OTHER: 10}


async def test_what_a_tenant_leaves_of_its_share_the_others_get(stores: Stores, database: Database) -> None:
    await owe_at_many_origins(stores, database, count=20)
    await owe(stores, 3, tenant=OTHER)

    claims = await claim(stores, limit=20)

    assert tenants(claims) == {TENANT: 17, OTHER: 3}


async def test_where_few_are_claimed_no_origin_is_always_the_first(stores: Stores) -> None:
    for name in ("a", "b"):
        await owe(stores, 40, f"https://{name}.example/")

    claimed = [url for _ in range(40) for url in urls(await claim(stores, limit=1))]

    assert min(Counter(claimed).values()) > 4
    assert len(Counter(claimed)) == 2


@pytest.mark.parametrize("limit", [50, 400])
async def test_everything_at_very_many_origins_is_claimed(stores: Stores, database: Database, limit: int) -> None:
    await owe_at_many_origins(stores, database)

    claimed: list[str] = []
    while len(claimed) <= MANY:
        claims = await claim(stores, limit=limit)
        assert claims.deliveries
        claimed += [each.origin for each in claims.deliveries]

    assert len(set(claimed)) == MANY + 1
    assert (await claim(stores)).next_in is None


async def test_a_round_reaches_the_origin_behind_very_many_that_are_closed(stores: Stores, database: Database) -> None:
    await owe_at_many_origins(stores, database)

    found = [await claim(stores, closed_origins()) for _ in range(3)]

    assert [urls(claims) for claims in found] == [[], [], [URL]]
    assert [claims.next_in for claims in found] == [0.0, 0.0, 30.0]


async def test_after_a_round_in_vain_the_next_look_is_when_the_first_of_all_origins_opens(
    stores: Stores, database: Database
) -> None:
    await owe_at_many_origins(stores, database)
    await claim(stores, closed_origins(), limit=MANY)
    known = closed_origins() | closed_origins(1, OriginRoom(0, opens_in=5.0))
    while (claims := await claim(stores, known)).next_in == 0.0:
        assert claims.under_way is not None

    found = [await claim(stores, known) for _ in range(3)]

    assert [claims.next_in for claims in found] == [0.0, 0.0, 5.0]


async def test_a_round_ends_with_what_was_held_back_on_its_way(stores: Stores, database: Database) -> None:
    """So that the tenant's next free place leads to another claim."""
    await owe_at_many_origins(stores, database)
    middle = sorted(closed_origins())[MANY // 2]
    known = closed_origins() | {ALIVE: SHUT, middle: OriginRoom(1)}
    at_its_share = Shares(10, 4.0)
    at_its_share.take(TENANT, 8)

    found = [await claim(stores, known, shares=at_its_share) for _ in range(3)]

    assert [(claims.held_back, claims.next_in) for claims in found] == [(False, 0.0), (True, 0.0), (True, 30.0)]


async def test_of_more_tenants_than_a_walk_looks_at_each_is_looked_at_as_often(
    stores: Stores, database: Database
) -> None:
    await owe_at_many_origins(stores, database, count=299)
    await database.execute("UPDATE deliveries SET tenant_id = origin")
    looks: Counter[str] = Counter()

    def look(key: OriginKey, *_: bool) -> OriginRoom:
        looks[key.tenant_id] += 1
        return OriginRoom(0)

    for _ in range(30):
        await stores.deliveries.claim("worker", 10, LEASE, look, roomy())

    assert len(looks) == 300
    assert min(looks.values()) >= 0.8 * max(looks.values())
