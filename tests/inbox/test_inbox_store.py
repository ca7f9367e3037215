"""What came stays for a day."""

import pytest

from answerback.database import pages
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

    (left,) = (await stores.inbox.list(TENANT, 10)).items
    assert (left.body, left.headers, left.signature) == (b"new", {"a": "b"}, Verdict.MISSING)


async def test_tenants_are_apart(stores: Stores) -> None:
    await stores.inbox.add(TENANT, came())
    await stores.inbox.add("tenant-b", came())

    await stores.inbox.clear(TENANT)

    assert [len((await stores.inbox.list(each, 10)).items) for each in (TENANT, "tenant-b")] == [0, 1]


async def test_a_page_holds_as_many_as_its_size_allows(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE_CHARACTERS", 250)
    for number in range(5):
        await stores.inbox.add(TENANT, came(b"%d" % number * 100))

    seen, before = [], None
    while page := await stores.inbox.list(TENANT, 4, before):
        assert len(page.items) <= 2
        seen += [each.id for each in page.items]
        before = page.following
        if before is None:
            break

    assert len(seen) == len(set(seen)) == 5
    assert seen == sorted(seen, reverse=True)
