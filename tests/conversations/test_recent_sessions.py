"""`GET /v1/sessions`: conversations, the last used first; and from where on the next message remembers."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx2 import AsyncClient

from answerback.conversations.routes import router
from answerback.conversations.windows import DatabaseWindows
from answerback.kernel.ids import EVERY_TENANT
from answerback.responses.items.input import Given
from answerback.testing.clock import FakeClock
from builders import MEMORY, TENANT, URL, accept, ended_job
from in_process import AnyKey, calling
from stores import Stores


@pytest.fixture
async def client(stores: Stores, clock: FakeClock) -> AsyncIterator[AsyncClient]:
    store = stores.conversations
    routes = router(store, DatabaseWindows(store), lambda *_: iter(()), AnyKey().tenant, MEMORY, clock.now)  # type: ignore[arg-type]
    async with calling(routes) as client:
        yield client


async def listed(client: AsyncClient, query: str = "") -> Any:
    reply = await client.get(f"/v1/sessions{query}")
    assert reply.status_code == 200, reply.text
    return reply.json()


async def test_the_last_used_come_first_with_what_waits_in_them(
    stores: Stores, clock: FakeClock, client: AsyncClient
) -> None:
    for session in ("a", URL, "b", "a"):
        await ended_job(stores, session=session)
        clock.advance(60)
    await accept(stores, session="b")
    await accept(stores, session="theirs", tenant_id="tenant-b")

    page = await listed(client)

    seen = [(each["key"], each["messages"], each["waiting"]) for each in page["items"]]
    assert seen == [("a", 2, 0), ("b", 2, 1), (URL, 1, 0)]
    assert page["next"] is None
    assert page["items"][0]["updated_at"] > page["items"][1]["updated_at"]


async def test_those_of_all_tenants_are_listed_together(stores: Stores, clock: FakeClock) -> None:
    for session, tenant in (("a", TENANT), ("b", "tenant-b"), ("a", "tenant-b")):
        await accept(stores, session=session, tenant_id=tenant)
        clock.advance(60)
    await stores.conversation_log.create(TENANT, Given((), ()), {})

    first = await stores.conversations.recent(EVERY_TENANT, None, 2)
    second = await stores.conversations.recent(EVERY_TENANT, first.following, 2)

    seen = [[(each.key, each.tenant_id) for each in page.conversations] for page in (first, second)]
    assert seen == [[("a", "tenant-b"), ("b", "tenant-b")], [("a", TENANT)]]
    assert second.following is None


async def test_messages_that_were_erased_are_not_counted(stores: Stores, client: AsyncClient) -> None:
    for _ in range(2):
        await ended_job(stores, session="a")
    await stores.conversations.erase(TENANT, "a", lambda *_: iter(()))  # type: ignore[arg-type]
    assert [each["messages"] for each in (await listed(client))["items"]] == [0]

    await ended_job(stores, session="a")

    assert [each["messages"] for each in (await listed(client))["items"]] == [1]


async def test_pages_follow_each_other_also_where_times_are_the_same(stores: Stores, client: AsyncClient) -> None:
    sessions = [f"session {number}" for number in range(7)]
    for session in sessions:
        await ended_job(stores, session=session)

    found, query = [], "?limit=3"
    while True:
        page = await listed(client, query)
        found.append([each["key"] for each in page["items"]])
        if page["next"] is None:
            break
        query = f"?limit=3&before={page['next']}"

    assert [len(each) for each in found] == [3, 3, 1]
    assert sorted(key for page in found for key in page) == sessions


@pytest.mark.parametrize("before", ["x", "1", "1-", "-1-2", "1-2-3", "9" * 30 + "-1"])
async def test_a_wrong_position_is_refused(client: AsyncClient, before: str) -> None:
    reply = await client.get("/v1/sessions", params={"before": before})

    assert reply.status_code == 422


async def test_an_empty_position_is_none(client: AsyncClient) -> None:
    assert await listed(client, "?before=&limit=") == {"items": [], "next": None}
