"""A client that hangs up stops the work of its request."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

T = TypeVar("T")


class ClientGone(Exception):
    """The client has hung up, so that no response will be read."""


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The work's result. Raises ClientGone, and cancels the work, if the client hangs up first.

    Only for a request whose body has been read: the next message from the server must be the hang-up.
    """
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((task, watch), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone
        return task.result()
    finally:
        watch.cancel()
        task.cancel()
        await asyncio.gather(watch, task, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue
