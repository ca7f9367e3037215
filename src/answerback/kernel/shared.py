"""What many ask for at one time, made once for all of them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from answerback.kernel.shielded import shielded

T = TypeVar("T")


class Shared(Generic[T]):
    """What `make` returns, at most `seconds` old; older where making it would take more than the `share` of the time.
    `monotonic` is in seconds."""

    def __init__(
        self, make: Callable[[], Awaitable[T]], monotonic: Callable[[], float], seconds: float, share: float = 1.0
    ) -> None:
        self._make = make
        self._monotonic = monotonic
        self._seconds = seconds
        self._share = share
        self._made: T
        self._making: asyncio.Task[T] | None = None
        self._fresh_until = float("-inf")

    async def get(self) -> T:
        """Raises what making it raises."""
        if self._monotonic() < self._fresh_until:
            return self._made
        if self._making is None:
            self._making = asyncio.create_task(self._remake())
        # The others wait on where one gives up.
        return await shielded(self._making)

    @property
    def busy(self) -> bool:
        return self._making is not None

    async def close(self) -> None:
        """Waits for what is being made."""
        if self._making is not None:
            await asyncio.wait([self._making])

    async def _remake(self) -> T:
        began = self._monotonic()
        try:
            made = self._made = await self._make()
        finally:
            self._making = None
        took = self._monotonic() - began
        self._fresh_until = began + max(self._seconds, took / self._share)
        return made
