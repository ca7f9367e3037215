"""The receivers of a tenant: how each answers, and what it is owed."""

import pytest
from owing import COMPLETED, claim, owe

from answerback.queue.attempts import LOST, NOT_SENT, RELEASED, Report
from answerback.testing.clock import FakeClock
from answerback.webhooks.bulk_resend import ResendFilter
from answerback.webhooks.model import DeliveryState
from answerback.webhooks.receivers import summary as receivers
from answerback.webhooks.receivers.summary import FailingPath, Receiver
from builders import TENANT
from databases import Database
from stores import Stores

SHOP, BLOG = "https://shop.example/hook", "https://blog.example/hook"
DOWN = Report("retry", error="the receiver answered 503", http_status=503)
AWAY = Report("retry", error="connection refused")
GONE = Report("dead", error="the receiver answered 410", http_status=410)
TOOK = Report("delivered", http_status=200)


async def attempt(stores: Stores, report: Report) -> None:
    """One attempt at all that is due."""
    for each in (await claim(stores)).deliveries:
        if report is DOWN or report is AWAY:
            await stores.deliveries.send_later(each, 300.0, report, unreached=report is AWAY)
        elif report is GONE:
            await stores.deliveries.dead(each, report)
        else:
            await stores.deliveries.delivered(each, report)


async def shown(stores: Stores, tenant: str = TENANT) -> dict[str, Receiver]:
    return {each.origin: each for each in await stores.deliveries.receivers(tenant)}


async def test_a_tenant_that_owes_nothing_has_none(stores: Stores) -> None:
    await owe(stores, 1, SHOP, "other")

    assert await shown(stores) == {}


async def test_each_receiver_has_what_it_is_owed_and_how_it_answers(stores: Stores, clock: FakeClock) -> None:
    await owe(stores, 2, SHOP)
    await attempt(stores, TOOK)
    clock.advance(10)
    await owe(stores, 3, BLOG)
    await attempt(stores, DOWN)
    await owe(stores, 1, SHOP)

    found = await shown(stores)

    shop, blog = found["https://shop.example:443"], found["https://blog.example:443"]
    assert (shop.healthy, shop.waiting, shop.dead, shop.last_error, shop.url) == (True, 1, 0, None, SHOP)
    assert shop.delivered_at is not None
    assert (blog.healthy, blog.waiting, blog.last_error, blog.url) == (False, 3, DOWN.error, BLOG)
    assert blog.last_attempt_at is not None
    assert blog.next_attempt_at == blog.last_attempt_at + 300_000
    assert blog.delivered_at is None
    assert list(found) == ["https://blog.example:443", "https://shop.example:443"]


async def test_what_is_being_sent_is_owed_until_the_receiver_answers(stores: Stores) -> None:
    await owe(stores, 2, SHOP)
    await attempt(stores, TOOK)
    await owe(stores, 3, BLOG)
    sent = (await claim(stores)).deliveries

    blog, shop = (await shown(stores)).values()

    assert (blog.origin, blog.waiting, blog.sending, shop.sending) == ("https://blog.example:443", 0, 3, 0)

    for each in sent:
        await stores.deliveries.delivered(each, TOOK)
    assert [each.sending for each in (await shown(stores)).values()] == [0, 0]


async def test_one_that_could_not_be_reached_is_tried_before_its_schedules_step(
    stores: Stores, clock: FakeClock
) -> None:
    await owe(stores, 1, BLOG)
    await attempt(stores, AWAY)

    (blog,) = (await shown(stores)).values()

    assert blog.last_attempt_at is not None
    assert blog.next_attempt_at == blog.last_attempt_at + 5_000

    # After an outage of an hour a probe comes each minute.
    for _ in range(12):
        clock.advance(300)
        await attempt(stores, AWAY)
    (blog,) = (await shown(stores)).values()
    assert blog.next_attempt_at == blog.last_attempt_at + 60_000


async def test_while_nothing_but_a_probe_is_sent_that_comes_next(stores: Stores, clock: FakeClock) -> None:
    await owe(stores, 3, BLOG)
    await attempt(stores, AWAY)
    clock.advance(310)

    # Now the breaker is open: of what is due nothing else is tried.
    (probe,) = (await claim(stores, limit=1)).deliveries
    await stores.deliveries.send_later(probe, 2.0, AWAY, unreached=True)

    clock.advance(3)
    (blog,) = (await shown(stores)).values()
    assert blog.last_attempt_at is not None
    assert blog.next_attempt_at == blog.last_attempt_at + 60_000


