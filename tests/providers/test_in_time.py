"""A stream is closed when its time is over, whether or not anybody reads it."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from answerback.kernel.errors import ErrorCode, ProviderError
from answerback.kernel.telemetry import UNMEASURED, UNTRACED
from answerback.llm.in_time import in_time
from answerback.llm.model import ChatRequest, Chunk
from answerback.llm.observed import ObservedProvider
from answerback.llm.openai_compatible import OpenAICompatible
from answerback.llm.pacing import Gate, PacedProvider
from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from builders import Journal

SOON = 0.02


class Endless:
    """A stream that goes on until it is closed."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        try:
            while True:
                yield Chunk(b"{}", "on", None, None, has_choices=True)
        finally:
            self.closed.set()


async def test_a_stream_that_nobody_reads_on_is_closed_in_time_and_told_so_to_whoever_comes_back() -> None:
    endless = Endless()
    stream = in_time(endless.chunks(), SOON)
    await anext(stream)

    await asyncio.wait_for(endless.closed.wait(), 5)

    with pytest.raises(ProviderError) as late:
        await anext(stream)
    assert late.value.failure.code is ErrorCode.UPSTREAM_TIMEOUT
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_a_stream_that_is_read_without_end_is_closed_in_time() -> None:
    endless = Endless()

    async def read() -> None:
        async for _ in in_time(endless.chunks(), SOON):
            await asyncio.to_thread(int)

    with pytest.raises(ProviderError, match=r"within 0\.02 s"):
        await read()

    assert endless.closed.is_set()


async def test_a_reader_who_leaves_closes_it_at_once() -> None:
    endless = Endless()
    stream = in_time(endless.chunks(), 3600)
    await anext(stream)

    await stream.aclose()

    assert endless.closed.is_set()


async def test_a_reader_who_leaves_while_it_is_being_closed_waits_for_that() -> None:
    endless = Endless()
    stream = in_time(endless.chunks(), SOON)
    await anext(stream)
    await endless.closed.wait()

    await stream.aclose()


async def test_the_place_at_an_upstream_is_free_and_its_connection_closed_though_nobody_reads() -> None:
    async with FakeLLM() as llm:
        llm.on("at length", replies.stream(b'data: {"choices": [{"delta": {"content": "on"}}]}\n\n' * 1000, "never"))
        direct = OpenAICompatible(llm.base_url, None, "m")
        observed = ObservedProvider(direct, "m", UNMEASURED, UNTRACED)
        provider = PacedProvider(observed, Gate(concurrency=1), "m", Journal())
        stream = provider.stream(ChatRequest({"messages": [{"role": "user", "content": "at length"}]}, timeout=0.2))
        await anext(stream)
        with pytest.raises(ProviderError, match="at once"):
            await provider.complete(ChatRequest({"messages": [{"role": "user", "content": "hi"}]}, timeout=10))

        await llm.wait_for_disconnects(1)

        assert await provider.complete(ChatRequest({"messages": [{"role": "user", "content": "hi"}]}, timeout=10))
        await stream.aclose()
        await direct.close()
