"""A streamed reply is closed when its time is over, whether or not anybody reads it."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest
from scripting import ask, chunk, streamed

from answerback.kernel.clock import SystemClock
from answerback.kernel.errors import ErrorCode
from answerback.kernel.heavy import HeavyWork
from answerback.kernel.instruments import Instruments
from answerback.kernel.provider_error import ProviderError
from answerback.llm.limiter import LimitedProvider, UpstreamLimiter
from answerback.llm.model import ChatRequest, Chunk
from answerback.llm.observed import ObservedProvider
from answerback.llm.openai_compatible import OpenAICompatible
from answerback.llm.provider import send_streamed
from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from builders import Journal

SOON = 0.02


class Endless:
    """A stream that goes on until it is closed."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.ends: list[BaseException | None] = []

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        try:
            while True:
                yield chunk("on")
        finally:
            self.closed.set()


async def test_a_stream_that_nobody_reads_on_is_closed_in_time_and_its_reader_learns_why() -> None:
    endless = Endless()
    reply = await streamed(endless.chunks(), SOON)
    reply.when_over(endless.ends.append)
    await anext(reply)

    await asyncio.wait_for(endless.closed.wait(), 5)

    with pytest.raises(ProviderError) as late:
        await anext(reply)
    assert late.value.failure.code is ErrorCode.UPSTREAM_TIMEOUT
    assert endless.ends == [late.value]
    with pytest.raises(StopAsyncIteration):
        await anext(reply)


async def test_a_stream_that_is_read_without_end_is_closed_in_time() -> None:
    endless = Endless()

    async def read() -> None:
        async for _ in await streamed(endless.chunks(), SOON):
            await asyncio.to_thread(int)

    with pytest.raises(ProviderError, match=r"within 0\.02 s"):
        await read()

    assert endless.closed.is_set()


async def test_a_reader_who_leaves_closes_it_at_once() -> None:
    endless = Endless()
    reply = await streamed(endless.chunks())
    reply.when_over(endless.ends.append)
    await anext(reply)

    await reply.aclose()

    assert endless.closed.is_set()
    assert [type(end) for end in endless.ends] == [GeneratorExit]


async def test_a_reader_who_leaves_while_it_is_being_closed_waits_for_that() -> None:
    endless = Endless()
    reply = await streamed(endless.chunks(), SOON)
    await anext(reply)
    await endless.closed.wait()

    await reply.aclose()

    with pytest.raises(StopAsyncIteration):
        await anext(reply)


async def test_the_slot_at_an_upstream_is_free_and_its_connection_closed_though_nobody_reads() -> None:
    instruments = Instruments(Journal())
    whole = ChatRequest({"messages": [{"role": "user", "content": "hi"}]}, timeout=10)
    stream = ChatRequest({"messages": [{"role": "user", "content": "at length"}]}, timeout=0.2, stream=True)
    async with FakeLLM() as llm:
        llm.on("at length", replies.stream(b'data: {"choices": [{"delta": {"content": "on"}}]}\n\n' * 1000, "never"))
        direct = OpenAICompatible(llm.base_url, None, "m", now=SystemClock().now, heavy=HeavyWork())
        observed = ObservedProvider(direct, "m", instruments)
        provider = LimitedProvider(observed, UpstreamLimiter("llm", instruments, concurrency=1), "m")
        reply = await send_streamed(provider, stream)
        await anext(reply)
        with pytest.raises(ProviderError, match="at once"):
            await provider.send(replace(whole, patient=False))

        await llm.wait_for_disconnects(1)

        assert await ask(provider, whole)
        await reply.aclose()
        await direct.close()
