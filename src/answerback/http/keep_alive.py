"""A stream that begins before its first token, so that no proxy on the way takes a slow model for a dead connection: as
any stream of events, it is kept alive by comments."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, Protocol, TypeVar

from answerback.http.sse import COMMENT, KEEP_ALIVE_SECONDS


class Closable(Protocol):
    async def aclose(self) -> None: ...


R = TypeVar("R", bound=Closable)


async def stream(
    opening: Coroutine[Any, Any, R],
    events: Callable[[R], AsyncGenerator[bytes, None]],
    *,
    begin: Callable[[], bytes] = lambda: COMMENT,
) -> AsyncGenerator[bytes, None]:
    """The `events` of what opens. If that has not opened after `KEEP_ALIVE_SECONDS`, the stream begins with what
    `begin` returns, and its failure is the stream's. Raises ProviderError for an earlier failure, which still has a
    status."""
    task = asyncio.get_running_loop().create_task(opening)
    try:
        if await _done_in_time(task):
            return events(task.result())
    except BaseException:
        await _stop(task)
        raise
    begun = _begun(task, events, begin)
    await anext(begun)
    return begun


async def _begun(
    task: asyncio.Task[R], events: Callable[[R], AsyncGenerator[bytes, None]], begin: Callable[[], bytes]
) -> AsyncGenerator[bytes, None]:
    try:
        yield b""  # taken by `stream`: only a generator that has begun stops the call when it is closed
        yield begin()
        async with aclosing(events(await task)) as rest:
            async for event in rest:
                yield event
    finally:
        await _stop(task)


async def _done_in_time(task: asyncio.Task[R]) -> bool:
    """Whether the call is over within `KEEP_ALIVE_SECONDS`. `asyncio.wait` serves any number of calls, and would cost
    each stream more."""
    loop = asyncio.get_running_loop()
    waiter = loop.create_future()

    def wake(_: object = None) -> None:
        if not waiter.done():
            waiter.set_result(None)

    task.add_done_callback(wake)
    timer = loop.call_later(KEEP_ALIVE_SECONDS, wake)
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
