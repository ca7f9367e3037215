"""An answer does not wait long to be stored in the history, and is stored as soon as the database is free."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from answerback.ask import ask as module
from answerback.ask.ask import Questions
from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.instruments import Instruments
from answerback.kernel.retry import ShortRetries
from answerback.llm.asking import Asker
from answerback.llm.mock import MockProvider
from builders import TENANT, Journal, raw
from stores import Stores

Ask = Callable[[Questions], Coroutine[Any, Any, str]]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STORING_SECONDS", 0.0)


def questions(store: Any, journal: Journal) -> Questions:
    asker = Asker(MockProvider(), ShortRetries(0, 0.01, 0.01, 2), 10, Instruments(journal))
    return Questions(asker, store, journal)


async def asked(over: Questions) -> str:
    return (await over.ask(TENANT, "hello?", None)).text


async def streamed(over: Questions) -> str:
    return "".join([words async for words in (await over.stream(TENANT, "hello?", None)).pieces])


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("ask", [asked, streamed])
async def test_behind_a_locked_database_the_answer_goes_out_and_is_stored_once_it_is_free(
    stores: Stores, path: Path, journal: Journal, ask: Ask
) -> None:
    with raw(path) as other:
        other.execute("BEGIN IMMEDIATE")

        answer = await asyncio.wait_for(ask(questions(stores.questions, journal)), 5)

        assert answer == 'You said: "hello?".'
        assert (await stores.questions.list_questions(TENANT, 10)).questions == ()
        other.execute("ROLLBACK")
    # Whatever is written next comes after it.
    await stores.questions.keep_question("another", "q", "a", "stop")
    assert [(each.question, each.answer) for each in (await stores.questions.list_questions(TENANT, 10)).questions] == [
        ("hello?", answer)
    ]


class Away:
    """A store that takes nothing."""

    async def keep_question(self, *_: str) -> None:
        raise StorageUnavailable("locked")


@pytest.mark.parametrize("ask", [asked, streamed])
async def test_what_could_not_be_stored_is_logged(journal: Journal, ask: Ask) -> None:
    assert await ask(questions(Away(), journal)) == 'You said: "hello?".'

    await journal.seen("history_not_kept")
