"""Tenants and their keys, on both databases."""

import pytest

from answerback.accounts.model import DEFAULT_TENANT
from answerback.kernel.errors import Conflict, NotFound
from answerback.testing.clock import FakeClock
from databases import Database
from stores import Stores


async def test_a_key_is_made_listed_and_revoked(stores: Stores, clock: FakeClock) -> None:
    key = await stores.accounts.create_key("shop", "hash-1", "5/minute")
    clock.advance(1)
    other = await stores.accounts.create_key("blog", "hash-2", operator=True)
    assert await stores.accounts.list_keys() == [key, other]
    assert (key.operator, key.rate_limit, other.operator, other.rate_limit) == (False, "5/minute", True, None)

    clock.advance(1)
    await stores.accounts.revoke_key(key.id)

    assert [each.revoked_at for each in await stores.accounts.list_keys()] == [clock.now(), None]


async def test_a_key_cannot_be_revoked_twice_nor_when_unknown(stores: Stores) -> None:
    key = await stores.accounts.create_key("shop", "hash")
    await stores.accounts.revoke_key(key.id)

    for key_id in (key.id, "key_unknown"):
        with pytest.raises(NotFound):
            await stores.accounts.revoke_key(key_id)


async def test_a_key_gets_a_tenant_of_its_own(stores: Stores, database: Database) -> None:
    first, second = (
        await stores.accounts.create_key("shop", "hash-1"),
        await stores.accounts.create_key("shop", "hash-2"),
    )

    assert first.tenant_id.startswith("tnt_")
    assert set(await database.rows("SELECT id FROM tenants")) == {(first.tenant_id,), (second.tenant_id,)}


@pytest.mark.parametrize("named_by", ["tenant_id", "id", "name"])
async def test_a_further_key_of_a_tenant_is_made_by_what_the_operator_knows_of_it(
    stores: Stores, database: Database, named_by: str
) -> None:
    key = await stores.accounts.create_key("shop", "hash-1")
    await stores.accounts.revoke_key(key.id)

    replacement = await stores.accounts.create_key("shop, again", "hash-2", tenant=getattr(key, named_by))

    assert replacement.tenant_id == key.tenant_id
    assert await database.rows("SELECT count(*) FROM tenants") == [(1,)]


async def test_the_default_tenant_is_always_there(stores: Stores) -> None:
    assert (await stores.accounts.create_key("mine", "hash", tenant=DEFAULT_TENANT)).tenant_id == DEFAULT_TENANT


async def test_a_key_weighs_its_tenant_and_another_leaves_the_weight(stores: Stores, database: Database) -> None:
    key = await stores.accounts.create_key("shop", "hash-1", weight=3)
    await stores.accounts.create_key("shop, again", "hash-2", tenant=key.tenant_id)
    await stores.accounts.create_key("mine", "hash-3", tenant=DEFAULT_TENANT, weight=5)
    await stores.accounts.create_key("mine, again", "hash-4", tenant=DEFAULT_TENANT, weight=7)

    assert set(await database.rows("SELECT id, weight FROM tenants")) == {(key.tenant_id, 3), (DEFAULT_TENANT, 7)}
    assert sorted(each.weight for each in await stores.accounts.list_keys()) == [3, 3, 7, 7]
    await stores.accounts.create_key("light", "hash-5")
    assert await stores.accounts.weights() == {key.tenant_id: 3, DEFAULT_TENANT: 7}


async def test_a_tenant_is_weighed_anew(stores: Stores) -> None:
    await stores.accounts.create_key("shop", "hash-1", weight=3)
    await stores.accounts.create_key("mine", "hash-2", tenant=DEFAULT_TENANT)

    assert await stores.accounts.weigh(DEFAULT_TENANT, 2) == DEFAULT_TENANT
    await stores.accounts.weigh("shop", 1)

    assert {each.name: each.weight for each in await stores.accounts.list_keys()} == {"shop": 1, "mine": 2}
    assert await stores.accounts.weights() == {DEFAULT_TENANT: 2}
    with pytest.raises(NotFound, match="nobody"):
        await stores.accounts.weigh("nobody", 2)


async def test_an_unknown_tenant_gets_no_key(stores: Stores) -> None:
    with pytest.raises(NotFound, match="nobody"):
        await stores.accounts.create_key("shop", "hash", tenant="nobody")

    assert await stores.accounts.list_keys() == []


async def test_a_name_that_several_tenants_use_names_none_of_them(stores: Stores) -> None:
    keys = [await stores.accounts.create_key("shop", f"hash-{number}") for number in range(2)]

    with pytest.raises(Conflict) as refused:
        await stores.accounts.find_tenant("shop")

    assert all(key.tenant_id in refused.value.message for key in keys)


async def test_several_keys_of_one_name_and_tenant_name_that_tenant(stores: Stores) -> None:
    key = await stores.accounts.create_key("shop", "hash-1")
    await stores.accounts.create_key("shop", "hash-2", tenant=key.tenant_id)

    assert await stores.accounts.find_tenant("shop") == key.tenant_id
