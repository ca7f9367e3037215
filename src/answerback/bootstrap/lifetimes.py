"""What is opened while a service is built is closed when it ends, the last one first."""

from contextlib import AsyncExitStack
from typing import Protocol, TypeVar


class Closable(Protocol):
    async def close(self) -> None: ...


C = TypeVar("C", bound=Closable)


def opened(made: C, lifetimes: AsyncExitStack) -> C:
    lifetimes.push_async_callback(made.close)
    return made
