"""One tenant's client, and what it does in a measured moment."""

import asyncio
import contextlib
import gc
import itertools
import math
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import aiohttp

from answerback.testing.ports import HOST
from bench.neighbours.doubles import Doubles
from bench.systems import model
from bench.tools import BenchError

CLIENTS = 64
PATIENCE = 60.0
"""Seconds after which a measured act counts as lost."""

Act: TypeAlias = Callable[[], Awaitable[None]]


class Tenant:
    """Who sends as the owner of `key`."""

    def __init__(self, http: aiohttp.ClientSession, key: str, doubles: Doubles) -> None:
        self._http = http
        self._headers = {"Authorization": f"Bearer {key}"}
        self._doubles = doubles
        self._numbers = itertools.count(1)

    async def message(self, host: str = HOST) -> None:
        """A message, until its callback, which goes to that host."""
        number = f"message-{next(self._numbers)}"
        came = self._doubles.awaiting(number)
        url = self._doubles.url(f"/awaited/{number}", host)
        await self.post("/webhook", {"message": "Hello", "session_id": number, "callback_url": url})
        await came

    async def named_message(self) -> None:
        """A message whose callback goes to a name that nobody has looked up."""
        await self.message(f"own{next(self._numbers)}.test")

    async def review(self) -> None:
        """A review of a file that is there at once, until its callback."""
        essay = next(self._numbers)
        number = f"review-{essay}"
        came = self._doubles.awaiting(number)
        refs = [{"url": self._doubles.essay(essay)}]
        url = self._doubles.url(f"/awaited/{number}")
        await self.post("/v1/reviews", {"submission_id": number, "file_refs": refs, "webhook_url": url})
        await came

    async def chat(self, milliseconds: int = 0) -> None:
        """A chat completion that takes the LLM so long."""
        messages = [{"role": "user", "content": "Hello"}]
        await self.post("/v1/chat/completions", {"model": model(milliseconds), "messages": messages})

    async def post(self, path: str, body: Mapping[str, Any]) -> None:
        """Raises BenchError where it is refused."""
        async with self._http.post(path, json=body, headers=self._headers) as response:
            text = await response.text()
            if response.status >= 300:
                raise BenchError(f"{path} answered {response.status}: {text[:200]}")

    async def get(self, path: str) -> Any:
        """Raises BenchError where it is refused."""
        async with self._http.get(path, headers=self._headers) as response:
            if response.status >= 300:
                raise BenchError(f"{path} answered {response.status}: {(await response.text())[:200]}")
            return await response.json()

    async def post_many(self, path: str, bodies: Sequence[Mapping[str, Any]]) -> None:
        left = iter(bodies)

        async def client() -> None:
            for body in left:
                await self.post(path, body)

        await asyncio.gather(*(client() for _ in range(CLIENTS)))


async def latencies(act: Act, count: int, rate: float) -> list[float]:
    """Of so many acts at this rate, in milliseconds, each from when it was due. Raises BenchError if one is lost."""
    seen: list[float] = []

    async def one(due: float) -> None:
        async with asyncio.timeout(PATIENCE):
            await act()
        seen.append(1000 * (time.perf_counter() - due))

    with _uncollected():
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                due = began + number / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                group.create_task(one(due))
    return seen


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """A collection of this process's garbage would count as the service's."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def p50(values: Sequence[float]) -> float:
    return _quantile(0.5, values)


def p95(values: Sequence[float]) -> float:
    return _quantile(0.95, values)


def p99(values: Sequence[float]) -> float:
    return _quantile(0.99, values)


def _quantile(share: float, values: Sequence[float]) -> float:
    return sorted(values)[math.ceil(share * len(values)) - 1]
