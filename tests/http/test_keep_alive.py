"""A stream that has nothing to send for 15 s sends a comment; until its first one a failure still has a status."""

import asyncio
import json
from collections.abc import AsyncGenerator, MutableMapping
from functools import partial
from typing import Any

import pytest
from starlette.responses import Response

from answerback.chat.chunks import error_chunk, events
from answerback.http.keep_alive import stream
from answerback.http.sse import COMMENT, DONE, sse_response, text_response
from answerback.kernel.errors import ErrorCode
from answerback.kernel.provider_error import ProviderError
from answerback.llm.model import Chunk
from answerback.llm.reply import StreamedReply
from loop_clock import LoopClock

words = partial(events, include_usage=False)
FAILURE = ProviderError(ErrorCode.UPSTREAM_UNREACHABLE, "away", retryable=True)


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> LoopClock:
    return LoopClock(asyncio.get_running_loop(), monkeypatch)


class Client:
    """Reads a response; `read` has what came, and when. It is `slow` by as many seconds to take what was sent."""

    def __init__(self, clock: LoopClock, slow: float = 0) -> None:
        self.read: list[tuple[float, bytes]] = []
        self._clock = clock
        self._slow = slow

    def reads(self, response: Response) -> asyncio.Future[None]:
        return asyncio.ensure_future(response({}, self._receive, self._send))

    async def _receive(self) -> dict[str, str]:
        await asyncio.Event().wait()
        raise AssertionError

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if body := message.get("body"):
            await asyncio.sleep(self._slow)
            self.read.append((self._clock.now, body))


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


async def test_a_slow_answer_comes_behind_comments(clock: LoopClock) -> None:
    call, client = Call(), Client(clock)
    opening = asyncio.ensure_future(stream(call.open(), words))
    await clock.moves(15)
    response = client.reads(sse_response(await opening, error_chunk))
    await clock.moves(20)
    call.opened.set()
    await response
    assert client.read == [(15, COMMENT), (30, COMMENT), (35, b'data: {"choices": [{}]}\n\n'), (35, DONE)]


async def test_a_slow_failure_breaks_the_stream(clock: LoopClock) -> None:
    call, client = Call(FAILURE), Client(clock)
    opening = asyncio.ensure_future(stream(call.open(), words))
    await clock.moves(15)
    response = client.reads(sse_response(await opening, error_chunk))
    await clock.moves(1)
    call.opened.set()
    await response
    assert [event[:14] for _, event in client.read] == [COMMENT, b'data: {"error"']


@pytest.mark.parametrize("opened", [False, True], ids=["before the first token", "after it"])
@pytest.mark.parametrize("read", [False, True], ids=["unread", "read"])
async def test_a_client_that_hangs_up_stops_the_call(opened: bool, read: bool, clock: LoopClock) -> None:
    call = Call()
    opening = asyncio.ensure_future(stream(call.open(), words))
    await clock.moves(15)
    stream_of = await opening
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


async def test_a_refusal_after_comments_still_names_the_reason(clock: LoopClock) -> None:
    # Given a provider that refuses a request once the stream has begun
    code = "context_length_exceeded"
    refusal = ProviderError(
        ErrorCode.UPSTREAM_REFUSED, "too long", retryable=False, param="messages", upstream_code=code
    )
    client = Client(clock)

    async def broken() -> AsyncGenerator[bytes, None]:
        yield COMMENT
        raise refusal

    await client.reads(sse_response(broken(), error_chunk))
    # Then its last chunk has all that the response would have had
    error = json.loads(client.read[-1][1].removeprefix(b"data: "))["error"]
    assert (error["message"], error["param"], error["code"]) == ("too long", "messages", code)


async def test_no_client_waits_longer_than_15_s_for_a_sign_of_life(clock: LoopClock) -> None:
    # Given a model that thinks for long between its words
    async def thinking() -> AsyncGenerator[bytes, None]:
        for seconds in (1, 14.5, 16, 40):
            await asyncio.sleep(seconds)
            yield b"data: word\n\n"

    client = Client(clock)
    response = client.reads(sse_response(thinking()))
    await clock.moves(71.5)
    await response
    # Then a comment comes 15 s after whatever came last, and none before
    words = {at: event for at, event in client.read if event != COMMENT}
    assert list(words) == [1, 15.5, 31.5, 71.5]
    assert [at for at, event in client.read if event == COMMENT] == [30.5, 46.5, 61.5]


async def test_a_client_that_takes_nothing_gets_no_comments_on_top(clock: LoopClock) -> None:
    # Given a client that takes an event half a minute after it was sent
    async def events() -> AsyncGenerator[bytes, None]:
        yield b"data: word\n\n"
        await asyncio.sleep(50)

    client = Client(clock, slow=30)
    response = client.reads(sse_response(events()))
    await clock.moves(80)
    await response
    # Then a comment is sent 15 s after it was taken, and none before
    assert client.read == [(30, b"data: word\n\n"), (75, COMMENT)]


async def test_a_text_has_no_comments(clock: LoopClock) -> None:
    async def pieces() -> AsyncGenerator[bytes, None]:
        yield b"a word"
        await asyncio.sleep(60)
        yield b" and another"

    client = Client(clock)
    response = client.reads(text_response(pieces()))
    await clock.moves(60)
    await response
    assert client.read == [(0, b"a word"), (60, b" and another")]
