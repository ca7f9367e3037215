"""A stream that begins before its first token, so that no proxy on the way takes a slow model for a dead connection."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any

from answerback.chat.chunks import events
from answerback.llm.reply import StreamedReply

KEEP_ALIVE_SECONDS = 15.0
"""How long the status waits for the first token; then a comment comes as often. Proxies commonly wait 30 to 60 s."""

COMMENT = b": keep-alive\n\n"

Opening = asyncio.Task[StreamedReply]


async def stream(
    opening: Coroutine[Any, Any, StreamedReply], include_usage: bool, seconds: float = KEEP_ALIVE_SECONDS
) -> AsyncGenerator[bytes, None]:
    """The events of a reply (`chunks.events`). If it has not opened after `seconds`, they begin with comments, and its
    failure is theirs. Raises ProviderError for an earlier failure, which still has a status."""
    task = asyncio.ensure_future(opening)
    try:
        await asyncio.wait([task], timeout=seconds)
        if task.done():
            return events(task.result(), include_usage)
    except BaseException:
        await _stop(task)
        raise
    alive = _kept_alive(task, include_usage, seconds)
    await anext(alive)
    return alive


async def _kept_alive(task: Opening, include_usage: bool, seconds: float) -> AsyncGenerator[bytes, None]:
    try:
        yield b""  # taken by `stream`: only a generator that has begun stops the call when it is closed
        while not task.done():
            yield COMMENT
            await asyncio.wait([task], timeout=seconds)
        async with aclosing(events(task.result(), include_usage)) as rest:
            async for event in rest:
                yield event
    finally:
        await _stop(task)


async def _stop(task: Opening) -> None:
    """Ends the call, however far it has come."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled() and task.exception() is None:
        await task.result().aclose()
