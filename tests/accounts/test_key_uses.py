"""When a key was last used: known without a write a request."""

from collections.abc import AsyncIterator

import pytest

from answerback.accounts.key_use import KeyUses
from answerback.kernel.errors import StorageUnavailable
from answerback.testing.clock import FakeClock
from stores import Stores


@pytest.fixture
async def uses(stores: Stores, clock: FakeClock) -> AsyncIterator[KeyUses]:
    made = KeyUses(stores.accounts, clock)
    yield made
    await made.close()


async def used_at(stores: Stores) -> dict[str, int | None]:
    """By the names of keys."""
    return {key.name: key.last_used_at for key in await stores.accounts.list_keys()}


async def test_the_last_use_is_written_and_no_other_key_is_touched(
    stores: Stores, clock: FakeClock, uses: KeyUses
) -> None:
    used = await stores.accounts.create_key("shop", "hash-1")
    await stores.accounts.create_key("idle", "hash-2")
    uses.seen(used.id)
    clock.advance(5)
    uses.seen(used.id)

    assert await used_at(stores) == {"shop": None, "idle": None}
    await uses.write()

    assert await used_at(stores) == {"shop": clock.now(), "idle": None}


async def test_an_earlier_use_that_another_process_saw_takes_nothing_back(
    stores: Stores, clock: FakeClock, uses: KeyUses
) -> None:
    used = await stores.accounts.create_key("shop", "hash-1")
    later = clock.now() + 60_000
    await stores.accounts.note_use({used.id: later})
    uses.seen(used.id)

    await uses.write()

    assert await used_at(stores) == {"shop": later}


async def test_what_cannot_be_written_now_is_written_at_the_end(
    stores: Stores, clock: FakeClock, uses: KeyUses, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = await stores.accounts.create_key("shop", "hash-1")
    uses.seen(used.id)

    async def away(*_: object) -> None:
        raise StorageUnavailable("it is away")

    with monkeypatch.context() as outage:
        outage.setattr(type(stores.accounts), "note_use", away)
        await uses.write()
    uses.start()

    await uses.close()

    assert await used_at(stores) == {"shop": clock.now()}
