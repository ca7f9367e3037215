"""16 background streams at once (`STREAMS=200` for more) and five kills in the middle of them: a client that reads on
has every event once, and the text is what the events say."""

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

import httpx2
import openai
from processes import settings

from answerback.testing import FakeLLM, Service, Worker
from answerback.testing.process import Process
from serving import client_of
from streamed_responses import numbers, rest, spelt, text_of

STREAMS = int(os.environ.get("STREAMS", "16"))
KILLS = 5
PATIENCE = 120.0
BROKEN = (openai.APIConnectionError, httpx2.TransportError)


@dataclass
class Reader:
    """Of one stream, which it goes on with at the next client whenever it breaks, once `served`."""

    text: str
    clients: Sequence[openai.AsyncOpenAI]
    served: asyncio.Event
    moved: asyncio.Condition
    events: list[Any] = field(default_factory=list)
    said: str = ""

    async def read(self) -> None:
        for client in cycle(self.clients):
            await self.served.wait()
            try:
                async for event in await self._stream(client):
                    self.events.append(event)
                    self.said += event.delta if event.type == "response.output_text.delta" else ""
                    async with self.moved:
                        self.moved.notify_all()
            except BROKEN:
                continue
            if self.events[-1].type == "response.completed":
                return

    async def _stream(self, client: openai.AsyncOpenAI) -> Any:
        if not self.events:
            return await client.responses.create(model="fake", input=self.text, background=True, stream=True)
        behind = self.events[-1].sequence_number
        return await client.responses.retrieve(self.events[0].response.id, stream=True, starting_after=behind)


def words_of(text: str) -> list[str]:
    return [f"{text}, word {n}. " for n in range(2 * KILLS + 2)]


async def survive(llm: FakeLLM, services: Sequence[Service], victims: Sequence[Process]) -> None:
    """One of the `victims` is killed whenever all readers have two words more, and started again."""
    steps, served, moved = [asyncio.Event() for _ in range(KILLS)], asyncio.Event(), asyncio.Condition()
    # Two words come at once; two more after each kill.
    waits = [event for step in steps for event in (step, step)]
    ready = asyncio.Event()
    ready.set()
    texts = [f"stream {n}" for n in range(STREAMS)]
    for text in texts:
        llm.on(text, spelt(words_of(text), [ready, ready, *waits]))
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(client_of(each)) for each in services]
        readers = [
            Reader(text, [*clients[n % len(clients) :], *clients], served, moved) for n, text in enumerate(texts)
        ]
        served.set()
        reading = asyncio.gather(*(each.read() for each in readers))
        for n, victim in enumerate(islice(cycle(victims), KILLS)):
            await until(moved, reading, all_have(readers, 2 * n + 2))
            served.clear()
            await victim.kill()
            await victim.start()
            served.set()
            steps[n].set()
        await asyncio.wait_for(reading, PATIENCE)

        for each in readers:
            check(each.text, each.events)
        for each in readers[:10]:
            assert await rest(clients[0], each.events[0].response.id) == each.events


def all_have(readers: Sequence[Reader], words: int) -> Callable[[], bool]:
    wanted = [len("".join(words_of(each.text)[:words])) for each in readers]
    return lambda: all(len(each.said) >= length for each, length in zip(readers, wanted, strict=True))


async def until(moved: asyncio.Condition, reading: asyncio.Future[Any], reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE), moved:
        await moved.wait_for(lambda: reading.done() or reached())
    assert not reading.done()


def check(text: str, events: Sequence[Any]) -> None:
    assert numbers(events) == list(range(len(events)))
    assert text_of(events) == "".join(words_of(text)) == events[-1].response.output_text
    assert [event.type for event in events].count("response.output_item.added") == 1


async def test_on_sqlite(llm: FakeLLM) -> None:
    async with Service({**settings(llm), "LLM_MODEL": "fake", "LEASE_SECONDS": "2", "RATE_LIMIT": "0"}) as service:
        await survive(llm, [service], [service])


async def test_on_postgresql_with_two_of_each(llm: FakeLLM, postgres_url: str) -> None:
    environment = settings(llm, database_url=postgres_url, lease_seconds=2, rate_limit=0)
    async with AsyncExitStack() as stack:
        services = [await stack.enter_async_context(Service(environment, role="api")) for _ in range(2)]
        workers = [await stack.enter_async_context(Worker(services[0].environment)) for _ in range(2)]
        first, second, *_ = workers
        await survive(llm, services, [first, services[0], second, services[1], first])
