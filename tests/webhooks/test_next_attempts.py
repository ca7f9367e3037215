"""When a callback is tried next: a job, a list of jobs and its receiver say the same."""

from collections.abc import Sequence

from owing import claim, owe

from answerback.jobs.model import JobFilter
from answerback.kernel.ids import EVERY_TENANT
from answerback.queue.attempts import Report
from answerback.testing.clock import FakeClock
from answerback.webhooks.model import ClaimedDelivery
from builders import TENANT
from stores import Stores

URL = "https://shop.example/hook"
AWAY = Report("retry", error="connection refused")
DOWN = Report("retry", error="the receiver answered 503", http_status=503)
TOOK = Report("delivered", http_status=200)


async def fail(stores: Stores, report: Report, seconds: float, limit: int = 100) -> Sequence[ClaimedDelivery]:
    claims = (await claim(stores, limit=limit)).deliveries
    for each in claims:
        await stores.deliveries.send_later(each, seconds, report, unreached=report is AWAY)
    return claims


async def next_at(stores: Stores, tenant: str = TENANT) -> set[int | None]:
    """What all three say of the deliveries of a tenant."""
    said: set[int | None] = {each.next_attempt_at for each in await stores.deliveries.receivers(tenant)}
    for asked in (tenant, EVERY_TENANT):
        for record in (await stores.jobs.list(JobFilter(asked), None, 100)).records:
            if record.job.tenant_id == tenant:
                said |= {each.next_attempt_at for each in record.deliveries}
                whole = await stores.jobs.get(tenant, record.job.id)
                said |= {each.next_attempt_at for each in whole.deliveries}
    return said


async def test_an_answer_leaves_a_delivery_to_its_schedule(stores: Stores, clock: FakeClock) -> None:
    await owe(stores, 1, URL)
    await fail(stores, DOWN, 300.0)

    assert await next_at(stores) == {clock.now() + 300_000}


async def test_without_a_response_the_next_probe_comes_before_the_schedule(stores: Stores, clock: FakeClock) -> None:
    await owe(stores, 2, URL)
    await owe(stores, 1, URL, tenant="other")
    await fail(stores, AWAY, 300.0)

    assert await next_at(stores) == {clock.now() + 5_000}
    assert await next_at(stores, "other") == {clock.now() + 5_000}


async def test_it_comes_no_later_for_a_wait_that_was_none_of_the_receivers(stores: Stores, clock: FakeClock) -> None:
    """An attempt that waited 20 s for its turn, and was refused at once."""
    await owe(stores, 1, URL)
    (claimed,) = (await claim(stores)).deliveries
    clock.advance(20)
    refused = Report("retry", error="connection refused", duration_ms=100)
    await stores.deliveries.send_later(claimed, 300.0, refused, unreached=True)

    assert await next_at(stores) == {clock.now() + 5_000}


async def test_what_is_due_behind_an_open_breaker_waits_for_the_probe(stores: Stores, clock: FakeClock) -> None:
    await owe(stores, 5, URL)
    await fail(stores, AWAY, 3_600.0)
    clock.advance(1)
    await owe(stores, 1, URL)

    assert await next_at(stores) == {clock.now() - 1_000 + 5_000}


async def test_once_a_receiver_answers_its_schedule_counts_again(stores: Stores, clock: FakeClock) -> None:
    await owe(stores, 1, URL)
    await fail(stores, AWAY, 300.0)
    clock.advance(1)
    await owe(stores, 1, "https://shop.example/other")
    (taken,) = (await claim(stores)).deliveries
    await stores.deliveries.delivered(taken, TOOK)

    assert await next_at(stores) == {clock.now() - 1_000 + 300_000, None}
