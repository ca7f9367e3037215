"""A chat stream whose first token is slow begins with comments; until then a failure still has a status."""

import asyncio
import json
from collections.abc import AsyncGenerator, MutableMapping
from functools import partial
from typing import Any

import pytest

from answerback.chat.chunks import error_chunk, events
from answerback.http.keep_alive import stream
from answerback.http.sse import COMMENT, sse_response
from answerback.kernel.errors import ErrorCode, ProviderError
from answerback.llm.model import Chunk
from answerback.llm.reply import StreamedReply

SOON = 0.01
words = partial(events, include_usage=False)
FAILURE = ProviderError(ErrorCode.UPSTREAM_UNREACHABLE, "away", retryable=True)


class Call:
    """An LLM's call whose first token comes when `opened` is set; `stopped` once it is over or was closed."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.opened = asyncio.Event()
        self.stopped = asyncio.Event()
        self._failure = failure

    async def open(self) -> StreamedReply:
        try:
            await self.opened.wait()
        except asyncio.CancelledError:
            self.stopped.set()
            raise
        if self._failure is not None:
            raise self._failure
        return await StreamedReply.open(self._chunks(), 60, asyncio.get_running_loop().time() + 60)

    async def _chunks(self) -> AsyncGenerator[Chunk, None]:
        try:
            yield Chunk(b'{"choices": [{}]}', {"choices": [{}]}, "hi", None, None)
        finally:
            self.stopped.set()


async def test_a_quick_answer_has_no_comments() -> None:
    call = Call()
    call.opened.set()
    stream_of = await stream(call.open(), words)
    assert [each async for each in stream_of] == [b'data: {"choices": [{}]}\n\n', b"data: [DONE]\n\n"]


async def test_a_quick_failure_still_has_a_status() -> None:
    call = Call(FAILURE)
    call.opened.set()
    with pytest.raises(ProviderError, match="away"):
        await stream(call.open(), words)


async def test_a_slow_answer_comes_behind_comments() -> None:
    call = Call()
    stream_of = await stream(call.open(), words, SOON)
    assert [await anext(stream_of) for _ in range(3)] == [b": keepalive\n\n"] * 3
    call.opened.set()
    rest = [each async for each in stream_of]
    assert rest[-2:] == [b'data: {"choices": [{}]}\n\n', b"data: [DONE]\n\n"]


async def test_a_slow_failure_breaks_the_stream() -> None:
    call = Call(FAILURE)
    stream_of = await stream(call.open(), words, SOON)
    assert await anext(stream_of) == COMMENT
    call.opened.set()
    with pytest.raises(ProviderError, match="away"):
        [each async for each in stream_of]


@pytest.mark.parametrize("opened", [False, True], ids=["before the first token", "after it"])
@pytest.mark.parametrize("read", [False, True], ids=["unread", "read"])
async def test_a_client_that_hangs_up_stops_the_call(opened: bool, read: bool) -> None:
    call = Call()
    stream_of = await stream(call.open(), words, SOON)
    if read:
        await anext(stream_of)
    if opened:
        call.opened.set()
        await asyncio.sleep(0)
    await stream_of.aclose()
    assert call.stopped.is_set()


async def test_a_client_that_hangs_up_while_the_status_waits_stops_the_call() -> None:
    call = Call()
    waiting = asyncio.create_task(stream(call.open(), words))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert call.stopped.is_set()


async def test_a_refusal_after_comments_still_names_the_reason() -> None:
    # Given a provider that refuses a request once the stream has begun
    code = "context_length_exceeded"
    refusal = ProviderError(
        ErrorCode.UPSTREAM_REFUSED, "too long", retryable=False, param="messages", upstream_code=code
    )
    sent: list[bytes] = []

    async def broken() -> AsyncGenerator[bytes, None]:
        yield COMMENT
        raise refusal

    async def receive() -> dict[str, str]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message.get("body", b""))

    await sse_response(broken(), error_chunk)({}, receive, send)
    # Then its last chunk has all that the response would have had
    error = json.loads(sent[-1].removeprefix(b"data: "))["error"]
    assert (error["message"], error["param"], error["code"]) == ("too long", "messages", code)


async def test_a_stream_that_pauses_is_kept_alive_by_comments() -> None:
    # Given a model that says a word and then thinks
    go_on, sent = asyncio.Event(), asyncio.Queue[bytes]()

    async def slow() -> AsyncGenerator[bytes, None]:
        yield b"data: 1\n\n"
        await go_on.wait()
        yield b"data: 2\n\n"

    async def receive() -> dict[str, str]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.put_nowait(message.get("body", b""))

    response = asyncio.create_task(sse_response(slow(), error_chunk, SOON)({}, receive, send))
    # Then comments come until it goes on, and none is lost
    assert [await sent.get() for _ in range(4)] == [b"", b"data: 1\n\n", COMMENT, COMMENT]
    go_on.set()
    await response
    rest = [sent.get_nowait() for _ in range(sent.qsize())]
    assert [each for each in rest if each != COMMENT] == [b"data: 2\n\n", b""]
