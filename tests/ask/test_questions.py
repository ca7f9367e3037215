"""The history of questions: whose they are, in which order, for how long."""

import asyncio

import pytest

from answerback.database import pages
from answerback.testing.clock import FakeClock
from builders import DAY, DAY_MS, TENANT
from databases import Database
from stores import Stores


async def test_the_newest_come_first_each_with_its_own_time(stores: Stores, clock: FakeClock) -> None:
    for n in range(3):
        await stores.questions.keep_question(TENANT, f"question {n}", f"answer {n}", "stop")
        clock.advance(1)

    newest, next_newest = (await stores.questions.list_questions(TENANT, 2)).questions

    assert (newest.question, newest.answer, next_newest.question) == ("question 2", "answer 2", "question 1")
    assert newest.at == next_newest.at + 1000


async def test_long_answers_come_page_by_page(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE_CHARACTERS", 1000)
    for size in (300, 100, 5000, 400, 300, 200):
        await stores.questions.keep_question(TENANT, f"{size}", "x" * size, "stop")

    shown, before = [], None
    while True:
        page = await stores.questions.list_questions(TENANT, 4, before)
        shown.append([int(each.question) for each in page.questions])
        if (before := page.older) is None:
            break

    assert shown == [[200, 300, 400], [5000], [100, 300]]


async def test_a_cut_answer_is_remembered_as_cut(stores: Stores) -> None:
    await stores.questions.keep_question(TENANT, "how long?", "very, ve", "length")

    (question,) = (await stores.questions.list_questions(TENANT, 1)).questions

    assert question.finish_reason == "length"


async def test_questions_answered_in_the_same_moment_have_times_of_their_own_in_their_order(
    stores: Stores, clock: FakeClock
) -> None:
    await asyncio.gather(*(stores.questions.keep_question(TENANT, f"question {n}", "a", "stop") for n in range(100)))
    await stores.questions.keep_question("another", "theirs", "a", "stop")

    times = [each.at for each in (await stores.questions.list_questions(TENANT, 100)).questions]
    (theirs,) = (await stores.questions.list_questions("another", 100)).questions

    assert times == list(range(times[-1] + 99, times[-1] - 1, -1))
    assert theirs.at == clock.now() == times[-1]


async def test_tenants_do_not_see_each_others(stores: Stores) -> None:
    await stores.questions.keep_question(TENANT, "mine", "yes", "stop")

    assert (await stores.questions.list_questions("another", 100)).questions == ()


async def test_old_questions_are_forgotten_batch_by_batch(stores: Stores, clock: FakeClock, database: Database) -> None:
    for n in range(250):
        await stores.questions.keep_question(TENANT, f"old {n}", "a", "stop")
    clock.advance(30 * DAY + 1)
    await stores.questions.keep_question(TENANT, "new", "a", "stop")

    pruned = [await stores.questions.prune(30 * DAY_MS) for _ in range(3)]

    assert pruned == [200, 50, 0]
    assert await database.rows("SELECT question FROM questions") == [("new",)]
    assert [each.question for each in (await stores.questions.list_questions(TENANT, 100)).questions] == ["new"]
