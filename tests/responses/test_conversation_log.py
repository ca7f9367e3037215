"""Conversations in the database: their items stay in order and as long as they do, and are each tenant's own."""

from typing import Any

import pytest

from answerback.kernel.errors import NotFound
from answerback.responses import ids
from answerback.responses.conversations import store as conversation_store
from answerback.responses.items.history import ChainTooLong
from answerback.responses.items.input import Given
from answerback.testing.clock import FakeClock
from builders import DAY_MS, TENANT, accept, claim_job, finish
from stores import Stores

STRANGER = "tenant-b"


def message(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"text": text}]}


def given(*items: dict[str, Any]) -> Given:
    return Given(items, tuple(f"items[{n}]" for n in range(len(items))))


async def create(stores: Stores, *said: str) -> str:
    return (await stores.conversation_log.create(TENANT, given(*map(message, said)), {})).id


async def turn(stores: Stores, conversation_id: str, text: str = "turn") -> int:
    """A job of the conversation, answered; returns its place."""
    accepted = await accept(stores, text, ids.conversation_key(conversation_id))
    assert await finish(stores, await claim_job(stores))
    assert accepted.position is not None
    return accepted.position


async def row_of(stores: Stores, conversation_id: str) -> int:
    await accept(stores, "look", ids.conversation_key(conversation_id))
    claim = await claim_job(stores)
    assert claim.job.conversation_id is not None
    return claim.job.conversation_id


def text_of(items: Any) -> list[str]:
    """Of those that clients added; the toy kind adds texts."""
    return [item["content"][0]["text"] for item in items if isinstance(item.get("content"), list)]


async def test_a_turn_reads_what_stood_before_it_alone(stores: Stores) -> None:
    conversation = await create(stores, "one", "two")
    place = await turn(stores, conversation)
    await stores.conversation_log.add(TENANT, conversation, given(message("after")))
    row = await row_of(stores, conversation)

    before = await stores.conversation_log.before(TENANT, row, place)
    everything = await stores.conversation_log.before(TENANT, row, place + 2)

    assert before is not None
    assert everything is not None
    assert text_of(before) == ["one", "two"]
    assert text_of(everything) == ["one", "two", "after"]
    assert len(everything) > 3


