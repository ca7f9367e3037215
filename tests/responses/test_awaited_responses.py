"""A response whose caller waits, while the database is away at its end."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, cast

import pytest

from answerback.accounts.model import Caller
from answerback.jobs.kind import JobState
from answerback.jobs.moves import JobMoves
from answerback.kernel.errors import StorageUnavailable
from answerback.responses.awaited import Awaited
from answerback.responses.background import Background
from answerback.responses.model import Asked
from answerback.responses.stored.rows import Opened, StoredResponse
from answerback.responses.stored.store import ResponseStore
from answerback.responses.stored.streams import StoredStreams
from builders import TENANT, Journal

CALLER = Caller(TENANT, None, operator=False, rate=None)
UNSTORED = Asked({"stream": True, "store": False, "conversation": "conv_1"}, ())
RESULT = {"status": "completed", "reason": None, "model": "m", "usage": None, "output": []}
FOUND = StoredResponse("resp_1", UNSTORED, 1_000, JobState.COMPLETED, RESULT, None, 2_000)


class Answered:
    """In place of what submits: its job has ended at once."""

    async def start(self, *_: Any) -> tuple[Opened, bool]:
        return Opened("resp_1", UNSTORED, 1_000), True


class Leaving:
    """A database that is away once the response has been read."""

    async def end(self, *_: Any) -> StoredResponse:
        return FOUND

    find = end

    async def forget(self, *_: Any, **__: Any) -> None:
        raise StorageUnavailable("the database is away")

    release_key = forget


class Events:
    async def begun(self, *_: Any) -> bool:
        return True

    async def read(self, *_: Any) -> AsyncGenerator[bytes, None]:
        yield b"data: [DONE]\n\n"


@pytest.fixture
def log() -> Journal:
    return Journal()


@pytest.fixture
def awaited(log: Journal) -> Awaited:
    background, store, streams = cast("Background", Answered()), cast("ResponseStore", Leaving()), Events()
    return Awaited(background, store, cast("StoredStreams", streams), JobMoves(), "m", log)


@pytest.mark.parametrize("key", [None, "key"])
async def test_a_stream_that_is_whole_ends_as_whole(awaited: Awaited, log: Journal, key: str | None) -> None:
    response, _ = await awaited.stream(CALLER, UNSTORED, key)

    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    await response({"type": "http"}, receive, send)

    assert sent[-1]["body"] == b""
    assert b"".join(each.get("body", b"") for each in sent) == b"data: [DONE]\n\n"
    assert "response_not_cleaned_up" in log.events


async def test_a_whole_answer_is_given(awaited: Awaited, log: Journal) -> None:
    body, created = await awaited.respond(CALLER, UNSTORED, None)

    assert (body["status"], body["store"], created) == ("completed", False, True)
    assert "response_not_cleaned_up" in log.events


async def test_a_key_is_free_before_its_caller_hears_of_a_failure() -> None:
    happened: list[str] = []

    class Freeing(Leaving):
        async def release_key(self, *_: Any) -> None:
            happened.append("freed")

    background, store, streams = cast("Background", Answered()), cast("ResponseStore", Freeing()), Events()
    awaited = Awaited(background, store, cast("StoredStreams", streams), JobMoves(), "m", Journal())
    response, _ = await awaited.stream(CALLER, UNSTORED, "key")

    async def send(message: Any) -> None:
        if message.get("body"):
            happened.append("heard")

    async def stay() -> Any:
        await asyncio.Event().wait()

    await response({"type": "http"}, stay, send)

    assert happened == ["freed", "heard"]
