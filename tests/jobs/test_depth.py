"""How much waits, and for how long."""

from answerback.testing.clock import FakeClock
from builders import LEASE, REPORT, accept, claim_delivery, claim_jobs, finish, later
from stores import Stores


async def test_every_open_job_is_counted_under_its_state(stores: Stores, clock: FakeClock) -> None:
    running, scheduled, awaiting = [(await accept(stores, session=s)).job_id for s in ("a", "b", "c")]
    await accept(stores, session="a")
    claims = {claim.id: claim for claim in await claim_jobs(stores)}
    await stores.jobs.put_off(claims[scheduled], later(300.0), REPORT)
    await stores.jobs.hand_over(claims[awaiting], 300.0, REPORT)
    await accept(stores, session=None)
    clock.advance(7)

    depth = await stores.jobs.depth()

    assert running in claims
    assert dict(depth.jobs) == {
        "scheduled": 1, "held": 1, "queued": 1, "running": 1, "awaiting": 1, "quarantined": 0,
    }  # fmt: skip
    assert depth.oldest_job_seconds == 7.0
    assert await stores.jobs.count_open() == 5


async def test_an_empty_queue_has_no_age(stores: Stores) -> None:
    depth = await stores.jobs.depth()

    assert set(depth.jobs.values()) == {0}
    assert depth.oldest_job_seconds == 0.0
    assert await stores.jobs.count_open() == 0


async def test_an_ended_job_is_open_no_more_and_its_delivery_is_counted(stores: Stores) -> None:
    await accept(stores)
    (claim,) = await claim_jobs(stores, lease=LEASE)
    await finish(stores, claim)

    depth = await stores.jobs.depth()
    assert (set(depth.jobs.values()), depth.deliveries["pending"]) == ({0}, 1)

    await stores.deliveries.delivered(await claim_delivery(stores), REPORT)
    assert set((await stores.jobs.depth()).deliveries.values()) == {0}