async def test_it_is_no_longer_than_memory_allows(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    conversation = await create(stores, "x" * 1000)
    row = await row_of(stores, conversation)
    monkeypatch.setattr(conversation_store, "MOST_CHARACTERS", 1000)

    with pytest.raises(ChainTooLong):
        await stores.conversation_log.before(TENANT, row, 9)


async def test_of_one_that_is_too_long_the_newest_turns_are_read_where_that_is_asked_for(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = await create(stores, "x" * 2000)
    for text in ("two", "three"):
        await stores.conversation_log.add(TENANT, conversation, given(message(text)))
    row = await row_of(stores, conversation)
    monkeypatch.setattr(conversation_store, "MOST_CHARACTERS", 1000)

    kept = await stores.conversation_log.before(TENANT, row, 9, shortened=True)
    monkeypatch.setattr(conversation_store, "MOST_CHARACTERS", 1)
    nothing = await stores.conversation_log.before(TENANT, row, 9, shortened=True)

    assert text_of(kept) == ["two", "three"]
    assert nothing == []


async def test_a_page_of_large_items_is_shorter_and_says_so(stores: Stores) -> None:
    conversation = await create(stores)
    for n in range(4):
        await stores.conversation_log.add(TENANT, conversation, given(message(f"{n}" * 900_000)))

    read: list[str] = []
    after, pages, more = None, 0, True
    while more:
        page = await stores.conversation_log.page(TENANT, conversation, after, 10, newest_first=True)
        assert page is not None
        assert page.items
        read += text_of(page.items)
        after, pages, more = page.items[-1]["id"], pages + 1, page.has_more

    assert [text[0] for text in read] == ["3", "2", "1", "0"]
    assert pages > 1


async def test_of_the_items_of_an_entry_one_goes_after_the_other(stores: Stores) -> None:
    conversation = await create(stores, "one", "two")
    page = await stores.conversation_log.page(TENANT, conversation, None, 10, newest_first=False)
    assert page is not None
    first, second = (item["id"] for item in page.items)

    await stores.conversation_log.delete_item(TENANT, conversation, first)
    assert (await stores.conversation_log.item(TENANT, conversation, second))["content"] == [{"text": "two"}]
    await stores.conversation_log.delete_item(TENANT, conversation, second)

    empty = await stores.conversation_log.page(TENANT, conversation, None, 10, newest_first=True)
    assert empty is not None
    assert not empty.items
    for gone in (first, second, "msg_1"):
        with pytest.raises(NotFound):
            await stores.conversation_log.delete_item(TENANT, conversation, gone)


@pytest.mark.parametrize("newest_first", [True, False])
async def test_a_page_begins_behind_an_item_that_was_deleted(stores: Stores, newest_first: bool) -> None:
    said = [f"{n}" for n in range(6)]
    conversation = await create(stores, *said[:3])
    await stores.conversation_log.add(TENANT, conversation, given(message("3")))
    await stores.conversation_log.add(TENANT, conversation, given(*map(message, said[4:])))
    read: list[str] = []
    after, more = None, True
    while more:
        page = await stores.conversation_log.page(TENANT, conversation, after, 2, newest_first=newest_first)
        assert page is not None
        read += text_of(page.items)
        for item in page.items:
            await stores.conversation_log.delete_item(TENANT, conversation, item["id"])
        after, more = page.items[-1]["id"], page.has_more

    assert read == (said[::-1] if newest_first else said)
    left = await stores.conversation_log.page(TENANT, conversation, after, 2, newest_first=newest_first)
    assert left is not None
    assert (list(left.items), left.has_more) == ([], False)
    assert await stores.conversation_log.page(TENANT, conversation, "msg_1", 2, newest_first=newest_first) is None


async def test_one_that_is_deleted_takes_no_answer_any_more(stores: Stores) -> None:
    conversation = await create(stores, "one")
    await accept(stores, "open", ids.conversation_key(conversation))
    claim = await claim_job(stores)
    assert claim.job.conversation_id is not None

    await stores.conversation_log.delete(TENANT, conversation)
    assert await finish(stores, claim)

    assert await stores.conversation_log.before(TENANT, claim.job.conversation_id, 99) is None
    assert await stores.conversations.entries(TENANT, claim.job.conversation_id, 0) == []
    for call in (stores.conversation_log.get, stores.conversation_log.delete):
        with pytest.raises(NotFound):
            await call(TENANT, conversation)


async def test_it_is_no_session(stores: Stores) -> None:
    conversation = await create(stores, "one")
    key = ids.conversation_key(conversation)

    for name in (conversation, key):
        with pytest.raises(NotFound):
            await stores.conversations.show(TENANT, name)
        assert await stores.conversations.remembered(TENANT, name) == []
    await accept(stores, "hello", conversation)

    # A session that is called like it is another one.
    assert (await stores.conversations.show(TENANT, conversation)).pending == 1
    assert await stores.conversation_log.item(TENANT, conversation, (await _only_item(stores, conversation))["id"])


async def _only_item(stores: Stores, conversation: str) -> Any:
    page = await stores.conversation_log.page(TENANT, conversation, None, 10, newest_first=True)
    assert page is not None
    (item,) = page.items
    return item


async def test_its_items_outlive_its_jobs(stores: Stores, clock: FakeClock) -> None:
    conversation = await create(stores, "one")
    accepted = await accept(stores, "turn", ids.conversation_key(conversation), callback_url=None)
    claim = await claim_job(stores)
    assert await finish(stores, claim)
    assert claim.job.conversation_id is not None
    assert claim.job.position == 2

    clock.advance(1.5 * DAY_MS / 1000)
    await stores.conversation_log.change(TENANT, conversation, {"still": "used"})
    assert (await stores.jobs.prune(DAY_MS))["jobs_pruned"]

    kept = await stores.conversation_log.before(TENANT, claim.job.conversation_id, 3)
    assert kept is not None
    assert len(kept) > 1
    with pytest.raises(NotFound):
        await stores.jobs.get(TENANT, accepted.job_id)


async def test_an_idle_one_goes_with_its_items(stores: Stores, clock: FakeClock) -> None:
    conversation = await create(stores, "one")
    used = await create(stores, "two")

    clock.advance(1.5 * DAY_MS / 1000)
    await stores.conversation_log.add(TENANT, used, given(message("three")))
    await stores.jobs.prune(DAY_MS)

    with pytest.raises(NotFound):
        await stores.conversation_log.get(TENANT, conversation)
    page = await stores.conversation_log.page(TENANT, used, None, 10, newest_first=False)
    assert page is not None
    assert text_of(page.items) == ["two", "three"]


async def test_another_tenant_finds_nothing(stores: Stores) -> None:
    conversation = await create(stores, "one")
    item = (await _only_item(stores, conversation))["id"]
    log = stores.conversation_log

    for call in (
        log.get(STRANGER, conversation),
        log.change(STRANGER, conversation, {}),
        log.add(STRANGER, conversation, given(message("x"))),
        log.page(STRANGER, conversation, None, 1, newest_first=True),
        log.item(STRANGER, conversation, item),
        log.delete_item(STRANGER, conversation, item),
        log.delete(STRANGER, conversation),
    ):
        with pytest.raises(NotFound):
            await call


@pytest.mark.parametrize("newest_first", [True, False])
async def test_large_items_that_came_in_one_request_are_paged_by_size_too(stores: Stores, newest_first: bool) -> None:
    conversation = await create(stores)
    await stores.conversation_log.add(TENANT, conversation, given(*(message(f"{n}" * 900_000) for n in range(5))))

    read: list[list[str]] = []
    after, more = None, True
    while more:
        page = await stores.conversation_log.page(TENANT, conversation, after, 10, newest_first=newest_first)
        assert page is not None
        read.append([text[0] for text in text_of(page.items)])
        after, more = page.items[-1]["id"], page.has_more

    assert read == ([["4", "3"], ["2", "1"], ["0"]] if newest_first else [["0", "1"], ["2", "3"], ["4"]])
