"""Seeing a write through while the database is away."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from answerback.domain.errors import StorageUnavailable

T = TypeVar("T")

FIRST_WAIT = 0.05
LAST_WAIT = 2.0


async def persist(operation: Callable[[], Awaitable[T]]) -> T:
    """Tries until the database takes it.

    It ends by itself: a lease that runs out meanwhile turns a fenced write into a refused one, and the engine cancels
    what it no longer holds.
    """
    wait = FIRST_WAIT
    while True:
        try:
            return await operation()
        except StorageUnavailable:
            await asyncio.sleep(wait)
            wait = min(LAST_WAIT, wait * 2)
