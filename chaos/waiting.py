"""Waiting for what nobody announces."""

import asyncio
import time
from collections.abc import Awaitable, Callable

GLANCE_SECONDS = 0.05


async def until(happened: Callable[[], Awaitable[bool]], patience: float) -> float | None:
    """Seconds until it happened; None when it did not within `patience` seconds."""
    began = time.monotonic()
    while not await happened():
        if time.monotonic() - began > patience:
            return None
        await asyncio.sleep(GLANCE_SECONDS)
    return time.monotonic() - began
