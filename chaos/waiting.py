"""Waiting by polling."""

import asyncio
import time
from collections.abc import Awaitable, Callable

POLL_SECONDS = 0.05


async def until(happened: Callable[[], Awaitable[bool]], patience: float) -> float | None:
    """Seconds until it happened; None when it did not within `patience` seconds."""
    began = time.monotonic()
    while not await happened():
        if time.monotonic() - began > patience:
            return None
        await asyncio.sleep(POLL_SECONDS)
    return time.monotonic() - began
