"""Retrying a write while the database is away."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from answerback.kernel.errors import OutcomeUnknown, StorageUnavailable

T = TypeVar("T")

FIRST_WAIT = 0.05
LAST_WAIT = 2.0


async def persist(operation: Callable[[], Awaitable[T]]) -> T:
    """Tries until the database answers.

    No limit is needed: after another worker has claimed the row, the fenced write changes nothing, and the worker pool
    cancels a run whose lease is lost.
    """
    wait = FIRST_WAIT
    while True:
        try:
            return await operation()
        except StorageUnavailable:
            await asyncio.sleep(wait)
            wait = min(LAST_WAIT, wait * 2)


async def persist_report(report: Callable[[], Awaitable[bool]], stored: Callable[[], Awaitable[bool]]) -> bool:
    """As `persist`; whether the report is stored. After a commit that was not answered, the next try may find that the
    row is no longer the caller's because that commit succeeded: `stored` returns whether it did."""
    unconfirmed = False

    async def attempt() -> bool:
        nonlocal unconfirmed
        try:
            return await report() or (unconfirmed and await stored())
        except OutcomeUnknown:
            unconfirmed = True
            raise

    return await persist(attempt)
