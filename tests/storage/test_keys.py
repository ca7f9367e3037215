"""Signing secrets and their rotation; API keys."""

import pytest

from answerback.jobs.store import SqlStore
from answerback.kernel.errors import NotFound
from answerback.testing.clock import FakeClock
from databases import Database

HOUR = 3600.0


async def test_without_a_configured_secret_one_is_made_once_and_kept(store: SqlStore) -> None:
    (made,) = await store.callback_secrets(None)

    assert made.startswith("whsec_")
    assert await store.callback_secrets(None) == [made]


async def test_a_rotated_secret_signs_beside_the_new_one_for_24_hours(store: SqlStore, clock: FakeClock) -> None:
    (old,) = await store.callback_secrets(None)

    new = await store.rotate_secret()

    clock.advance(24 * HOUR - 0.001)
    assert await store.callback_secrets(None) == [new, old]
    clock.advance(0.001)
    assert await store.callback_secrets(None) == [new]


async def test_two_rotations_within_a_day_leave_three_live_secrets(store: SqlStore, clock: FakeClock) -> None:
    (first,) = await store.callback_secrets(None)
    second = await store.rotate_secret()
    clock.advance(12 * HOUR)
    third = await store.rotate_secret()

    assert await store.callback_secrets(None) == [third, second, first]
    clock.advance(12 * HOUR)
    assert await store.callback_secrets(None) == [third, second]


async def test_a_newly_configured_secret_takes_over_and_the_others_go_on_for_a_day(
    store: SqlStore, clock: FakeClock
) -> None:
    (made,) = await store.callback_secrets(None)

    assert await store.callback_secrets("configured") == ["configured", made]
    assert await store.callback_secrets("configured") == ["configured", made]
    clock.advance(24 * HOUR)
    assert await store.callback_secrets("configured") == ["configured"]


async def test_returning_to_an_earlier_secret_lists_it_once(store: SqlStore) -> None:
    await store.callback_secrets("one")
    await store.callback_secrets("two")

    assert await store.callback_secrets("one") == ["one", "two"]


async def test_asking_for_the_secrets_writes_nothing_new(store: SqlStore, database: Database) -> None:
    await store.callback_secrets("configured")

    for _ in range(3):
        await store.callback_secrets("configured")

    assert await database.rows("SELECT count(*) FROM secrets") == [(1,)]


async def test_a_key_is_made_listed_and_revoked(store: SqlStore, clock: FakeClock) -> None:
    key = await store.create_key("shop", "hash-1")
    clock.advance(1)
    other = await store.create_key("blog", "hash-2")
    assert await store.list_keys() == [key, other]

    clock.advance(1)
    await store.revoke_key(key.id)

    assert [each.revoked_at for each in await store.list_keys()] == [clock.now(), None]


async def test_a_key_cannot_be_revoked_twice_nor_when_unknown(store: SqlStore) -> None:
    key = await store.create_key("shop", "hash")
    await store.revoke_key(key.id)

    for key_id in (key.id, "key_unknown"):
        with pytest.raises(NotFound):
            await store.revoke_key(key_id)
