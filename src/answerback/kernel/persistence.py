"""Seeing a write through while the database is away."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from answerback.kernel.errors import OutcomeUnknown, StorageUnavailable

T = TypeVar("T")

FIRST_WAIT = 0.05
LAST_WAIT = 2.0


async def persist(operation: Callable[[], Awaitable[T]]) -> T:
    """Tries until the database takes it.

    It ends by itself: whoever takes the row over meanwhile turns a fenced write into a refused one, and the engine
    cancels what it no longer holds.
    """
    wait = FIRST_WAIT
    while True:
        try:
            return await operation()
        except StorageUnavailable:
            await asyncio.sleep(wait)
            wait = min(LAST_WAIT, wait * 2)


async def persist_report(report: Callable[[], Awaitable[bool]], stored: Callable[[], Awaitable[bool]]) -> bool:
    """As `persist`; whether the report is kept. `stored` tells whether this very report was: where the answer to its
    commit was lost, the next try finds the row no longer the caller's, and the reason may be the caller."""
    unconfirmed = False

    async def once() -> bool:
        nonlocal unconfirmed
        try:
            return await report() or (unconfirmed and await stored())
        except OutcomeUnknown:
            unconfirmed = True
            raise

    return await persist(once)
