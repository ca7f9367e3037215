"""Requests begin in turn between clients, some in each turn of the event loop.

Hundreds that came together would take each of their steps together, and what another client sends meanwhile would wait
for all of them at each step of its own.
"""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from answerback.kernel.company import Company
from answerback.kernel.round_robin import RoundRobin

if TYPE_CHECKING:
    from uvicorn._types import HTTPScope

ALONE = 64
"""How many requests begin in a turn where one client sends them all: what is stored together costs less."""
IN_COMPANY = 8
"""How many requests begin in a turn where several clients send some."""

_CREDENTIALS = frozenset({b"authorization", b"cookie"})


def client_of(scope: "HTTPScope") -> str:
    """Whose request it is, as far as its head shows: nothing has been checked yet."""
    for name, value in scope["headers"]:
        if name in _CREDENTIALS:
            return value.decode("latin-1")
    return scope["client"][0] if scope["client"] else ""


class RequestTurns:
    """Of one event loop."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._company = Company(monotonic)
        self._waiting: RoundRobin[Callable[[], None]] = RoundRobin()
        self._begun = 0

    def begin(self, scope: "HTTPScope", start: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        """Calls `start` now, or in a later turn of the loop."""
        client = client_of(scope)
        self._company.met(client)
        if self._begun < self._most():
            self._count(loop)
            start()
        else:
            self._waiting.add(client, start)

    def _most(self) -> int:
        return IN_COMPANY if self._company.several else ALONE

    def _count(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._begun:
            loop.call_soon(self._next, loop)
        self._begun += 1

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        """In the next turn."""
        self._begun, most = 0, self._most()
        while self._begun < most and (turn := self._waiting.take()) is not None:
            self._count(loop)
            turn[1]()
