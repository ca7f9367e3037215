"""A stream that begins before its first token, so that no proxy on the way takes a slow model for a dead connection."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, Protocol, TypeVar

from answerback.http.sse import COMMENT

KEEP_ALIVE_SECONDS = 15.0
"""How long the status waits for the first token; then a comment comes as often. Proxies commonly wait 30 to 60 s."""


class Closable(Protocol):
    async def aclose(self) -> None: ...


R = TypeVar("R", bound=Closable)


async def stream(
    opening: Coroutine[Any, Any, R],
    events: Callable[[R], AsyncGenerator[bytes, None]],
    seconds: float = KEEP_ALIVE_SECONDS,
    *,
    begin: Callable[[], bytes] = lambda: COMMENT,
) -> AsyncGenerator[bytes, None]:
    """The `events` of what opens. If that has not opened after `seconds`, the stream begins with what `begin` returns
    and goes on with comments, and its failure is the stream's. Raises ProviderError for an earlier failure, which still
    has a status."""
    task = asyncio.get_running_loop().create_task(opening)
    try:
        if await _done_within(task, seconds):
            return events(task.result())
    except BaseException:
        await _stop(task)
        raise
    alive = _kept_alive(task, events, seconds, begin)
    await anext(alive)
    return alive


async def _kept_alive(
    task: asyncio.Task[R],
    events: Callable[[R], AsyncGenerator[bytes, None]],
    seconds: float,
    begin: Callable[[], bytes],
) -> AsyncGenerator[bytes, None]:
    try:
        yield b""  # taken by `stream`: only a generator that has begun stops the call when it is closed
        yield begin()
        while not await _done_within(task, seconds):
            yield COMMENT
        async with aclosing(events(task.result())) as rest:
            async for event in rest:
                yield event
    finally:
        await _stop(task)


async def _done_within(task: asyncio.Task[R], seconds: float) -> bool:
    """Whether the call is over by then. `asyncio.wait` serves any number of them, and would cost each stream more."""
    loop = asyncio.get_running_loop()
    waiter = loop.create_future()

    def wake(_: object = None) -> None:
        if not waiter.done():
            waiter.set_result(None)

    task.add_done_callback(wake)
    timer = loop.call_later(seconds, wake)
    try:
        await waiter
    finally:
        timer.cancel()
        task.remove_done_callback(wake)
    return task.done()


async def _stop(task: asyncio.Task[R]) -> None:
    """Ends the call, however far it has come."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled() and task.exception() is None:
        await task.result().aclose()
