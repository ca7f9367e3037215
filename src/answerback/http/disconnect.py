"""A client that hangs up stops the work of its request."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from starlette.types import Scope

T = TypeVar("T")

CLIENT = "answerback.client"
"""The ASGI extension of our server: the `Client` of the request."""


class Client:
    """Who sends the requests of a connection. `hang_up` closes it, though a response has not ended; `resume_reading`
    goes on reading, since a pause hides that the client has gone."""

    def __init__(self, hang_up: Callable[[], None], resume_reading: Callable[[], None]) -> None:
        self.hang_up = hang_up
        self._resume_reading = resume_reading
        self.gone = False
        self.held = 0
        """How many bytes of what it was sent its response holds until the end."""
        self._when_gone: Callable[[], None] | None = None

    def when_gone(self, call: Callable[[], None] | None) -> None:
        """From now on `call`, in place of an earlier one, is called when the client hangs up."""
        self._when_gone = call
        if call is not None:
            self._resume_reading()

    def went(self) -> None:
        """The connection has ended."""
        self.gone = True
        if self._when_gone is not None:
            self._when_gone()


class ClientGone(Exception):
    """The client has hung up, so that no response will be read."""


def client_of(scope: Scope) -> Client | None:
    client: Client | None = scope.get("extensions", {}).get(CLIENT)
    return client


async def while_connected(scope: Scope, work: Coroutine[Any, Any, T]) -> T:
    """The result of a request's work. Raises ClientGone, and cancels the work, if the client hangs up first; a server
    without our extension does not say that. One request has one such work at a time."""
    client = client_of(scope)
    task = asyncio.current_task()
    if client is None or task is None:
        return await work
    if client.gone:
        # A cancellation from here would hit whatever waits next, if the work waits for nothing.
        work.close()
        raise ClientGone
    stop = _Stop(task)
    client.when_gone(stop)
    try:
        return await work
    except BaseException:
        # Cancelled by another as well, the request ends as cancelled.
        if not stop.called or task.uncancel() > 0:
            raise
        raise ClientGone from None
    finally:
        client.when_gone(None)


class _Stop:
    """Cancels the task that does the work, and remembers that it did. A task for the work and one that waits for the
    hang-up would cost a request twenty times as much."""

    def __init__(self, task: "asyncio.Task[Any]") -> None:
        self._task = task
        self.called = False

    def __call__(self) -> None:
        self.called = True
        self._task.cancel()
