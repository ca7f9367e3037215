"""Endpoints and what they subscribe to."""

import pytest
from owing import COMPLETED, FAILED

from answerback.kernel.errors import Conflict, NotFound
from answerback.testing.clock import FakeClock
from answerback.webhooks.endpoints.operations import MAX_ENDPOINTS, Endpoint
from builders import TENANT
from databases import Database
from stores import Stores


async def create(stores: Stores, name: str = "shop", *types: str) -> Endpoint:
    return await stores.endpoints.create(TENANT, name, f"https://{name}.example/events", types or (COMPLETED,))


async def test_an_endpoint_is_what_it_was_created_as(stores: Stores) -> None:
    made = await create(stores, "shop", FAILED, COMPLETED, FAILED)

    assert made.id.startswith("whe_")
    assert made.event_types == (COMPLETED, FAILED)
    assert await stores.endpoints.get(TENANT, made.id) == made


async def test_what_is_not_given_stays_and_types_are_replaced(stores: Stores, clock: FakeClock) -> None:
    made = await create(stores)
    clock.advance(5)

    renamed = await stores.endpoints.change(TENANT, made.id, name="office")
    moved = await stores.endpoints.change(TENANT, made.id, url="https://new.example/", event_types=[FAILED])

    assert (renamed.name, renamed.url, renamed.event_types) == ("office", made.url, (COMPLETED,))
    assert (moved.name, moved.url, moved.event_types) == ("office", "https://new.example/", (FAILED,))
    assert (moved.created_at, moved.updated_at) == (made.created_at, made.created_at + 5_000)


async def test_a_change_to_what_it_is_already_leaves_its_time(stores: Stores, clock: FakeClock) -> None:
    made = await create(stores, "shop", COMPLETED, FAILED)
    clock.advance(5)

    assert await stores.endpoints.change(TENANT, made.id, "shop", made.url, [FAILED, COMPLETED]) == made


@pytest.mark.parametrize("overlap", [False, True])
async def test_a_new_secret_signs_alone_or_beside_the_old_one(stores: Stores, clock: FakeClock, overlap: bool) -> None:
    made = await create(stores)
    clock.advance(5)

    rotated = await stores.endpoints.rotate_secret(TENANT, made.id, overlap=overlap)

    assert rotated.secret != made.secret
    assert rotated.updated_at == made.updated_at + 5_000
    live = [each.value for each in await stores.secrets.live(made.id)]
    assert live == ([rotated.secret, made.secret] if overlap else [rotated.secret])


async def test_a_tenant_has_a_hundred_at_most(stores: Stores) -> None:
    for n in range(MAX_ENDPOINTS):
        made = await create(stores, f"shop-{n}")

    with pytest.raises(Conflict, match="delete one"):
        await create(stores)
    await stores.endpoints.create("tenant-b", "their first", "https://b.example/", [COMPLETED])
    await stores.endpoints.delete(TENANT, made.id)
    await create(stores)


async def test_they_are_listed_newest_first_a_page_at_a_time(stores: Stores, clock: FakeClock) -> None:
    made = []
    for n in range(3):
        made.append(await create(stores, f"shop-{n}"))
        clock.advance(1)

    first = await stores.endpoints.list(TENANT, None, 2)
    rest = await stores.endpoints.list(TENANT, first[-1].id, 2)

    assert [*first, *rest] == made[::-1]

    oldest = await stores.endpoints.list(TENANT, None, 2, newest_first=False)
    behind = await stores.endpoints.list(TENANT, oldest[-1].id, 2, newest_first=False)

    assert [*oldest, *behind] == made


async def test_a_deleted_one_is_gone_with_its_subscriptions_and_secrets(stores: Stores, database: Database) -> None:
    made, other = await create(stores), await create(stores)
    for owner in (made.id, other.id, TENANT):
        await stores.secrets.rotate(owner)

    await stores.endpoints.delete(TENANT, made.id)

    assert [each.id for each in await stores.endpoints.list(TENANT, None, 10)] == [other.id]
    assert await database.rows("SELECT endpoint_id FROM webhook_subscriptions") == [(other.id,)]
    assert sorted(await database.rows("SELECT DISTINCT owner FROM signing_secrets")) == sorted([(TENANT,), (other.id,)])
    with pytest.raises(NotFound):
        await stores.secrets.rotate(made.id)
    with pytest.raises(NotFound):
        await stores.endpoints.get(TENANT, made.id)


async def test_another_tenants_is_not_found(stores: Stores) -> None:
    made = await create(stores)

    for attempt in (
        stores.endpoints.get("tenant-b", made.id),
        stores.endpoints.change("tenant-b", made.id, name="mine"),
        stores.endpoints.rotate_secret("tenant-b", made.id, overlap=False),
        stores.endpoints.delete("tenant-b", made.id),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await stores.endpoints.list("tenant-b", None, 10) == []
    assert await stores.endpoints.get(TENANT, made.id) == made
