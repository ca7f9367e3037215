"""Waiting for work that goes on when its caller gives up."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def shielded(work: asyncio.Future[T]) -> asyncio.Future[T]:
    """As `asyncio.shield`, for work whose error concerns those that wait for it alone: where all have given up, asyncio
    does not log it as never retrieved."""
    work.add_done_callback(_retrieve)
    return asyncio.shield(work)


async def until_cancelled(work: Coroutine[Any, Any, None]) -> None:
    """The last work of a task. A task that is cancelled meanwhile ends at once, uncancelled, and the work goes on."""
    # `asyncio.shield` does the same in twice the time.
    loop = asyncio.get_running_loop()
    task, over = loop.create_task(work), loop.create_future()
    task.add_done_callback(lambda _: None if over.done() else over.set_result(None))
    try:
        await over
        task.result()
    except asyncio.CancelledError:
        return


def _retrieve(work: asyncio.Future[T]) -> None:
    if not work.cancelled():
        work.exception()