async def test_attempts_at_old_deliveries_that_were_resent_are_the_newest(stores: Stores, clock: FakeClock) -> None:
    seen = []

    async def look() -> None:
        clock.advance(1)
        seen.append((await shown(stores))["https://shop.example:443"].last_attempt_at or 0)

    await owe(stores, 3, SHOP)
    await attempt(stores, GONE)
    await look()
    await owe(stores, 1, SHOP)
    await attempt(stores, TOOK)
    await look()
    await stores.deliveries.resend_all(ResendFilter(TENANT, DeliveryState.DEAD))
    for report in (DOWN, TOOK, GONE):
        for each in (await claim(stores, limit=1)).deliveries:
            match report:
                case Report(status="delivered"):
                    await stores.deliveries.delivered(each, report)
                case Report(status="dead"):
                    await stores.deliveries.dead(each, report)
                case _:
                    await stores.deliveries.send_later(each, 1.0, report, unreached=False)
        await look()

    assert seen == sorted(set(seen))


async def test_an_attempt_under_way_does_not_hide_the_one_before(stores: Stores, clock: FakeClock) -> None:
    await stores.endpoints.create(TENANT, "blog", BLOG, [COMPLETED])
    await owe(stores, 2, SHOP)
    await attempt(stores, DOWN)
    before = await shown(stores)
    clock.advance(310)

    under_way = (await claim(stores)).deliveries

    assert len(under_way) == 4
    after = await shown(stores)
    assert after.keys() == before.keys()
    for origin, receiver in after.items():
        assert (receiver.healthy, receiver.last_error, receiver.waiting) == (False, DOWN.error, 0)
        assert receiver.last_attempt_at == before[origin].last_attempt_at is not None


async def test_of_attempts_under_way_the_newest_that_ended_counts(stores: Stores, clock: FakeClock) -> None:
    await owe(stores, 2, SHOP)
    first, second = (await claim(stores)).deliveries
    await stores.deliveries.send_later(first, 30.0, DOWN, unreached=False)
    clock.advance(10)
    await stores.deliveries.send_later(second, 10.0, DOWN, unreached=False)
    (before,) = (await shown(stores)).values()
    clock.advance(12)
    assert [each.id for each in (await claim(stores)).deliveries] == [second.id]
    clock.advance(10)
    assert [each.id for each in (await claim(stores)).deliveries] == [first.id]

    (receiver,) = (await shown(stores)).values()

    assert receiver.last_attempt_at == before.last_attempt_at


async def test_an_event_under_way_does_not_hide_the_one_that_an_endpoint_took(stores: Stores, clock: FakeClock) -> None:
    await stores.endpoints.create(TENANT, "blog", BLOG, [COMPLETED])
    await owe(stores, 1, SHOP)
    await attempt(stores, TOOK)
    clock.advance(10)
    before = (await shown(stores))["https://blog.example:443"]
    await owe(stores, 1, SHOP)

    await claim(stores)

    blog = (await shown(stores))["https://blog.example:443"]
    assert (blog.healthy, blog.last_attempt_at) == (True, before.last_attempt_at)


async def test_an_endpoint_that_takes_all_is_shown_too(stores: Stores) -> None:
    endpoint = await stores.endpoints.create(TENANT, "blog", BLOG, [COMPLETED])
    await owe(stores, 2, SHOP)
    await attempt(stores, TOOK)

    blog = (await shown(stores))["https://blog.example:443"]

    assert (blog.healthy, blog.waiting, blog.url) == (True, 0, endpoint.url)
    assert blog.delivered_at is not None


async def test_the_newest_attempt_decides(stores: Stores, clock: FakeClock) -> None:
    for report, healthy in ((GONE, False), (TOOK, True), (DOWN, False), (TOOK, True)):
        await owe(stores, 1, SHOP)
        await attempt(stores, report)

        (receiver,) = (await shown(stores)).values()
        assert receiver.healthy is healthy
        clock.advance(10)
    assert receiver.dead == 1


async def test_a_path_that_failed_last_is_named_beside_those_that_are_taken(stores: Stores, clock: FakeClock) -> None:
    crm, late = "https://shop.example/crm", "https://shop.example/late"
    for url, report in (
        (f"{crm}?of=1", GONE),
        ("https://shop.example/late", DOWN),
        (f"{crm}?of=2", GONE),
        (SHOP, TOOK),
    ):
        await owe(stores, 1, url)
        await attempt(stores, report)
        clock.advance(1)

    (receiver,) = (await shown(stores)).values()
    assert receiver.healthy
    assert [(each.url, each.error) for each in receiver.failing] == [
        (f"{crm}?of=2", GONE.error),
        (late, DOWN.error),
    ]

    await owe(stores, 1, f"{crm}?of=3")
    await attempt(stores, TOOK)
    (receiver,) = (await shown(stores)).values()
    assert [each.url for each in receiver.failing] == [late]


