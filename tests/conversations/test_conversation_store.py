"""Conversations in the database: read from where the window begins, shown, erased."""

import pytest
from conversation_record import TENANT, Record
from conversation_stories import answered, asked, called, output

from answerback.conversations.model import Entry
from answerback.database.operation import Operation, Transaction
from answerback.kernel.errors import NotFound


def said(entries: list[Entry]) -> list[int]:
    return [entry.position for entry in entries]


async def test_items_come_back_as_they_were_added(record: Record) -> None:
    parts = [{"type": "text", "text": "größe? 🎈\0"}, {"type": "image_url", "image_url": {"url": "https://x.test/1"}}]
    first = await record.add(asked(parts), answered('"quoted"\n'), called("c1", "look", '{"a": 1}'), at=1_000)
    second = await record.add(output("c1"), answered("done"), at=2_000)

    recalled = await record.store.recall("t1", (await record.claim(3)).conversation_id, 0)

    assert list(recalled.entries) == [first, second]
    assert recalled.erased_through == 0


async def test_a_window_is_read_from_its_beginning_on(record: Record) -> None:
    for n in range(1, 5):
        await record.add(asked(f"question {n}"), window_from=3)

    assert said(await record.store.remembered(TENANT, "s")) == [3, 4]


async def test_what_an_unknown_conversation_remembers_is_nothing(record: Record) -> None:
    await record.add(asked("a"))

    assert await record.store.remembered(TENANT, "another") == []
    assert await record.store.remembered("another tenant", "s") == []


async def test_the_newest_hundred_entries_are_shown_oldest_first(record: Record) -> None:
    for n in range(1, 103):
        await record.add(asked(f"question {n}"))
    await record.join()

    shown = await record.store.show(TENANT, "s")

    assert (shown.key, shown.pending) == ("s", 1)
    assert said(list(shown.entries)) == list(range(3, 103))


@pytest.mark.parametrize(("tenant", "key"), [(TENANT, "nothing"), ("another tenant", "s")])
async def test_what_is_not_there_is_neither_shown_nor_erased(record: Record, tenant: str, key: str) -> None:
    await record.add(asked("a"))

    with pytest.raises(NotFound):
        await record.store.show(tenant, key)
    with pytest.raises(NotFound):
        await record.store.erase(tenant, key, record.erase_jobs)

    assert len((await record.store.show(TENANT, "s")).entries) == 1


async def test_an_erased_conversation_remembers_nothing_of_before_and_goes_on_counting(record: Record) -> None:
    await record.add(asked("a secret"), answered("kept"))
    conversation_id = await record.store.erase(TENANT, "s", record.erase_jobs)

    assert record.erased == [conversation_id]
    assert (await record.store.show(TENANT, "s")).entries == []
    assert (await record.store.recall("t1", conversation_id, 0)).erased_through == 1

    await record.add(asked("next"))

    assert said(await record.store.remembered(TENANT, "s")) == [2]


async def test_another_conversation_is_not_erased(record: Record) -> None:
    await record.add(asked("a"), key="s")
    await record.add(asked("b"), key="t")

    await record.store.erase(TENANT, "s", record.erase_jobs)

    assert len((await record.store.show(TENANT, "t")).entries) == 1


async def test_a_failure_while_jobs_are_erased_erases_nothing(record: Record) -> None:
    class Broken(Exception):
        pass

    def broken(_: Transaction, __: int) -> Operation[None]:
        raise Broken
        yield

    await record.add(asked("a"))

    with pytest.raises(Broken):
        await record.store.erase(TENANT, "s", broken)

    assert len((await record.store.show(TENANT, "s")).entries) == 1
