"""Jobs of many tenants are claimed in fair order, and no tenant takes all places of a worker."""

import asyncio
from collections import Counter

import pytest

from answerback.jobs.kind import Claimed
from answerback.jobs.promote import PROMOTED_AT_ONCE, SHARED
from answerback.kernel.shares import Shares
from answerback.testing.clock import FakeClock
from builders import LEASE, REPORT, accept, claim_jobs, finish, later, roomy
from databases import Database
from stores import Stores


async def waiting(stores: Stores, **counts: int) -> None:
    """So many jobs of each tenant, one tenant after the other."""
    for tenant_id, count in counts.items():
        for _ in range(count):
            await accept(stores, session=None, tenant_id=tenant_id)


async def weigh(database: Database, tenant_id: str, weight: int) -> None:
    await database.execute(f"INSERT INTO tenants (id, weight, created_at) VALUES ('{tenant_id}', {weight}, 0)")


def of(claims: list[Claimed[object]]) -> Counter[str]:
    return Counter(each.tenant_id for each in claims)


async def test_a_newcomer_goes_ahead_of_anothers_backlog(stores: Stores) -> None:
    await waiting(stores, large=50)
    await claim_jobs(stores, limit=10)
    await waiting(stores, small=1)

    claims = await claim_jobs(stores, limit=2)

    assert of(claims)["small"] == 1


async def test_tenants_take_turns_whenever_their_jobs_came(stores: Stores) -> None:
    await waiting(stores, a=20, b=10, c=5)

    claims = await claim_jobs(stores, limit=15)

    assert all(4 <= count <= 6 for count in of(claims).values())


async def test_a_tenant_of_three_times_the_weight_gets_three_times_as_much(stores: Stores, database: Database) -> None:
    await weigh(database, "heavy", 3)
    await waiting(stores, light=40, heavy=40)

    claims = await claim_jobs(stores, limit=40)

    assert of(claims)["heavy"] == pytest.approx(30, abs=1)


async def test_a_tenant_that_waited_long_has_saved_up_nothing(stores: Stores) -> None:
    await waiting(stores, busy=30)
    await claim_jobs(stores, limit=20)
    await waiting(stores, idle=10)

    claims = await claim_jobs(stores, limit=10)

    assert of(claims)["idle"] == pytest.approx(5, abs=1)


async def test_what_is_released_by_its_conversation_ranks_behind_what_its_tenant_queued(stores: Stores) -> None:
    await accept(stores, "first", "talk", tenant_id="a")
    await accept(stores, "second", "talk", tenant_id="a")
    (first,) = await claim_jobs(stores)
    await waiting(stores, a=3)
    await finish(stores, first)

    claims = await claim_jobs(stores, limit=3)

    assert first.id not in {each.id for each in claims}
    assert "second" not in {each.job.args.text for each in claims}


async def test_a_tenant_that_holds_its_share_is_passed_and_others_are_claimed(stores: Stores) -> None:
    await waiting(stores, large=60)
    shares = Shares(10, 4.0)
    first = await stores.jobs.claim("w", 10, LEASE, shares)
    assert (len(first.jobs), first.held_back) == (8, True)
    for _ in first.jobs:
        shares.take("large")
    await waiting(stores, small=1, other=1)

    second = await stores.jobs.claim("w", 2, LEASE, shares)

    assert of(list(second.jobs)) == {"small": 1, "other": 1}


async def test_a_due_retry_waits_for_no_backlog_of_anothers(stores: Stores, clock: FakeClock) -> None:
    await waiting(stores, large=300)
    retried = await claim_jobs(stores, limit=300)
    await asyncio.gather(*(stores.jobs.put_off(each, later(1.0), REPORT) for each in retried))
    await waiting(stores, small=1)
    (late,) = await claim_jobs(stores)
    await stores.jobs.put_off(late, later(2.0), REPORT)
    clock.advance(5)

    claims = await claim_jobs(stores, limit=3)

    assert of(claims) == {"large": 2, "small": 1}


async def test_all_that_is_due_is_promoted_however_much_it_is(stores: Stores, clock: FakeClock) -> None:
    await waiting(stores, large=450)
    retried = await claim_jobs(stores, limit=450)
    await asyncio.gather(*(stores.jobs.put_off(each, later(1.0), REPORT) for each in retried))
    clock.advance(5)

    found = [await stores.jobs.claim("w", 1_000, LEASE, roomy()) for _ in range(3)]

    assert sum(len(claims.jobs) for claims in found) == 450
    assert [claims.next_in for claims in found] == [0.0, 0.0, None]


async def put_off_all(stores: Stores, seconds: float) -> None:
    claims = await claim_jobs(stores, limit=1_000)
    await asyncio.gather(*(stores.jobs.put_off(each, later(seconds), REPORT) for each in claims))


async def test_a_due_retry_waits_for_no_backlog_behind_very_many_tenants_whose_retries_are_not_due(
    stores: Stores, clock: FakeClock
) -> None:
    await waiting(stores, large=2 * PROMOTED_AT_ONCE + 1)
    await put_off_all(stores, 1.0)
    await waiting(stores, small=1)
    await put_off_all(stores, 2.0)
    await waiting(stores, **{f"a-{number}": 1 for number in range(SHARED)})
    await put_off_all(stores, 3_600.0)
    clock.advance(5)

    found = [await stores.jobs.claim("w", 1_000, LEASE, roomy()) for _ in range(2)]

    assert of(list(found[1].jobs))["small"] == 1


async def test_nothing_is_held_back_where_everything_is_claimed(stores: Stores) -> None:
    await waiting(stores, a=1, b=1)

    claims = await stores.jobs.claim("w", 100, LEASE, Shares(100, 4.0))

    assert (len(claims.jobs), claims.held_back, claims.next_in) == (2, False, None)
