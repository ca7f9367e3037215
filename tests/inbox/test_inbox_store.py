"""What came stays for a day."""

from answerback.inbox.model import KEPT_MS, Received, Verdict
from answerback.testing.clock import FakeClock
from builders import TENANT
from stores import Stores


def came(body: bytes = b"{}") -> Received:
    return Received("", 0, {"a": "b"}, body, len(body), Verdict.MISSING, None)


async def test_what_came_a_day_ago_is_gone(stores: Stores, clock: FakeClock) -> None:
    await stores.inbox.add(TENANT, came(b"old"))
    clock.advance(60)
    await stores.inbox.add(TENANT, came(b"new"))
    clock.advance(KEPT_MS / 1000 - 30)

    assert await stores.inbox.prune() == 1

    (left,) = await stores.inbox.list(TENANT, 10)
    assert (left.body, left.headers, left.signature) == (b"new", {"a": "b"}, Verdict.MISSING)


async def test_tenants_are_apart(stores: Stores) -> None:
    await stores.inbox.add(TENANT, came())
    await stores.inbox.add("tenant-b", came())

    await stores.inbox.clear(TENANT)

    assert [len(await stores.inbox.list(each, 10)) for each in (TENANT, "tenant-b")] == [0, 1]
