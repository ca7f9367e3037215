"""Resending all deliveries that match."""

from collections.abc import Awaitable, Callable

import pytest
from owing import COMPLETED, claim, owe, urls

from answerback.testing.clock import FakeClock
from answerback.webhooks import bulk_resend
from answerback.webhooks.bulk_resend import Resendable, ResendFilter
from answerback.webhooks.model import DeliveryState
from builders import REPORT, TENANT, ended_job
from databases import Database
from stores import Stores

Resend = Callable[..., Awaitable[int]]

DEAD, PENDING = DeliveryState.DEAD, DeliveryState.PENDING
SHOP, BLOG = "https://shop.example/hook", "https://blog.example/hook"


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three deliveries do not fit a page."""
    for name, state, order in (
        ("DEAD_PAGE", DEAD, ("id",)),
        ("PENDING_PAGE", PENDING, ("origin", "run_at", "id")),
    ):
        monkeypatch.setattr(bulk_resend, "PAGE", 2)
        monkeypatch.setattr(bulk_resend, name, bulk_resend.page_of(state, order))


async def settle(stores: Stores, state: str, count: int, url: str = SHOP, tenant: str = TENANT) -> None:
    """So many deliveries in that state, none due."""
    await owe(stores, count, url, tenant)
    for each in (await claim(stores)).deliveries:
        if state == PENDING:
            await stores.deliveries.send_later(each, 300.0, REPORT)
        else:
            await getattr(stores.deliveries, state)(each, REPORT)


@pytest.fixture
def resend(stores: Stores, clock: FakeClock) -> Resend:
    """A request that comes later than what it matches."""

    async def resend(state: Resendable, url: str = "", since: int = 0, tenant: str = TENANT) -> int:
        clock.advance(1)
        return await stores.deliveries.resend_all(ResendFilter(tenant, state, url, since))

    return resend


@pytest.mark.parametrize("state", [DEAD, PENDING])
async def test_all_in_the_state_are_due_at_once_on_a_new_schedule_however_many_pages_they_fill(
    stores: Stores, resend: Resend, state: Resendable
) -> None:
    await settle(stores, state, 5)

    assert await resend(state) == 5

    due = (await claim(stores)).deliveries
    assert [each.attempt for each in due] == [1] * 5
    assert await resend(state) == 0


@pytest.mark.parametrize("state", [DEAD, PENDING])
async def test_those_in_another_state_stay(stores: Stores, resend: Resend, state: Resendable) -> None:
    await settle(stores, "delivered", 1)
    await settle(stores, PENDING if state is DEAD else DEAD, 1)
    await owe(stores, 1)
    assert len((await claim(stores)).deliveries) == 1  # an attempt is under way

    assert await resend(state) == 0
    assert not (await claim(stores)).deliveries


@pytest.mark.parametrize("state", [DEAD, PENDING])
async def test_a_url_is_a_prefix(stores: Stores, resend: Resend, state: Resendable) -> None:
    await settle(stores, state, 3, SHOP)
    await settle(stores, state, 3, BLOG)
    await settle(stores, state, 1, "https://shop.example/other")

    assert await resend(state, "https://shop.example/h") == 3

    assert urls(await claim(stores)) == [SHOP] * 3


@pytest.mark.parametrize("state", [DEAD, PENDING])
async def test_those_owed_before_a_moment_stay(
    stores: Stores, resend: Resend, clock: FakeClock, state: Resendable
) -> None:
    await settle(stores, state, 1, SHOP)
    clock.advance(10)
    moment = clock.now()
    await settle(stores, state, 1, BLOG)

    assert await resend(state, since=moment) == 1

    assert urls(await claim(stores)) == [BLOG]


@pytest.mark.parametrize("state", [DEAD, PENDING])
async def test_another_tenants_stay(stores: Stores, resend: Resend, state: Resendable) -> None:
    await settle(stores, state, 3, tenant="tenant-b")

    assert await resend(state) == 0
    assert await resend(state, tenant="tenant-b") == 3


@pytest.mark.parametrize("state", [DEAD, PENDING])
async def test_those_of_endpoints_are_sent_again_too(stores: Stores, resend: Resend, state: Resendable) -> None:
    await stores.endpoints.create(TENANT, "mine", BLOG, [COMPLETED])

    await settle(stores, state, 1, SHOP)

    assert await resend(state) == 2
    assert sorted(urls(await claim(stores))) == [BLOG, SHOP]


async def test_an_erased_body_is_not_sent(stores: Stores, resend: Resend, database: Database) -> None:
    await settle(stores, DEAD, 1)
    await database.execute("UPDATE deliveries SET body = substr(body, 1, 0)")

    assert await resend(DEAD) == 0


@pytest.mark.parametrize("state", [DEAD, PENDING])
async def test_those_of_an_endpoint_that_was_deleted_stay(
    stores: Stores, resend: Resend, clock: FakeClock, state: Resendable
) -> None:
    endpoint = await stores.endpoints.create(TENANT, "mine", BLOG, [COMPLETED])
    await settle(stores, state, 1, SHOP)
    await stores.endpoints.delete(TENANT, endpoint.id)

    clock.advance(1)
    matched = await stores.deliveries.count_matching(ResendFilter(TENANT, state))

    assert (matched, await resend(state)) == (1, 1)
    assert urls(await claim(stores)) == [SHOP]


async def test_one_that_dies_again_in_the_meantime_is_not_sent_a_third_time(stores: Stores, clock: FakeClock) -> None:
    wanted = ResendFilter(TENANT, DEAD)
    await settle(stores, DEAD, 1)
    clock.advance(10)
    page = await stores.database.read.run(lambda tx: bulk_resend.find_page(tx, wanted, bulk_resend.BEGINNING))

    async def resend_page() -> int:
        return await stores.database.write.run(lambda tx: bulk_resend.resend_page(tx, wanted, page.positions, page.now))

    # Given a request that has resent a delivery
    assert await resend_page() == 1
    # When that dies again before the request ends
    clock.advance(10)
    (again,) = (await claim(stores)).deliveries
    await stores.deliveries.dead(again, REPORT)

    assert await resend_page() == 0


@pytest.mark.parametrize("changed", ["claimed", "another tenant's"])
async def test_a_page_resends_nothing_that_does_not_match_any_more(
    stores: Stores, clock: FakeClock, changed: str
) -> None:
    wanted = ResendFilter(TENANT, PENDING)
    await owe(stores, 1)
    clock.advance(10)
    # Given a page that was read
    page = await stores.database.read.run(lambda tx: bulk_resend.find_page(tx, wanted, bulk_resend.BEGINNING))
    assert len(page.positions) == 1
    # When a worker claims the delivery before the update, or another tenant's request has the page
    if changed == "claimed":
        assert (await claim(stores)).deliveries
    else:
        wanted = ResendFilter("tenant-b", PENDING)

    assert not await stores.database.write.run(lambda tx: bulk_resend.resend_page(tx, wanted, page.positions, page.now))


async def test_a_pending_one_keeps_its_place_in_its_conversation(
    stores: Stores, resend: Resend, database: Database
) -> None:
    for _ in range(2):
        await ended_job(stores)
    (first,) = (await claim(stores)).deliveries
    await stores.deliveries.send_later(first, 300.0, REPORT)

    assert await resend(PENDING) == 1

    assert [each.id for each in (await claim(stores)).deliveries] == [first.id]
    assert await database.rows("SELECT state FROM deliveries ORDER BY position") == [("sending",), ("held",)]
