"""Waiting for what nobody announces: a row, a state of a process, what another process answers."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 20.0
"""Seconds until a wait gives up: far more than anything takes here, so that a busy machine fails no test."""

GLANCE = 0.01


async def eventually(probe: Callable[[], T | Awaitable[T]], what: str, patience: float = PATIENCE) -> T:
    """What `probe` returns once that is true. Raises TimeoutError, saying `what` did not happen."""
    try:
        async with asyncio.timeout(patience):
            while True:
                seen = probe()
                found: T = await seen if inspect.isawaitable(seen) else seen
                if found:
                    return found
                await asyncio.sleep(GLANCE)
    except TimeoutError:
        raise TimeoutError(f"not within {patience:g} s: {what}") from None
