"""A benchmark as events: how far it is, then its report."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeAlias

from pydantic import BaseModel

from answerback.benchmark.model import Run
from answerback.benchmark.run import OnRun
from answerback.http.codes import RESULTS_UNWRITABLE
from answerback.http.errors import ErrorContent
from answerback.http.sse import error_event, named_event
from answerback.kernel.errors import ResultsUnwritable

Measure: TypeAlias = Callable[[OnRun], Awaitable[BaseModel]]
"""Runs the benchmark and makes the body of its report."""


async def started(measure: Measure, calls: int) -> AsyncGenerator[bytes, None]:
    """The events, once the first call has ended: what keeps a benchmark from starting is raised here."""
    events = _events(measure, calls)
    try:
        first = await anext(events)
    except BaseException:
        await events.aclose()
        raise
    return _from(first, events)


async def _from(first: bytes, events: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(events):
        yield first
        try:
            async for event in events:
                yield event
        except ResultsUnwritable as error:
            yield error_event(ErrorContent(*RESULTS_UNWRITABLE, str(error)))


async def _events(measure: Measure, calls: int) -> AsyncGenerator[bytes, None]:
    """`event: progress` as calls end, fewer where the client reads slowly; `event: result` in the end."""
    done = shown = 0
    moved = asyncio.Event()

    def count(_: Run) -> None:
        nonlocal done
        done += 1
        moved.set()

    measuring = asyncio.ensure_future(measure(count))
    measuring.add_done_callback(lambda _: moved.set())
    try:
        while shown < calls and not measuring.done():
            await moved.wait()
            moved.clear()
            if done > shown:
                shown = done
                yield named_event("progress", {"done": shown, "of": calls})
        yield named_event("result", await measuring)
    finally:
        measuring.cancel()
        await asyncio.gather(measuring, return_exceptions=True)