async def test_what_was_taken_and_is_sent_again_does_not_fail(stores: Stores) -> None:
    await owe(stores, 1, SHOP)
    (taken,) = (await claim(stores)).deliveries
    await stores.deliveries.delivered(taken, TOOK)
    await stores.deliveries.resend(TENANT, taken.id)

    (receiver,) = (await shown(stores)).values()

    assert (receiver.waiting, receiver.failing) == (1, ())


async def test_a_dead_one_that_was_erased_is_owed_no_more(stores: Stores, database: Database) -> None:
    await owe(stores, 2, SHOP)
    await attempt(stores, GONE)
    erase = "UPDATE deliveries SET body = substr(body, 1, 0)"
    await database.execute(f"{erase} WHERE id = (SELECT min(id) FROM deliveries)")

    (receiver,) = (await shown(stores)).values()
    assert (receiver.dead, receiver.last_error) == (1, GONE.error)

    await database.execute(f"{erase} WHERE id = (SELECT max(id) FROM deliveries)")

    (receiver,) = (await shown(stores)).values()
    assert (receiver.dead, receiver.healthy, receiver.last_error) == (0, False, GONE.error)


@pytest.mark.parametrize("silent", [Report(NOT_SENT, error="no descriptor"), RELEASED, LOST], ids=lambda it: it.status)
async def test_what_was_not_sent_says_nothing_of_a_receiver(stores: Stores, clock: FakeClock, silent: Report) -> None:
    await owe(stores, 1, BLOG)
    for each in (await claim(stores)).deliveries:
        await stores.deliveries.send_later(each, 1.0, silent)

    (blog,) = (await shown(stores)).values()
    assert (blog.healthy, blog.last_error, blog.last_attempt_at, blog.failing) == (None, None, None, ())

    clock.advance(1)
    await attempt(stores, DOWN)
    clock.advance(300)
    for each in (await claim(stores)).deliveries:
        await stores.deliveries.dead(each, silent)

    (blog,) = (await shown(stores)).values()
    assert (blog.healthy, blog.last_error, blog.failing) == (False, DOWN.error, (FailingPath(BLOG, str(DOWN.error)),))


async def test_what_is_dead_with_its_endpoint_is_owed_no_more(stores: Stores) -> None:
    endpoint = await stores.endpoints.create(TENANT, "mine", BLOG, [COMPLETED])
    await owe(stores, 1, SHOP)
    await attempt(stores, GONE)
    await stores.endpoints.delete(TENANT, endpoint.id)

    assert {each.url: each.dead for each in (await shown(stores)).values()} == {BLOG: 0, SHOP: 1}


async def test_what_is_held_behind_another_is_counted_for_itself(stores: Stores) -> None:
    await owe(stores, 3, SHOP, session="one")
    await attempt(stores, DOWN)

    (receiver,) = (await shown(stores)).values()

    assert (receiver.waiting, receiver.held) == (1, 2)


async def test_a_receiver_that_was_not_called_is_neither(stores: Stores) -> None:
    await owe(stores, 1, SHOP)

    (receiver,) = (await shown(stores)).values()

    assert (receiver.healthy, receiver.last_attempt_at, receiver.waiting) == (None, None, 1)


async def test_no_more_are_shown_than_there_may_be(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receivers, "MAX_RECEIVERS", 2)
    await owe(stores, 1, "https://old.example/")
    await attempt(stores, TOOK)
    await owe(stores, 1, "https://few.example/")
    await owe(stores, 2, "https://many.example/")

    assert list(await shown(stores)) == ["https://many.example:443", "https://few.example:443"]


@pytest.mark.parametrize("state", [DeliveryState.DEAD, DeliveryState.PENDING])
async def test_what_would_be_resent_is_counted_and_left(stores: Stores, clock: FakeClock, state: DeliveryState) -> None:
    assert state is DeliveryState.DEAD or state is DeliveryState.PENDING
    await owe(stores, 3, SHOP)
    await owe(stores, 1, BLOG)
    await attempt(stores, GONE if state is DeliveryState.DEAD else DOWN)
    clock.advance(1)
    wanted = ResendFilter(TENANT, state, "https://shop.example/")

    assert await stores.deliveries.count_matching(wanted) == 3
    assert await stores.deliveries.count_matching(wanted) == 3
    assert not (await claim(stores)).deliveries
    assert await stores.deliveries.resend_all(wanted) == 3
    assert await stores.deliveries.count_matching(ResendFilter("other", state)) == 0
